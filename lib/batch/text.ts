import { Buffer, isAscii, isUtf8 } from 'node:buffer'
import { copyBytes, LENGTH_BYTES, viewOf } from './length-prefixed.js'
import type { BytesVector } from './vector.js'

/** Below this many bytes per value of overhead, the values lie close enough to decode their whole span at once. */
const MAX_GAP_PER_VALUE = 8
/** Values that take more bytes in all are decoded one by one: as one string they could be longer than one may be. */
const MAX_SPAN_BYTES = 1 << 26
/** Fewer values are decoded one by one. */
const MIN_TOGETHER = 8
/** The highest bit of each of 4 bytes: none is set where all are ASCII. */
const HIGH_BITS = 0x80808080 | 0

/**
 * The strings of a `bytes` vector of UTF-8 text, null where null.
 *
 * Values that lie densely in ascending order (a decoded page) cost one decode of their whole span and a substring each;
 * scattered ones are decoded one by one, so that a few strings never keep a page's text alive.
 *
 * @param texts where the strings go, from `at` on
 */
export function decodeTexts(vector: BytesVector, texts: unknown[] = new Array<string | null>(vector.length), at = 0): unknown[] {
  const { length } = vector
  if (vector.lengthPrefixed && length >= MIN_TOGETHER && vector.bytes.length <= MAX_SPAN_BYTES) return decodeLengthPrefixed(vector, texts, at)
  const { bytes, starts, ends, valid } = vector
  const span = length < MIN_TOGETHER ? undefined : denseSpan(vector)
  if (!span) {
    const buffer = bufferOf(bytes)
    for (let i = 0; i < length; i++) texts[at + i] = valid?.[i] === 0 ? null : buffer.toString('utf8', starts[i], ends[i])
    return texts
  }
  const decoder = new TextsDecoder(bytes, span.from, span.to, texts)
  decodePlaces(vector, decoder, texts, at)
  decoder.finish()
  return texts
}

// loops alone in their functions: V8 gives up, each time anew, the code it made of a running loop where what follows it was not reached before

function decodePlaces({ starts, ends, valid, length }: BytesVector, decoder: TextsDecoder, texts: unknown[], at: number): void {
  for (let i = 0; i < length; i++) {
    if (valid?.[i] === 0) texts[at + i] = null
    else decoder.decode(starts[i]!, ends[i]!, at + i)
  }
}

/** The bytes from the first value to the last, where they hold little else and the values lie in order. */
function denseSpan({ starts, ends, valid, length }: BytesVector): { from: number, to: number } | undefined {
  let [from, to, total] = [-1, 0, 0]
  for (let i = 0; i < length; i++) {
    if (valid?.[i] === 0) continue
    if (from === -1) from = to = starts[i]!
    if (starts[i]! < to) return undefined
    to = ends[i]!
    total += to - starts[i]!
  }
  if (from === -1) from = 0
  return to - from > Math.min(total + MAX_GAP_PER_VALUE * length, MAX_SPAN_BYTES) ? undefined : { from, to }
}

/** As they lie: what stands before each says where it ends. */
function decodeLengthPrefixed(vector: BytesVector, texts: unknown[], at: number): unknown[] {
  const decoder = new TextsDecoder(vector.bytes, 0, vector.bytes.length, texts)
  decodeWalking(vector, viewOf(vector.bytes), decoder, texts, at)
  decoder.finish()
  return texts
}

function decodeWalking({ valid, length }: BytesVector, view: DataView, decoder: TextsDecoder, texts: unknown[], at: number): void {
  for (let i = 0, end = 0; i < length; i++) {
    if (valid !== undefined && valid[i] === 0) {
      texts[at + i] = null
      continue
    }
    const start = end + LENGTH_BYTES
    end = start + view.getInt32(end, true)
    decoder.decode(start, end, at + i)
  }
}

/** Decodes texts that lie close together: what is ASCII at once, out of one string; the others when all are known. */
class TextsDecoder {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #texts: unknown[]
  /** Each byte a character. */
  readonly #span: string
  readonly #from: number
  readonly #isAscii: boolean
  readonly #rows: number[] = []
  readonly #starts: number[] = []
  readonly #ends: number[] = []

  constructor(bytes: Uint8Array, from: number, to: number, texts: unknown[]) {
    const buffer = bufferOf(bytes)
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#texts = texts
    this.#span = buffer.toString('latin1', from, to)
    this.#from = from
    this.#isAscii = isAscii(buffer.subarray(from, to))
  }

  decode(start: number, end: number, row: number): void {
    if (this.#isAscii || this.#holdsAscii(start, end)) this.#texts[row] = this.#span.substring(start - this.#from, end - this.#from)
    else {
      this.#rows.push(row)
      this.#starts.push(start)
      this.#ends.push(end)
    }
  }

  #holdsAscii(start: number, end: number): boolean {
    let at = start
    while (at + 4 <= end && (this.#view.getInt32(at, true) & HIGH_BITS) === 0) at += 4
    while (at < end && this.#bytes[at]! < 0x80) at++
    return at === end
  }

  /** Decode the texts that are not ASCII, all in one call: a call for each costs four times as much. */
  finish(): void {
    if (this.#rows.length === 0) return
    const bytes = this.#collected()
    // positions in the one string can be told only where all is as it should be
    const all = isUtf8(bytes) ? bytes.toString('utf8') : undefined
    let start = 0
    let from = 0
    for (let i = 0; i < this.#rows.length; i++) {
      const end = start + this.#ends[i]! - this.#starts[i]!
      const to = from + unitsOf(bytes, start, end)
      // a text that starts within a character is invalid by itself
      const whole = all !== undefined && !isContinuation(bytes[start]) && !isContinuation(bytes[end])
      this.#texts[this.#rows[i]!] = whole ? all.substring(from, to) : bytes.toString('utf8', start, end)
      start = end
      from = to
    }
  }

  /** The bytes of the texts that are not ASCII, one behind the other. */
  #collected(): Buffer {
    let total = 0
    for (let i = 0; i < this.#rows.length; i++) total += this.#ends[i]! - this.#starts[i]!
    const collected = Buffer.allocUnsafe(total)
    const into = viewOf(collected)
    for (let i = 0, filled = 0; i < this.#rows.length; i++) {
      const size = this.#ends[i]! - this.#starts[i]!
      copyBytes(this.#view, this.#starts[i]!, into, filled, size)
      filled += size
    }
    return collected
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** UTF-16 units of UTF-8 bytes: one for each character, two for each of 4 bytes. */
function unitsOf(bytes: Uint8Array, start: number, end: number): number {
  let units = 0
  for (let i = start; i < end; i++) units += (bytes[i]! & 0xc0) === 0x80 ? 0 : bytes[i]! >= 0xf0 ? 2 : 1
  return units
}
