import type { ColumnType } from '../batch/column-type.js'
import { unsafeBits } from '../batch/ids.js'
import { copyBytes, LENGTH_BYTES, lengthPrefixed, viewOf } from '../batch/length-prefixed.js'
import { formatTimestamp } from '../batch/temporal.js'
import type { BytesVector, FixedArray, FixedVector, Vector } from '../batch/vector.js'
import { decodeUuids } from '../parquet/uuid.js'
import { presence } from './copy-presence.js'
import { CopyFormatError, type CopyRows } from './copy-rows.js'
import { repeatedTexts, RepeatedValues } from './copy-repeated.js'
import { numericRoom, specialNumeric, writeNumeric } from './copy-numeric.js'

/** How a value's bytes are read: PostgreSQL's binary forms, as far as they are read here. Whatever is no number of fixed size is bytes. */
export type CopyForm = 'bool' | 'int2' | 'int4' | 'int8' | 'oid' | 'float4' | 'float8' | 'date' | 'time' | 'timestamp' | 'uuid' | 'numeric' | 'bytes' | 'jsonb'

const SIZES: Readonly<Partial<Record<CopyForm, number>>> = { bool: 1, int2: 2, int4: 4, int8: 8, oid: 4, float4: 4, float8: 8, date: 4, time: 8, timestamp: 8, uuid: 16 }

/** PostgreSQL counts from 2000-01-01. */
const EPOCH_DAYS = 10957
const EPOCH_MICROS = 946_684_800_000_000n
const [MAX_INT32, MIN_INT32] = [2147483647, -2147483648]
const [MAX_INT64, MIN_INT64] = [9223372036854775807n, -9223372036854775808n]
/** What `jsonb_send` puts before the text. */
const JSONB_VERSION = 1
const UUID_BYTES = 16
const TWO_TO_32 = 4294967296

/** A column has a value that its type cannot hold: as the server prints it. */
export class UnheldValue extends Error {
  constructor(readonly text: string) {
    super(text)
  }
}

// Loops have functions of their own, see copy-presence.ts.

function fixed<A extends FixedArray>(rows: CopyRows, column: number, { type, form, values }: { type: ColumnType, form: CopyForm, values: A },
  read: (view: DataView, at: number) => A[number]): FixedVector {
  const valid = presence(rows, column, SIZES[form])
  readInto(rows, column, values, read)
  return { form: 'fixed', type, length: rows.length, values, valid }
}

function readInto<A extends FixedArray>({ marks, columns, length, view }: CopyRows, column: number, values: A, read: (view: DataView, at: number) => A[number]): void {
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    if (marks[mark + 1] !== -1) values[row] = read(view, marks[mark]!)
  }
}

// doubles have loops of their own: what a callback returns would be a number object each

function float64Vector(rows: CopyRows, column: number, type: ColumnType): FixedVector {
  const { length } = rows
  const valid = presence(rows, column, SIZES.float8)
  const values = new Float64Array(length)
  readDoubles(rows, column, values)
  return { form: 'fixed', type, length, values, valid }
}

function readDoubles({ marks, columns, length, view }: CopyRows, column: number, values: Float64Array): void {
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    if (marks[mark + 1] !== -1) values[row] = view.getFloat64(marks[mark]!)
  }
}

function int64Vector(rows: CopyRows, column: number): FixedVector {
  const { length } = rows
  const valid = presence(rows, column, SIZES.int8)
  const values = new Float64Array(length)
  return readInt64(rows, column, values) === 0 || values.every(Number.isSafeInteger) ? { form: 'fixed', type: 'int64', length, values, valid }
    : fixed(rows, column, { type: 'int64', form: 'int8', values: new BigInt64Array(length) }, (view, at) => view.getBigInt64(at))
}

