import { isAnyArrayBuffer } from 'node:util/types'

/** The bytes of a Buffer, a typed array, a DataView or an ArrayBuffer, as they lie in memory; undefined for anything else. */
export function bytesOf(value: unknown): Buffer | undefined {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return isAnyArrayBuffer(value) ? Buffer.from(value) : undefined
}
