import { jsonText } from '../json/json-text.js'
import { listElement, type ColumnType } from './column-type.js'
import { formatDate, formatTime, formatTimestamp, timestampCell, TIMESTAMP_INFINITY, TIMESTAMP_MINUS_INFINITY } from './temporal.js'
import { decodeTexts } from './text.js'
import { hasNulls, type DictionaryVector, type FixedArray, type FixedVector, type Vector } from './vector.js'

/** Values by row position: a typed array or a plain one. */
export type Column = FixedArray | readonly unknown[]

function mapFixed(vector: FixedVector, cell: (value: never) => unknown): unknown[] {
  const { values, valid, length } = vector
  const cells = new Array<unknown>(length)
  for (let i = 0; i < length; i++) cells[i] = valid?.[i] === 0 ? null : cell(values[i] as never)
  return cells
}

/** The array's own values, null where null. */
function plainValues(vector: FixedVector, into: unknown[], at: number): unknown[] {
  const { valid, length, compact } = vector
  if (valid && compact) {
    // one loop per kind of array: a loop that sees several is slower
    if (compact instanceof Float64Array) spreadDoubles(compact, valid, into, at)
    else spreadOthers(compact, valid, into, at)
    return into
  }
  const { values } = vector
  if (valid) for (let i = 0; i < length; i++) into[at + i] = valid[i] === 0 ? null : values[i]
  else for (let i = 0; i < length; i++) into[at + i] = values[i]
  return into
}

function spreadDoubles(compact: Float64Array, valid: Uint8Array, into: unknown[], at: number): void {
  for (let i = 0, from = 0; i < valid.length; i++) into[at + i] = valid[i] === 0 ? null : compact[from++]
}

function spreadOthers(compact: Exclude<FixedArray, Float64Array>, valid: Uint8Array, into: unknown[], at: number): void {
  for (let i = 0, from = 0; i < valid.length; i++) into[at + i] = valid[i] === 0 ? null : compact[from++]
}

/** Entries of dictionaries that were decoded lately: slices of a batch share theirs. */
const decodedEntries = new WeakMap<Vector, readonly unknown[]>()

function entriesOf(dictionary: Vector): readonly unknown[] {
  let entries = decodedEntries.get(dictionary)
  if (!entries) {
    entries = storageValues(dictionary)
    decodedEntries.set(dictionary, entries)
  }
  return entries
}

function dictionaryValues({ codes, dictionary, valid, length }: DictionaryVector, into: unknown[], at: number): unknown[] {
  const entries = entriesOf(dictionary)
  for (let i = 0; i < length; i++) into[at + i] = valid?.[i] === 0 ? null : entries[codes[i]!]
  return into
}

/** A 64-bit integer as rows hold it: a number when safe, else a bigint. */
export function integerCell(value: number | bigint): number | bigint {
  return typeof value === 'bigint' && value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value
}

/** Storage values (see `vector.ts`) as JS values: text not parsed, times as µs; null where null. */
export function storageValues(vector: Vector): readonly unknown[] {
  switch (vector.form) {
    case 'values': return vector.values
    case 'bytes': {
      if (vector.type !== 'bytes') return decodeTexts(vector)
      const blobs = new Array<Uint8Array | null>(vector.length)
      for (let i = 0; i < vector.length; i++) {
        // a copy: the page would otherwise live as long as one of its values
        blobs[i] = vector.valid?.[i] === 0 ? null : new Uint8Array(vector.bytes.subarray(vector.starts[i], vector.ends[i]))
      }
      return blobs
    }
    case 'dictionary': return dictionaryValues(vector, new Array<unknown>(vector.length), 0)
    case 'fixed': {
      if (vector.type === 'bool') return mapFixed(vector, (value: number) => value === 1)
      if (vector.values instanceof BigInt64Array && vector.type === 'int64') return mapFixed(vector, integerCell)
      return plainValues(vector, new Array<unknown>(vector.length), 0)
    }
  }
}

/**
 * The values as rows hold them (design: numbers, `Date`, parsed JSON, `'YYYY-MM-DD'` …), indexable by row. Numeric columns
 * without nulls come as the typed array itself.
 */
