import type { BytesVector } from '../batch/vector.js'

const UUID_BYTES = 16
const TEXT_BYTES = 36
/** Where a uuid's text has dashes: before these bytes. */
const DASH_BEFORE: ReadonlySet<number> = new Set([4, 6, 8, 10])
const HEX = Buffer.from('0123456789abcdef', 'latin1')
const DASH = 45

/** Hexadecimal digit of an ASCII code; upper case is refused, because it would come back as lower case. */
const DIGITS = new Int8Array(256).fill(-1)
HEX.forEach((code, digit) => { DIGITS[code] = digit })

/** Position of each byte's first digit in the text. */
const POSITIONS: number[] = []
for (let byte = 0, at = 0; byte < UUID_BYTES; byte++, at += 2) POSITIONS.push(DASH_BEFORE.has(byte) ? ++at : at)

/**
 * Write uuid texts (as PostgreSQL prints them, lower case) as 16 bytes each.
 *
 * @throws {RangeError} a text is no such uuid
 */
export function encodeUuids({ bytes, starts, ends, length }: BytesVector): Uint8Array {
  const out = new Uint8Array(length * UUID_BYTES)
  for (let i = 0; i < length; i++) {
    const start = starts[i]!
    let bad = ends[i]! - start === TEXT_BYTES ? 0 : -1
    for (let byte = 0; byte < UUID_BYTES; byte++) {
      const high = DIGITS[bytes[start + POSITIONS[byte]!]!]!
      const low = DIGITS[bytes[start + POSITIONS[byte]! + 1]!]!
      bad |= high | low
      out[i * UUID_BYTES + byte] = high << 4 | low
    }
    for (let at = 8; at <= 23; at += 5) if (bytes[start + at] !== DASH) bad = -1
    if (bad < 0) throw new RangeError(`expected a lower-case uuid, found ${Buffer.from(bytes.subarray(start, ends[i])).toString()}`)
  }
  return out
}

/** 16 bytes each → texts, 36 bytes each. */
export function decodeUuids(page: Uint8Array, count: number): BytesVector {
  const bytes = new Uint8Array(count * TEXT_BYTES)
  const starts = new Uint32Array(count)
  const ends = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    const text = i * TEXT_BYTES
    for (let byte = 0; byte < UUID_BYTES; byte++) {
      const value = page[i * UUID_BYTES + byte]!
      bytes[text + POSITIONS[byte]!] = HEX[value >>> 4]!
      bytes[text + POSITIONS[byte]! + 1] = HEX[value & 15]!
    }
    for (let at = 8; at <= 23; at += 5) bytes[text + at] = DASH
    starts[i] = text
    ends[i] = text + TEXT_BYTES
  }
  return { form: 'bytes', type: 'uuid', length: count, bytes, starts, ends }
}