/** @returns 0 where all values are safe integers */
function readInt64({ marks, columns, length, view }: CopyRows, column: number, values: Float64Array): number {
  let outside = 0
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    if (marks[mark + 1] === -1) continue
    const at = marks[mark]!
    const high = view.getInt32(at)
    values[row] = high * TWO_TO_32 + view.getUint32(at + 4)
    outside |= unsafeBits(high)
  }
  return outside
}

function fromEpoch(view: DataView, at: number, type: ColumnType): bigint {
  const raw = view.getBigInt64(at)
  if (raw === MAX_INT64 || raw === MIN_INT64) return raw
  const micros = raw + EPOCH_MICROS
  // the server's years go on to 294276; what counts from 1970 ends in 294247
  if (micros >= MAX_INT64) throw new UnheldValue(formatTimestamp(micros, type === 'timestamptz' ? '+00' : ''))
  return micros
}

function dayFromEpoch(view: DataView, at: number): number {
  const days = view.getInt32(at)
  return days === MAX_INT32 || days === MIN_INT32 ? days : days + EPOCH_DAYS
}

/** Values one after the other, each behind its length in four bytes, little-endian: as Parquet's PLAIN pages have them, which are then written without a copy. */
class BytesWriter {
  #view: DataView
  #at = 0

  constructor(public bytes: Uint8Array<ArrayBuffer>) {
    this.#view = new DataView(bytes.buffer)
  }

  /** Where a value of at most `room` bytes may be written. */
  begin(room: number): number {
    const start = this.#at + LENGTH_BYTES
    if (start + room > this.bytes.length) {
      const more = new Uint8Array(Math.max(this.bytes.length * 2, start + room))
      more.set(this.bytes)
      this.bytes = more
      this.#view = new DataView(more.buffer)
    }
    return start
  }

  /** The value that was begun ends at `end`. */
  end(end: number): void {
    this.#view.setInt32(this.#at, end - this.#at - LENGTH_BYTES, true)
    this.#at = end
  }

  /** @param length rows, nulls included */
  vector(type: ColumnType, length: number, valid: Uint8Array | undefined): BytesVector {
    return lengthPrefixed(type, this.bytes.subarray(0, this.#at), length, valid)
  }
}

/** A column's bytes as they came, without the `skip` first and the `omit` last of each value. */
export function bytesVector(rows: CopyRows, column: number, type: ColumnType, { skip = 0, omit = 0, valid = presence(rows, column, undefined) }:
{ skip?: number, omit?: number, valid?: Uint8Array | undefined } = {}): BytesVector {
  const out = new Uint8Array(LENGTH_BYTES * rows.length + bytesOf(rows, column))
  const end = copyValues(rows, column, { skip, omit, valid }, viewOf(out))
  return lengthPrefixed(type, out.subarray(0, end), rows.length, valid)
}

function bytesOf({ marks, columns, length }: CopyRows, column: number): number {
  let total = 0
  for (let row = 0, mark = column * 2 + 1; row < length; row++, mark += columns * 2) total += Math.max(0, marks[mark]!)
  return total
}

/** @returns where the last value ends */
function copyValues({ marks, columns, length, view }: CopyRows, column: number, { skip, omit, valid }: { skip: number, omit: number, valid: Uint8Array | undefined },
  out: DataView): number {
  let at = 0
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    if (valid !== undefined && valid[row] === 0) continue
    const from = marks[mark]! + skip
    const size = marks[mark + 1]! - skip - omit
    out.setInt32(at, size, true)
    at += LENGTH_BYTES
    copyBytes(view, from, out, at, size)
    at += size
  }
  return at
}

function jsonbVector(rows: CopyRows, column: number): BytesVector {
  const { marks, columns, length, bytes } = rows
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    if (marks[mark + 1] !== -1 && (marks[mark + 1] === 0 || bytes[marks[mark]!] !== JSONB_VERSION)) throw new CopyFormatError('jsonb of an unknown version')
  }
  return bytesVector(rows, column, 'json', { skip: 1 })
}