export function cellsOf(vector: Vector): Column {
  const { type } = vector
  if (vector.form === 'fixed') {
    switch (type) {
      case 'int32': case 'float32': case 'float64':
        return vector.valid === undefined ? vector.values : storageValues(vector)
      case 'int64':
        return vector.valid === undefined && vector.values instanceof Float64Array ? vector.values : storageValues(vector)
      case 'date': return mapFixed(vector, formatDate)
      case 'time': return mapFixed(vector, formatTime)
      case 'timestamp': return mapFixed(vector, (micros: bigint) => timestampCell(micros))
      case 'timestamptz': return mapFixed(vector, (micros: bigint) => timestampCell(micros, '+00'))
      default: return storageValues(vector)
    }
  }
  const values = storageValues(vector)
  if (type === 'json') return values.map(value => value === null ? null : JSON.parse(value as string) as unknown)
  // rows own their arrays and bytes: what a caller does to them must not reach the batch
  const element = listElement(type)
  if (element) return values.map(list => list === null ? null : (list as unknown[]).map(value => elementCell(value, element)))
  if (type === 'bytes' && vector.form !== 'bytes') return values.map(value => value === null ? null : new Uint8Array(value as Uint8Array))
  return values
}

/** One element of a list column as rows hold it; lists keep times as µs, dates as text or days. */
function elementCell(value: unknown, element: string): unknown {
  if (element === 'json' && value !== null) return JSON.parse(value as string) as unknown
  if (element === 'date' && typeof value === 'number') return formatDate(value)
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (typeof value !== 'bigint') return value
  if (element === 'timestamp' || element === 'timestamptz') return timestampCell(value, element === 'timestamptz' ? '+00' : '')
  return element === 'time' ? formatTime(value) : integerCell(value)
}

/**
 * The values as `column()` gives them: a typed array where numeric and without nulls (timestamps: exact µs since 1970 in a
 * BigInt64Array), else an array with null where null.
 */
export function columnOf(vector: Vector): Column {
  const { type } = vector
  if (vector.form !== 'fixed') return cellsOf(vector)
  // what may be null and is not counts as well: rows of a part come with its marks, rows of a fetch without
  if (!hasNulls(vector)) {
    if (type === 'int64') return narrowest(vector.values)
    if (type === 'int32' || type === 'float32' || type === 'float64' || type === 'timestamp' || type === 'timestamptz') return vector.values
  }
  return type === 'timestamp' || type === 'timestamptz' ? storageValues(vector) : cellsOf(vector)
}

/** Doubles where all values are safe, whatever else the part they come from holds: the same rows give the same array. */
function narrowest(values: FixedArray): FixedArray {
  return values instanceof BigInt64Array && values.every(value => value >= -9007199254740991n && value <= 9007199254740991n)
    ? Float64Array.from(values, Number) : values
}

/**
 * The values in the form that `storageValueAs(type, …)` takes exactly: µs and text for times, text where text or json is wanted of
 * them, JSON as its text for `text`; else what rows hold.
 */
export function declarableValues(vector: Vector, type: ColumnType): Column {
  const from = vector.type
  const isTimestamp = from === 'timestamp' || from === 'timestamptz'
  if (isTimestamp && type === 'text') return storageValues(vector).map(value => value === null ? null : timestampText(value as bigint, from))
  if ((isTimestamp && type !== 'json') || (from === 'json' && type === 'text')) return storageValues(vector)
  return cellsOf(vector)
}

/** Write the values of `columnOf(vector)` into a longer array, from `at` on. */
export function fillColumn(vector: Vector, into: unknown[], at: number): void {
  const { type } = vector
  if (vector.form === 'bytes' && type !== 'bytes' && type !== 'json') decodeTexts(vector, into, at)
  else if (vector.form === 'dictionary' && type !== 'bytes' && type !== 'json') dictionaryValues(vector, into, at)
  else if (vector.form === 'fixed' && (type === 'int32' || type === 'float64')) plainValues(vector, into, at)
  // beside nulls integers are as rows hold them, whichever batch they are in
  else if (vector.form === 'fixed' && type === 'int64' && vector.values instanceof BigInt64Array) copyInto(storageValues(vector), into, at)
  else copyInto(columnOf(vector), into, at)
}

function copyInto(column: Column, into: unknown[], at: number): void {
  for (let i = 0; i < column.length; i++) into[at + i] = column[i]
}

/** One cell as text, for tables and CSV: exact µs for timestamps, JSON for objects, '' for null. */
export function cellText(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  return typeof value === 'object' ? printedJson(value) : String(value)
}

function printedJson(value: object): string {
  try {
    return JSON.stringify(value, jsonSafe)
  } catch (error) {
    // too deep for JSON.stringify's recursion
    if (error instanceof RangeError) return jsonText(value)
    throw error
  }
}

/** A `JSON.stringify` replacer that keeps what rows may hold and JSON has no form for: bigints as digits in text. */
export function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  return value
}

/** µs since 1970 as the text the server prints, for outputs that must not lose microseconds. */
export function timestampText(micros: bigint, type: 'timestamp' | 'timestamptz'): string {
  const finite = micros !== TIMESTAMP_INFINITY && micros !== TIMESTAMP_MINUS_INFINITY
  return formatTimestamp(micros, finite && type === 'timestamptz' ? '+00' : '')
}
