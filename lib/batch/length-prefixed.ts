import type { ColumnType } from './column-type.js'
import type { BytesVector } from './vector.js'

/** Before each value stands its length, little-endian, in so many bytes. */
export const LENGTH_BYTES = 4

/** One row of so many is marked; any other is found by walking from the mark before it. */
const ROWS_PER_MARK = 64

/**
 * A `bytes` vector of values that lie one behind the other, each behind its length, as a PLAIN page of Parquet has them. One pass
 * checks the lengths; `starts` and `ends` are found when they are first asked for.
 *
 * @param bytes the values; what follows the last one is left alone
 * @param valid one byte per row, 1 = a value is there, `count` in all; the others become nulls
 * @throws {Error} a length reaches beyond the bytes
 */
export function checkedLengthPrefixed(type: ColumnType, bytes: Uint8Array, count: number, valid?: Uint8Array): BytesVector {
  return lengthPrefixed(type, bytes.subarray(0, endOf(bytes, count)), valid ? valid.length : count, valid)
}

/**
 * As {@link checkedLengthPrefixed}, of bytes that are known to hold the values and nothing else.
 *
 * @param length rows, nulls included
 */
export function lengthPrefixed(type: ColumnType, bytes: Uint8Array, length: number, valid?: Uint8Array): BytesVector {
  let places: Places | undefined
  let marks: Marks | undefined
  const positionOf = (row: number): number => {
    if (row === length) return bytes.length
    marks ??= { positions: new Uint32Array(Math.ceil(length / ROWS_PER_MARK)), count: 1 }
    const mark = Math.floor(row / ROWS_PER_MARK)
    const view = viewOf(bytes)
    if (mark >= marks.count) extendMarks(marks, mark, view, valid)
    return walk(view, marks.positions[mark]!, mark * ROWS_PER_MARK, row, valid)
  }
  return { form: 'bytes', type, length, bytes, ...(valid ? { valid } : {}),
    get starts() { return (places ??= placesOf(bytes, length, valid)).starts },
    get ends() { return (places ??= placesOf(bytes, length, valid)).ends },
    lengthPrefixed: {
      positionOf,
      slice: (from, to) => lengthPrefixed(type, bytes.subarray(positionOf(from), positionOf(to)), to - from, valid?.subarray(from, to))
    } }
}

/** Length-prefixed vectors' rows one after the other, as one. */
export function joinLengthPrefixed(type: ColumnType, vectors: readonly BytesVector[], valid: Uint8Array | undefined): BytesVector {
  const bytes = new Uint8Array(vectors.reduce((sum, vector) => sum + vector.bytes.length, 0))
  let [at, rows] = [0, 0]
  for (const vector of vectors) {
    bytes.set(vector.bytes, at)
    at += vector.bytes.length
    rows += vector.length
  }
  return lengthPrefixed(type, bytes, rows, valid)
}

/** Where `count` values end. */
function endOf(bytes: Uint8Array, count: number): number {
  if (count * LENGTH_BYTES > bytes.length) throw new Error(`${count} values in ${bytes.length} bytes`)
  const view = viewOf(bytes)
  const last = bytes.length - LENGTH_BYTES
  let at = 0
  for (let i = 0; i < count; i++) {
    // beyond the bytes it throws by itself; signed, so that all arithmetic stays in small integers
    const size = view.getInt32(at, true)
    if (size < 0 || size > last - at) throw new Error(`value ${i} is cut short`)
    at += LENGTH_BYTES + size
  }
  return at
}

/** Where row `to` begins; row `from` begins at `at`. */
function walk(view: DataView, at: number, from: number, to: number, valid: Uint8Array | undefined): number {
  for (let row = from; row < to; row++) if (valid === undefined || valid[row] !== 0) at += LENGTH_BYTES + view.getInt32(at, true)
  return at
}

/** Where every so many rows begin, as far as it was asked for. */
interface Marks {
  positions: Uint32Array
  count: number
}

/** Find the marks up to one. */
function extendMarks(marks: Marks, last: number, view: DataView, valid: Uint8Array | undefined): void {
  const { positions } = marks
  for (let i = marks.count; i <= last; i++) positions[i] = walk(view, positions[i - 1]!, (i - 1) * ROWS_PER_MARK, i * ROWS_PER_MARK, valid)
  marks.count = last + 1
}

interface Places {
  starts: Uint32Array
  ends: Uint32Array
}

function placesOf(bytes: Uint8Array, length: number, valid: Uint8Array | undefined): Places {
  const starts = new Uint32Array(length)
  const ends = new Uint32Array(length)
  const view = viewOf(bytes)
  let at = 0
  for (let i = 0; i < length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    const start = at + LENGTH_BYTES
    at = start + view.getInt32(at, true)
    starts[i] = start
    ends[i] = at
  }
  return { starts, ends }
}

/** Up to so many bytes a loop copies faster than `set`. */
const COPY_LOOP_BYTES = 64

/** Copy bytes between buffers. */
export function copyBytes(from: DataView, at: number, into: DataView, to: number, size: number): void {
  if (size > COPY_LOOP_BYTES) {
    new Uint8Array(into.buffer, into.byteOffset + to, size).set(new Uint8Array(from.buffer, from.byteOffset + at, size))
    return
  }
  let i = 0
  for (; i + 4 <= size; i += 4) into.setInt32(to + i, from.getInt32(at + i))
  for (; i < size; i++) into.setInt8(to + i, from.getInt8(at + i))
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
