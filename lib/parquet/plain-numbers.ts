/** PLAIN pages of fixed-width values: little-endian arrays, which are what typed arrays are on every platform Node runs on here. */
import type { ColumnType } from '../batch/column-type.js'
import { unsafeBits } from '../batch/ids.js'
import type { FixedArray, Vector } from '../batch/vector.js'
import { packBits, unpackBits } from './hybrid.js'

const TWO_32 = 2 ** 32
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

function bytesOf(array: FixedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** The values that are present, in order; the array itself when all are. */
export function compactArray<A extends FixedArray>(values: A, valid: Uint8Array | undefined, present: number): A {
  if (valid === undefined) return values
  // the loops below write one value too many where the last ones are null
  const compact = new (values.constructor as new (length: number) => A)(present + 1)
  if (values instanceof Float64Array) compactDoubles(values, valid, compact as Float64Array)
  else compactOthers(values as Int32Array, valid, compact as Int32Array)
  return compact.subarray(0, present) as A
}

// one loop per kind of array: a loop that sees several is several times slower; no branch, which nulls here and there make a costly one

function compactDoubles(values: Float64Array, valid: Uint8Array, compact: Float64Array): void {
  for (let i = 0, to = 0; i < valid.length; i++) {
    compact[to] = values[i]!
    to += valid[i]!
  }
}

function compactOthers<A extends Exclude<FixedArray, Float64Array>>(values: A, valid: Uint8Array, compact: A): void {
  for (let i = 0, to = 0; i < valid.length; i++) {
    compact[to] = values[i]!
    to += valid[i]!
  }
}

/** Put compact values at the rows that are present, 0 elsewhere. */
export function spreadArray<A extends FixedArray | Uint16Array | Uint32Array>(compact: A, valid: Uint8Array): A {
  const spread = new (compact.constructor as new (length: number) => A)(valid.length)
  if (compact instanceof Float64Array) spreadDoubles(compact, valid, spread as Float64Array)
  else spreadOthers(compact as Int32Array, valid, spread as Int32Array)
  return spread
}

function spreadDoubles(compact: Float64Array, valid: Uint8Array, spread: Float64Array): void {
  for (let i = 0, from = 0; i < valid.length; i++) if (valid[i] !== 0) spread[i] = compact[from++]!
}

function spreadOthers<A extends Exclude<FixedArray, Float64Array> | Uint16Array | Uint32Array>(compact: A, valid: Uint8Array, spread: A): void {
  for (let i = 0, from = 0; i < valid.length; i++) if (valid[i] !== 0) spread[i] = compact[from++]!
}

/**
 * The bytes of a page. Copies nothing where the array already is the page: the vector's memory must stay as it is until the bytes
 * are written.
 */
export function encodeNumbers(type: ColumnType, values: FixedArray): Uint8Array {
  switch (type) {
    case 'bool': {
      const bits = new Uint8Array(Math.ceil(values.length / 8))
      packBits(values as Uint8Array, bits, 1)
      return bits
    }
    case 'int64': return values instanceof BigInt64Array ? bytesOf(values) : bytesOf(int64Pairs(values as Float64Array))
    default: return bytesOf(values)
  }
}

function int64Pairs(values: Float64Array | Int32Array): Int32Array {
  const pairs = new Int32Array(values.length * 2)
  // one loop per kind of array: a loop that sees both is several times slower
  if (values instanceof Int32Array) signExtend(values, pairs)
  else splitWords(values, pairs)
  return pairs
}

function signExtend(values: Int32Array, pairs: Int32Array): void {
  for (let i = 0; i < values.length; i++) {
    pairs[2 * i] = values[i]!
    pairs[2 * i + 1] = values[i]! >> 31
  }
}

function splitWords(values: Float64Array, pairs: Int32Array): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const low = value | 0
    pairs[2 * i] = low
    // most ids fit 32 bits
    pairs[2 * i + 1] = low === value ? low >> 31 : Math.floor(value / TWO_32)
  }
}

/**
 * Storage values in a plain array → the type's fixed array, nulls left out.
 *
 * @throws {RangeError} a value is none of the type
 */
export function numbersOf(type: ColumnType, values: readonly unknown[]): FixedArray {
  const present = values.filter(value => value !== null)
  const refuse = (value: unknown): never => {
    throw new RangeError(`expected ${type}, found ${typeof value} ${String(value)}`)
  }
  switch (type) {
    case 'bool': return Uint8Array.from(present, value => typeof value === 'boolean' ? Number(value) : refuse(value))
    case 'int32': case 'date': return Int32Array.from(present, value => typeof value === 'number' && (value | 0) === value ? value : refuse(value))
    case 'float32': return Float32Array.from(present, value => typeof value === 'number' ? value : refuse(value))
    case 'float64': return Float64Array.from(present, value => typeof value === 'number' ? value : refuse(value))
    case 'int64': case 'time': case 'timestamp': case 'timestamptz':
      return BigInt64Array.from(present, value => {
        if (typeof value === 'bigint' && value >= INT64_MIN && value <= INT64_MAX) return value
        return Number.isSafeInteger(value) ? BigInt(value as number) : refuse(value)
      })
    default: throw new TypeError(`${type} is no fixed-width type`)
  }
}

