import { InvalidArgumentError } from '../errors.js'

/** Value of the key column: a number when it is a safe integer, else a bigint within int64; never both for one value. */
export type Id = number | bigint

/** Ids of one kind: doubles when all are safe integers, else int64. */
export type IdArray = Float64Array | BigInt64Array

const INT64_MAX = 9223372036854775807n
const INT64_MIN = -9223372036854775808n

/**
 * 0 for the high word of an int64 that is a safe integer: those lie within ±2^21. (-2^53, which is not safe, has a high word that some
 * safe ones share: where the answer is not 0, the values have to be asked.)
 */
export function unsafeBits(high: number): number {
  return (high + 0x1fffff | high + 0x200000) & 0xffc00000
}

/** The one form of an id, or undefined where `value` is none (not an integer, NaN, beyond int64, text, null). */
export function idOf(value: unknown): Id | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value + 0 : undefined
  if (typeof value !== 'bigint') return undefined
  if (value >= -9007199254740991n && value <= 9007199254740991n) return Number(value)
  return value <= INT64_MAX && value >= INT64_MIN ? value : undefined
}

/** As `idOf`, and takes canonical digits as well (`'42'`, not `'042'`): drivers hand out int8 as text. */
export function idFromSource(value: unknown): Id | undefined {
  if (typeof value === 'string' && /^(0|-?[1-9]\d{0,18})$/.test(value)) return idOf(BigInt(value))
  return idOf(value)
}

/** Ids as one typed array, in the given order. */
export function idArray(ids: readonly Id[] | IdArray): IdArray {
  if (ids instanceof Float64Array || ids instanceof BigInt64Array) return ids
  const doubles = new Float64Array(ids.length)
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!
    if (typeof id === 'bigint') return BigInt64Array.from(ids, each => BigInt(each))
    doubles[i] = id
  }
  return doubles
}

/** The id at a position, in its one form. */
export function idAt(ids: IdArray, position: number): Id {
  const value = ids[position]!
  return typeof value === 'bigint' ? idOf(value)! : value
}

/** A typed array's ids as the plain array a fetcher gets. */
export function idList(ids: IdArray): Id[] {
  return ids instanceof Float64Array ? numberList(ids) : Array.from(ids, id => idOf(id)!)
}

/** A loop: `Array.from` takes ten times as long. Small integers are stored as such: as doubles each would be a number object for whoever reads it. */
function numberList(ids: Float64Array): number[] {
  const list = new Array<number>(ids.length)
  for (let i = 0; i < list.length; i++) {
    const id = ids[i]!
    const small = id | 0
    list[i] = small === id ? small : id
  }
  return list
}

/** The ids `from` (inclusive) to `to` (exclusive), all safe. A loop: `Float64Array.from` with a function takes 40 times as long. */
export function idsBetween(from: number, to: number): Float64Array {
  const ids = new Float64Array(to - from)
  fillBetween(ids, from)
  return ids
}

/** Fill an array with the ids that follow one another from `from` on, all safe. */
export function fillBetween(ids: Float64Array, from: number): void {
  for (let i = 0; i < ids.length; i++) ids[i] = from + i
}

/** The positions `from` (inclusive) to `to` (exclusive). */
export function positionsBetween(from: number, to: number): Uint32Array {
  const positions = new Uint32Array(to - from)
  for (let i = 0; i < positions.length; i++) positions[i] = from + i
  return positions
}

/** The positions of a mark among one byte for each, ascending. */
export function positionsWhere(marks: Uint8Array, mark: number): Uint32Array {
  const positions = new Uint32Array(marks.length)
  return positions.subarray(0, fillPositions(positions, marks, mark))
}

// a loop alone in its function: V8 gives up, each time anew, the code it made of a running loop where what follows it was not reached before
function fillPositions(positions: Uint32Array, marks: Uint8Array, mark: number): number {
  let count = 0
  for (let i = 0; i < marks.length; i++) if (marks[i] === mark) positions[count++] = i
  return count
}

/** The position of the first id not below `id`, in ascending `ids`, searching `from` … `to`. */
export function lowerBound(ids: IdArray, id: Id, from = 0, to = ids.length): number {
  let [low, high] = [from, to]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ids[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}

/** Both arrays' ids in one array of the wider kind, `a` first. */
export function concatIds(parts: readonly IdArray[]): IdArray {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const wide = parts.some(part => part instanceof BigInt64Array && part.length > 0)
  const all = wide ? new BigInt64Array(length) : new Float64Array(length)
  let at = 0
  for (const part of parts) {
    if (all instanceof BigInt64Array && part instanceof Float64Array) for (let i = 0; i < part.length; i++) all[at + i] = BigInt(part[i]!)
    else (all as Float64Array).set(part as Float64Array, at)
    at += part.length
  }
  return all
}

/** The error for a value that is no id, naming its position. */
export function invalidId(argument: string, value: unknown): InvalidArgumentError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' && value !== null ? 'an object' : String(value)
  return new InvalidArgumentError({ argument, expected: 'an integer (a safe number or an int64 bigint)', found: `${shown} (${typeof value})` })
}
