/**
 * PLAIN BYTE_ARRAY: a 4-byte little-endian length before each value.
 * @see https://parquet.apache.org/docs/file-format/data-pages/encodings/ (PLAIN = 0)
 */
import type { ColumnType } from '../batch/column-type.js'
import { copyBytes, LENGTH_BYTES, viewOf } from '../batch/length-prefixed.js'
import type { BytesVector } from '../batch/vector.js'

/** Strings shorter than this are written by the thousand; their length prefix is ASCII as well. */
const SHORT = 128
/** Joining more strings than this before writing them gets slower again. */
const BLOCK_STRINGS = 1024
/** Below this many UTF-16 units a loop encodes faster than a call of `write`. */
const ENCODE_LOOP_UNITS = 48

const MAX_CHARACTER_BYTES = 4
/** By how much room is made at a time. */
const GROWTH = 1.5

const SHORT_PREFIXES = Array.from({ length: SHORT }, (_, length) => String.fromCharCode(length, 0, 0, 0))

/** Write JS strings, array after array, as PLAIN values. Nulls are left out; lone surrogates become U+FFFD. */
export function encodeStrings(pieces: readonly (readonly unknown[])[]): Uint8Array {
  const writer = new StringWriter(pieces.reduce((sum, values) => sum + unitsOf(values), 0))
  for (const values of pieces) writer.write(values)
  return writer.page()
}

/** UTF-16 units of all strings, and 4 for each string. */
function unitsOf(values: readonly unknown[]): number {
  let units = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as string | null
    if (value !== null) units += value.length + LENGTH_BYTES
  }
  return units
}

/** ASCII is expected; more room is made when something else turns up. */
class StringWriter {
  #out: Buffer
  #length = 0
  /** No block had another character so far: then joining short strings pays. */
  #ascii = true

  /** @param units UTF-16 units of all strings, and 4 for each string */
  constructor(units: number) {
    this.#out = Buffer.allocUnsafeSlow(units + MAX_CHARACTER_BYTES)
  }

  page(): Uint8Array {
    return this.#out.subarray(0, this.#length)
  }

  write(values: readonly unknown[]): void {
    let joined = ''
    let from = 0
    let inBlock = 0
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as string | null
      if (value === null) continue
      if (!this.#ascii) {
        this.#one(value)
        continue
      }
      if (value.length < SHORT) {
        joined += SHORT_PREFIXES[value.length]!
        joined += value
        if (++inBlock < BLOCK_STRINGS) continue
      }
      this.#block(joined, values, from, value.length < SHORT ? i + 1 : i)
      if (value.length >= SHORT) this.#one(value)
      joined = ''
      from = i + 1
      inBlock = 0
    }
    this.#block(joined, values, from, values.length)
  }

  /** Write short strings that were joined with their prefixes; one by one where they are not all ASCII. */
  #block(joined: string, values: readonly unknown[], from: number, to: number): void {
    if (joined === '') return
    // with room for one character more, a write that is cut short cannot be as long as the string
    this.#makeRoom(joined.length + MAX_CHARACTER_BYTES)
    const written = this.#out.write(joined, this.#length, 'utf8')
    if (written === joined.length) {
      this.#length += written
      return
    }
    this.#ascii = false
    for (let i = from; i < to; i++) {
      const value = values[i] as string | null
      if (value !== null) this.#one(value)
    }
  }

  #one(value: string): void {
    // a UTF-16 unit takes 3 bytes at most
    this.#makeRoom(4 + value.length * 3)
    const bytes = value.length < ENCODE_LOOP_UNITS ? writeText(this.#out, this.#length + 4, value) : this.#out.write(value, this.#length + 4, 'utf8')
    writeLength(this.#out, this.#length, bytes)
    this.#length += 4 + bytes
  }

  #makeRoom(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#out.length) return
    const bigger = Buffer.allocUnsafeSlow(Math.max(needed, Math.ceil(this.#out.length * GROWTH)))
    bigger.set(this.#out.subarray(0, this.#length))
    this.#out = bigger
  }
}

/** Write a short string as UTF-8; returns the bytes it took. A lone surrogate becomes U+FFFD. */
function writeText(out: Uint8Array, start: number, value: string): number {
  let at = start
  for (let i = 0; i < value.length; i++) {
    let code = value.charCodeAt(i)
    if (code < 0x80) {
      out[at++] = code
      continue
    }
    if (code < 0x800) {
      out[at++] = code >> 6 | 0xc0
      out[at++] = code & 0x3f | 0x80
      continue
    }
    if (code >= 0xd800 && code < 0xe000) {
      const point = value.codePointAt(i)!
      if (point > 0xffff) {
        i++
        out[at++] = point >> 18 | 0xf0
        out[at++] = point >> 12 & 0x3f | 0x80
        out[at++] = point >> 6 & 0x3f | 0x80
        out[at++] = point & 0x3f | 0x80
        continue
      }
      code = 0xfffd
    }
    out[at++] = code >> 12 | 0xe0
    out[at++] = code >> 6 & 0x3f | 0x80
    out[at++] = code & 0x3f | 0x80
  }
  return at - start
}

/** Write byte strings as PLAIN values: Uint8Arrays, nulls left out. */
export function encodeByteStrings(values: readonly unknown[]): Uint8Array {
  const present = values.filter(value => value !== null) as Uint8Array[]
  const out = new Uint8Array(present.reduce((sum, value) => sum + value.length + 4, 0))
  let at = 0
  for (const value of present) {
    writeLength(out, at, value.length)
    out.set(value, at + 4)
    at += 4 + value.length
  }
  return out
}

function writeLength(out: Uint8Array, at: number, length: number): void {
  out[at] = length
  out[at + 1] = length >>> 8
  out[at + 2] = length >>> 16
  out[at + 3] = length >>> 24
}

/** The values of a bytes vector as PLAIN values, nulls left out. Copies nothing where they lie as such already. */
export function encodeBytesVector(vector: BytesVector, valid: Uint8Array | undefined): Uint8Array {
  const { bytes, length } = vector
  if (vector.lengthPrefixed) return bytes
  const { starts, ends } = vector
  let total = 0
  for (let i = 0; i < length; i++) if (valid === undefined || valid[i] !== 0) total += ends[i]! - starts[i]! + LENGTH_BYTES
  const out = new Uint8Array(total)
  const [from, into] = [viewOf(bytes), viewOf(out)]
  let at = 0
  for (let i = 0; i < length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    const start = starts[i]!
    const size = ends[i]! - start
    into.setUint32(at, size, true)
    at += LENGTH_BYTES
    copyBytes(from, start, into, at, size)
    at += size
  }
  return out
}

/** The PLAIN values at ascending positions `picks`; the pass ends at the last one. */
export function pickByteStrings(type: ColumnType, page: Uint8Array, picks: Uint32Array): BytesVector {
  const starts = new Uint32Array(picks.length)
  const ends = new Uint32Array(picks.length)
  const view = viewOf(page)
  let at = 0
  let value = 0
  for (let i = 0; i < picks.length; i++) {
    const pick = picks[i]!
    at = skipValues(view, at, pick - value)
    value = pick
    starts[i] = at + 4
    ends[i] = skipValues(view, at, 1)
  }
  return { form: 'bytes', type, length: picks.length, bytes: page, starts, ends }
}

/** Where the value begins that is `count` values after the one at `at`. */
function skipValues(view: DataView, at: number, count: number): number {
  const last = view.byteLength - 4
  for (; count > 0; count--) {
    const size = view.getInt32(at, true)
    if (size < 0 || size > last - at) throw new Error('a value is cut short')
    at += 4 + size
  }
  return at
}
