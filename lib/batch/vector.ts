import type { ColumnType } from './column-type.js'

/**
 * One column of a batch, in the form it happened to arrive in. Strings stay bytes until somebody reads them.
 *
 * | type | storage value | `fixed` array |
 * |---|---|---|
 * | bool | boolean | Uint8Array of 0 and 1 |
 * | int32 · date (days) | number | Int32Array |
 * | int64 | number when safe, else bigint | Float64Array when all values are safe, else BigInt64Array |
 * | float32 · float64 | number | Float32Array · Float64Array |
 * | time · timestamp · timestamptz (µs) | bigint | BigInt64Array |
 * | text · uuid · decimal | string | none: `bytes` (UTF-8), `dictionary` or `values` |
 * | json | JSON text | as text |
 * | bytes | Uint8Array | as text, without decoding |
 * | list<T> | array of T's row values (timestamps: bigint µs, json: text) | `values` only |
 * | null | null | `values`, all null |
 *
 * Vectors are immutable once they are part of a batch; they may be views on a larger buffer.
 */
export type Vector = FixedVector | BytesVector | DictionaryVector | ValuesVector

export type FixedArray = Int32Array | Float64Array | Float32Array | BigInt64Array | Uint8Array

interface VectorBase {
  readonly type: ColumnType
  readonly length: number
}

/** Fixed-width values. `valid` has one byte per row, 1 = present; absent when nothing is null. */
export interface FixedVector extends VectorBase {
  readonly form: 'fixed'
  readonly values: FixedArray
  readonly valid?: Uint8Array | undefined
  /** The values that are present, one behind the other, in a vector whose `values` are made of them when they are first asked for. */
  readonly compact?: FixedArray | undefined
}

/** Row i is `bytes[starts[i] … ends[i])`; rows may lie anywhere in `bytes`, ascending in decoded pages. */
export interface BytesVector extends VectorBase {
  readonly form: 'bytes'
  readonly bytes: Uint8Array
  readonly starts: Uint32Array
  readonly ends: Uint32Array
  /** Set where `bytes` is nothing but the values that are present, one behind the other, each behind its length. */
  readonly lengthPrefixed?: LengthPrefixed
  readonly valid?: Uint8Array | undefined
}

/** What can be found without knowing where every value lies (see `length-prefixed.ts`). */
export interface LengthPrefixed {
  /** Where the length of a row's value stands; for a null, where that of the next one does. */
  positionOf(row: number): number
  /** Rows `from` (inclusive) to `to` (exclusive), without copying values. */
  slice(from: number, to: number): BytesVector
}

/** Row i is entry `codes[i]` of `dictionary`, which holds no nulls. */
export interface DictionaryVector extends VectorBase {
  readonly form: 'dictionary'
  readonly codes: Uint8Array | Uint16Array | Uint32Array
  readonly dictionary: BytesVector | ValuesVector
  readonly valid?: Uint8Array | undefined
}

/** Storage values as JS values, null where null. */
export interface ValuesVector extends VectorBase {
  readonly form: 'values'
  readonly values: readonly unknown[]
}

/** A column of `length` nulls. */
export function nullVector(type: ColumnType, length: number): ValuesVector {
  return { form: 'values', type, length, values: new Array<null>(length).fill(null) }
}

/** Whether any row is null. */
export function hasNulls(vector: Vector): boolean {
  if (vector.form === 'values') return vector.values.includes(null)
  return vector.valid !== undefined && vector.valid.includes(0)
}

/** Rows `from` (inclusive) to `to` (exclusive), without copying values. */
export function sliceVector(vector: Vector, from: number, to: number): Vector {
  if (from === 0 && to === vector.length) return vector
  const { type } = vector
  const length = to - from
  if (vector.form === 'values') return { form: 'values', type, length, values: vector.values.slice(from, to) }
  const valid = vector.valid?.subarray(from, to)
  switch (vector.form) {
    case 'fixed': return { form: 'fixed', type, length, values: vector.values.subarray(from, to), valid }
    case 'bytes': return vector.lengthPrefixed?.slice(from, to) ?? { form: 'bytes', type, length, bytes: vector.bytes, valid,
      starts: vector.starts.subarray(from, to), ends: vector.ends.subarray(from, to) }
    case 'dictionary': return { form: 'dictionary', type, length, codes: vector.codes.subarray(from, to), dictionary: vector.dictionary, valid }
  }
}

/** The same values in memory of their own, as few bytes as they take. */
export function ownBytes(vector: Vector): Vector {
  if (vector.form === 'dictionary' && vector.dictionary.form === 'bytes') {
    const { codes, dictionary, type, length, valid } = vector
    const { bytes, starts, ends } = dictionary
    return ownBytes({ form: 'bytes', type, length, bytes, valid, starts: Uint32Array.from(codes, code => starts[code]!), ends: Uint32Array.from(codes, code => ends[code]!) })
  }
  if (vector.form !== 'bytes') return vector
  const { bytes, starts, ends, valid, length } = vector
  let total = 0
  for (let i = 0; i < length; i++) if (valid?.[i] !== 0) total += ends[i]! - starts[i]!
  const own: BytesVector = { form: 'bytes', type: vector.type, length, bytes: new Uint8Array(total), starts: new Uint32Array(length), ends: new Uint32Array(length), valid }
  let at = 0
  for (let i = 0; i < length; i++) {
    own.starts[i] = at
    if (valid?.[i] !== 0) {
      own.bytes.set(bytes.subarray(starts[i], ends[i]), at)
      at += ends[i]! - starts[i]!
    }
    own.ends[i] = at
  }
  return own
}

function gatherArray<A extends FixedArray | Uint16Array | Uint32Array>(values: A, rows: Uint32Array): A {
  const picked = new (values.constructor as new (length: number) => A)(rows.length)
  for (let i = 0; i < rows.length; i++) picked[i] = values[rows[i]!]!
  return picked
}

/** The rows at positions `rows`, in that order. Bytes are not copied. */
export function gatherVector(vector: Vector, rows: Uint32Array): Vector {
  const { type } = vector
  const length = rows.length
  if (vector.form === 'values') {
    const values = new Array<unknown>(length)
    for (let i = 0; i < length; i++) values[i] = vector.values[rows[i]!]
    return { form: 'values', type, length, values }
  }
  const valid = vector.valid && gatherArray(vector.valid, rows)
  switch (vector.form) {
    case 'fixed': return { form: 'fixed', type, length, values: gatherArray(vector.values, rows), valid }
    case 'bytes': return { form: 'bytes', type, length, bytes: vector.bytes, valid,
      starts: gatherArray(vector.starts, rows), ends: gatherArray(vector.ends, rows) }
    case 'dictionary': return { form: 'dictionary', type, length, codes: gatherArray(vector.codes, rows), dictionary: vector.dictionary, valid }
  }
}