function numericVector(rows: CopyRows, column: number, type: ColumnType): BytesVector {
  const { marks, columns, length, view } = rows
  const valid = presence(rows, column, undefined)
  const writer = new BytesWriter(new Uint8Array(length * 16))
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    const [at, size] = [marks[mark]!, marks[mark + 1]!]
    if (size === -1) continue
    if (size < 8 || size !== 8 + 2 * view.getUint16(at)) throw new CopyFormatError('a numeric that is cut short')
    const special = type === 'text' ? undefined : specialNumeric(view, at)
    if (special !== undefined) throw new UnheldValue(special)
    const to = writer.begin(numericRoom(view, at))
    writer.end(writeNumeric(view, at, writer.bytes, to))
  }
  return writer.vector(type, length, valid)
}

function uuidVector(rows: CopyRows, column: number): BytesVector {
  const { marks, columns, length, bytes } = rows
  const valid = presence(rows, column, SIZES.uuid)
  const page = new Uint8Array(length * UUID_BYTES)
  for (let row = 0, mark = column * 2; row < length; row++, mark += columns * 2) {
    if (marks[mark + 1] !== -1) page.set(bytes.subarray(marks[mark], marks[mark]! + UUID_BYTES), row * UUID_BYTES)
  }
  return { ...decodeUuids(page, length), valid }
}

/**
 * One column of some rows as a vector. Exact: the values that the server's text would have been read as.
 *
 * @param repeated what is known of the column's texts from other batches
 * @throws {CopyFormatError} a value of another size than its form has
 * @throws {UnheldValue} NaN or an infinity in a column of decimals, a timestamp beyond the int64 range
 */
export function copyVector(rows: CopyRows, column: number, form: CopyForm, type: ColumnType, repeated?: RepeatedValues): Vector {
  const { length } = rows
  switch (form) {
    case 'bool': return fixed(rows, column, { type, form, values: new Uint8Array(length) }, (view, at) => view.getUint8(at))
    case 'int2': return fixed(rows, column, { type, form, values: numbers(type, length) }, (view, at) => view.getInt16(at))
    case 'int4': return fixed(rows, column, { type, form, values: numbers(type, length) }, (view, at) => view.getInt32(at))
    case 'oid': return fixed(rows, column, { type, form, values: numbers(type, length) }, (view, at) => view.getUint32(at))
    case 'int8': return int64Vector(rows, column)
    case 'float4': return fixed(rows, column, { type, form, values: new Float32Array(length) }, (view, at) => view.getFloat32(at))
    case 'float8': return float64Vector(rows, column, type)
    case 'date': return fixed(rows, column, { type, form, values: new Int32Array(length) }, dayFromEpoch)
    case 'time': return fixed(rows, column, { type, form, values: new BigInt64Array(length) }, (view, at) => view.getBigInt64(at))
    case 'timestamp': return fixed(rows, column, { type, form, values: new BigInt64Array(length) }, (view, at) => fromEpoch(view, at, type))
    case 'uuid': return uuidVector(rows, column)
    case 'numeric': return numericVector(rows, column, type)
    case 'jsonb': return jsonbVector(rows, column)
    case 'bytes': return (type === 'text' ? repeatedTexts(rows, column, repeated ?? new RepeatedValues()) : undefined) ?? bytesVector(rows, column, type)
  }
}

/** Integers of 32 bits; ids are int64 whatever their type is at the source. */
function numbers(type: ColumnType, length: number): Int32Array | Float64Array {
  return type === 'int64' ? new Float64Array(length) : new Int32Array(length)
}

/** Those rows only, in that order. */
export function pickRows({ marks, columns, ...rest }: CopyRows, picks: Uint32Array): CopyRows {
  const width = columns * 2
  const picked = new Int32Array(picks.length * width)
  for (let i = 0; i < picks.length; i++) picked.set(marks.subarray(picks[i]! * width, (picks[i]! + 1) * width), i * width)
  return { ...rest, marks: picked, columns, length: picks.length }
}
