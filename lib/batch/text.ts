import { Buffer, isAscii, isUtf8 } from 'node:buffer'
import type { BytesVector } from './vector.js'

/** Below this many bytes per value of overhead, the values lie close enough to decode their whole span at once. */
const MAX_GAP_PER_VALUE = 8

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * The strings of a `bytes` vector of UTF-8 text, null where null.
 *
 * Values that lie densely in ascending order (a decoded page) cost one decode of their whole span and a substring each;
 * scattered ones are decoded one by one, so that a few strings never keep a page's text alive.
 *
 * @param texts where the strings go, from `at` on
 */
export function decodeTexts({ bytes, starts, ends, valid, length }: BytesVector, texts: unknown[] = new Array<string | null>(length), at = 0): unknown[] {
  const buffer = viewOf(bytes)
  let first = 0
  while (first < length && valid?.[first] === 0) first++
  let last = length - 1
  while (last > first && valid?.[last] === 0) last--
  const from = first < length ? starts[first]! : 0
  const to = first < length ? ends[last]! : 0
  let total = 0
  let ascending = true
  for (let i = first, end = from; i <= last && i < length; i++) {
    if (valid?.[i] === 0) continue
    if (starts[i]! < end) ascending = false
    end = ends[i]!
    total += end - starts[i]!
  }
  if (!ascending || to - from > total + MAX_GAP_PER_VALUE * length || length < 8) {
    for (let i = 0; i < length; i++) texts[at + i] = valid?.[i] === 0 ? null : buffer.toString('utf8', starts[i], ends[i])
    return texts
  }
  const span = buffer.toString('latin1', from, to)
  if (isAscii(buffer.subarray(from, to))) {
    for (let i = 0; i < length; i++) texts[at + i] = valid?.[i] === 0 ? null : span.substring(starts[i]! - from, ends[i]! - from)
    return texts
  }
  const others = new OtherTexts(total)
  for (let i = 0; i < length; i++) {
    if (valid?.[i] === 0) {
      texts[at + i] = null
      continue
    }
    const start = starts[i]!
    const end = ends[i]!
    let other = start
    while (other < end && bytes[other]! < 0x80) other++
    if (other === end) texts[at + i] = span.substring(start - from, end - from)
    else others.add(bytes, start, end, at + i)
  }
  others.decode(texts)
  return texts
}

/** Texts that are not ASCII, collected so that one call decodes all of them: a call for each costs four times as much. */
class OtherTexts {
  readonly #bytes: Buffer
  readonly #rows: number[] = []
  readonly #ends: number[] = []
  #filled = 0

  /** @param most bytes of all texts */
  constructor(most: number) {
    this.#bytes = Buffer.allocUnsafe(most)
  }

  add(bytes: Uint8Array, start: number, end: number, row: number): void {
    let filled = this.#filled
    for (let i = start; i < end; i++) this.#bytes[filled++] = bytes[i]!
    this.#filled = filled
    this.#rows.push(row)
    this.#ends.push(filled)
  }

  /** Put each text at its row. */
  decode(texts: unknown[]): void {
    const bytes = this.#bytes.subarray(0, this.#filled)
    // positions in the one string can be told only where all is as it should be
    const all = isUtf8(bytes) ? bytes.toString('utf8') : undefined
    let start = 0
    let from = 0
    for (let i = 0; i < this.#rows.length; i++) {
      const end = this.#ends[i]!
      const to = from + unitsOf(bytes, start, end)
      // a text that starts within a character is invalid by itself
      const whole = all !== undefined && !isContinuation(bytes[start]) && !isContinuation(bytes[end])
      texts[this.#rows[i]!] = whole ? all.substring(from, to) : bytes.toString('utf8', start, end)
      start = end
      from = to
    }
  }
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** UTF-16 units of UTF-8 bytes: one for each character, two for each of 4 bytes. */
function unitsOf(bytes: Uint8Array, start: number, end: number): number {
  let units = 0
  for (let i = start; i < end; i++) units += (bytes[i]! & 0xc0) === 0x80 ? 0 : bytes[i]! >= 0xf0 ? 2 : 1
  return units
}
