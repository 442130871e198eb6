import { gunzipSync, gzipSync } from 'node:zlib'
import { snappyCompress, snappyUncompress } from './hyparquet-internals.js'

/** How the pages of a file are compressed. */
export type Codec = 'UNCOMPRESSED' | 'SNAPPY' | 'GZIP'

/** Bytes that a compressed byte stands for at most (deflate about 1032, snappy 64 in 3); more is a lie that would cost memory. */
const MAX_RATIOS: Record<Codec, number> = { UNCOMPRESSED: 1, SNAPPY: 22, GZIP: 1100 }

/** Whether `text` names a codec that this library reads and writes. */
export function isCodec(text: string): text is Codec {
  return text === 'UNCOMPRESSED' || text === 'SNAPPY' || text === 'GZIP'
}

/** The same memory as a `Uint8Array` proper: on a `Buffer`, `slice` does not copy. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Compress a page's bytes. */
export function compress(codec: Codec, bytes: Uint8Array): Uint8Array {
  switch (codec) {
    case 'UNCOMPRESSED': return bytes
    case 'SNAPPY': return snappyCompress(bytes)
    case 'GZIP': return gzipSync(bytes, { level: 6 })
  }
}

/**
 * Uncompress a page into `length` bytes, aligned for typed arrays.
 *
 * @throws {Error} the bytes are not what the codec writes, or do not give `length` bytes
 */
export function uncompress(codec: Codec, bytes: Uint8Array, length: number): Uint8Array {
  if (codec === 'UNCOMPRESSED') {
    if (bytes.length !== length) throw new Error(`a page of ${bytes.length} bytes says ${length}`)
    return bytes
  }
  if (length > bytes.length * MAX_RATIOS[codec] + 64) throw new Error(`a page of ${bytes.length} bytes says it uncompresses to ${length}`)
  if (codec === 'SNAPPY') {
    const page = new Uint8Array(length)
    snappyUncompress(bytes, page)
    return page
  }
  if (length === 0) return new Uint8Array(0)
  const page = gunzipSync(bytes, { maxOutputLength: length })
  if (page.length !== length) throw new Error(`a page uncompresses to ${page.length} bytes instead of ${length}`)
  return plainBytes(page)
}