/** Which arrays a fixed vector of a type may hold. */
export function fitsType(type: ColumnType, values: FixedArray): boolean {
  switch (type) {
    case 'bool': return values instanceof Uint8Array
    case 'int32': case 'date': return values instanceof Int32Array
    case 'int64': return values instanceof Float64Array || values instanceof BigInt64Array || values instanceof Int32Array
    case 'float32': return values instanceof Float32Array
    case 'float64': return values instanceof Float64Array
    case 'time': case 'timestamp': case 'timestamptz': return values instanceof BigInt64Array
    default: return false
  }
}

/** `count` values of a page that has at least their bytes; a view where the page is aligned, else a copy. */
export function decodeNumbers(type: ColumnType, page: Uint8Array, count: number): FixedArray {
  switch (type) {
    case 'bool': {
      const values = new Uint8Array(count)
      unpackBits(page, values)
      return values
    }
    case 'int32': case 'date': return viewOf(Int32Array, page, count)
    case 'float32': return viewOf(Float32Array, page, count)
    case 'float64': return viewOf(Float64Array, page, count)
    case 'int64': return decodeInt64(page, count)
    case 'time': case 'timestamp': case 'timestamptz': return viewOf(BigInt64Array, page, count)
    default: throw new TypeError(`${type} is no fixed-width type`)
  }
}

interface ViewArray<A> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A
  BYTES_PER_ELEMENT: number
}

function viewOf<A>(array: ViewArray<A>, page: Uint8Array, count: number): A {
  const width = array.BYTES_PER_ELEMENT
  if (page.byteOffset % width === 0) return new array(page.buffer, page.byteOffset, count)
  const copy = page.slice(0, count * width)
  return new array(copy.buffer, copy.byteOffset, count)
}

function decodeInt64(page: Uint8Array, count: number): Float64Array | BigInt64Array {
  const values = new Float64Array(count)
  return joinWords(viewOf(Int32Array, page, count * 2), values) === 0 || values.every(Number.isSafeInteger) ? values : viewOf(BigInt64Array, page, count)
}

/** @returns 0 where all values are safe integers */
function joinWords(pairs: Int32Array, values: Float64Array): number {
  let outside = 0
  for (let i = 0, at = 0; i < values.length; i++, at += 2) {
    const high = pairs[at + 1]!
    values[i] = high * TWO_32 + (pairs[at]! >>> 0)
    outside |= unsafeBits(high)
  }
  return outside
}

/** The values at positions `picks` of a page that has `count`. */
export function pickNumbers(type: ColumnType, page: Uint8Array, picks: Uint32Array): FixedArray {
  if (type === 'bool') return Uint8Array.from(picks, pick => page[pick >>> 3]! >>> (pick & 7) & 1)
  const width = type === 'int32' || type === 'date' || type === 'float32' ? 4 : 8
  const picked = new Uint8Array(picks.length * width)
  for (let i = 0, to = 0; i < picks.length; i++) {
    for (let byte = 0, from = picks[i]! * width; byte < width; byte++) picked[to++] = page[from++]!
  }
  return decodeNumbers(type, picked, picks.length)
}

/**
 * Smallest and largest value of an integer column, for statistics; undefined where it has nulls, for other types and without values.
 *
 * @param isSorted the values ascend: the ends of each piece tell for all
 */
export function rangeOf(pieces: readonly Vector[], isSorted: boolean): { min: number | bigint, max: number | bigint } | undefined {
  let range: { min: number | bigint, max: number | bigint } | undefined
  for (const piece of pieces) {
    const isInteger = piece.form === 'fixed' && (piece.type === 'int32' || piece.type === 'int64')
    if (!isInteger || piece.valid?.includes(0) === true) return undefined
    if (piece.length === 0) continue
    const values = isSorted ? endsOf(piece.values) : piece.values
    const { min, max } = values instanceof BigInt64Array ? bigRange(values) : values instanceof Int32Array ? intRange(values) : doubleRange(values as Float64Array)
    range = { min: range && range.min < min ? range.min : min, max: range && range.max > max ? range.max : max }
  }
  return range
}

/** The first and the last value. */
function endsOf(values: FixedArray): FixedArray {
  const ends = values.slice(-2)
  ends[0] = values[0]!
  return ends
}

function intRange(values: Int32Array): { min: number, max: number } {
  let min = values[0]!
  let max = min
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!
    if (value < min) min = value
    else if (value > max) max = value
  }
  return { min, max }
}

function doubleRange(values: Float64Array): { min: number, max: number } {
  let min = values[0]!
  let max = min
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!
    if (value < min) min = value
    else if (value > max) max = value
  }
  return { min, max }
}

function bigRange(values: BigInt64Array): { min: number | bigint, max: number | bigint } {
  let min = values[0]!
  let max = min
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
  }
  return { min: narrow(min), max: narrow(max) }
}

/** An id as it stands in rows: a number where that is exact. */
export function narrow(value: number | bigint): number | bigint {
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}
