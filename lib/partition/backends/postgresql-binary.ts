import type { StoredKey } from '../key-types.js'

/**
 * PostgreSQL's binary forms of `bit varying` and of one-dimensional arrays of eight-byte values, as parameters (Buffers) and as
 * the hex text of `varbit_send` and `array_send`: exact whatever the session's settings, and an order faster than text.
 */

/** The types of arrays that are sent so. Timestamps count microseconds from 2000 on the wire. */
export type EightByteType = 'int8' | 'float8' | 'timestamp'

const OIDS: Record<EightByteType, number> = { int8: 20, float8: 701, timestamp: 1114 }
const MICROS_1970_TO_2000 = 946_684_800_000_000n
const INFINITIES: ReadonlySet<bigint> = new Set([9223372036854775807n, -9223372036854775808n])
const HEADER_BYTES = 20
const STRIDE = 12

/** Packed bits as a `bit varying` parameter. */
export function varbitParameter(bits: Uint8Array): Buffer {
  const buffer = Buffer.alloc(4 + bits.length)
  buffer.writeInt32BE(bits.length * 8)
  buffer.set(bits, 4)
  return buffer
}

/** Packed bits from the hex text of `varbit_send`. */
export function bitsFromHex(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex').subarray(4)
}

function toWire(value: StoredKey, type: EightByteType): bigint {
  const integer = BigInt(value)
  return type !== 'timestamp' || INFINITIES.has(integer) ? integer : integer - MICROS_1970_TO_2000
}

/** `values` as an array parameter. */
export function arrayParameter(values: readonly StoredKey[], type: EightByteType): Buffer {
  const buffer = Buffer.alloc(values.length === 0 ? 12 : HEADER_BYTES + values.length * STRIDE)
  buffer.writeInt32BE(values.length === 0 ? 0 : 1, 0)
  buffer.writeInt32BE(OIDS[type], 8)
  if (values.length === 0) return buffer
  buffer.writeInt32BE(values.length, 12)
  buffer.writeInt32BE(1, 16)
  const view = new DataView(buffer.buffer, buffer.byteOffset)
  values.forEach((value, i) => {
    const at = HEADER_BYTES + i * STRIDE
    view.setInt32(at, 8)
    if (type === 'float8') view.setFloat64(at + 4, value as number)
    else view.setBigInt64(at + 4, toWire(value, type))
  })
  return buffer
}

/** Values from the hex text of `array_send`. */
export function arrayFromHex(hex: string, type: EightByteType): StoredKey[] {
  const buffer = Buffer.from(hex, 'hex')
  if (buffer.readInt32BE(0) === 0) return []
  const view = new DataView(buffer.buffer, buffer.byteOffset)
  return Array.from({ length: buffer.readInt32BE(12) }, (_, i) => {
    const at = HEADER_BYTES + i * STRIDE + 4
    if (type === 'float8') return view.getFloat64(at)
    if (type === 'int8') {
      const value = view.getInt32(at) * 2 ** 32 + view.getUint32(at + 4)
      return Number.isSafeInteger(value) ? value : view.getBigInt64(at)
    }
    const micros = view.getBigInt64(at)
    return INFINITIES.has(micros) ? micros : micros + MICROS_1970_TO_2000
  })
}

/** Texts as the text form of an array parameter. */
export function textArrayParameter(values: readonly string[]): string {
  return `{${values.map(value => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
