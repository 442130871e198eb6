import { jsonText } from '../json/json-text.js'
import { buildVector } from './build.js'
import { cellsOf, storageValues } from './cells.js'
import { widenTypes, type ColumnType, type Field } from './column-type.js'
import { joinLengthPrefixed } from './length-prefixed.js'
import { RowBatch } from './row-batch.js'
import { hasNulls, nullVector, type BytesVector, type DictionaryVector, type FixedArray, type FixedVector, type Vector } from './vector.js'

/**
 * A vector as another type of the widening lattice. Row values stay what they are.
 *
 * @throws {TypeError} the lattice has no such step
 */
export function convertVector(vector: Vector, type: ColumnType): Vector {
  if (vector.type === type) return vector
  if (vector.type === 'null') return type === 'json' || vector.form !== 'values' ? nullVector(type, vector.length) : buildVector(type, vector.values)
  if (type === 'json') {
    const cells = cellsOf(vector)
    return { form: 'values', type, length: vector.length, values: Array.from(cells as ArrayLike<unknown>, cell => cell === null ? null : jsonText(cell)) }
  }
  if (vector.form === 'fixed' && (type === 'int64' || type === 'float64')) {
    if (vector.values instanceof Float64Array) return { ...vector, type }
    const { length, values, valid } = vector
    if (values instanceof Int32Array) return { form: 'fixed', type, length, values: Float64Array.from(values), valid }
    if (values instanceof BigInt64Array && type === 'float64') return { form: 'fixed', type, length, values: Float64Array.from(values, Number), valid }
  }
  throw new TypeError(`a column of ${vector.type} cannot become ${type}`)
}

/** Rows of one vector and where they go: positions in the result, in the same order. Contiguous when `at` is a number. */
export interface Piece {
  vector: Vector
  at: number | Uint32Array
}

/**
 * One vector of `length` rows from pieces of the same type. Positions no piece fills are null.
 */
export function scatterVectors(type: ColumnType, length: number, pieces: readonly Piece[]): Vector {
  if (pieces.length === 0) return buildVector(type, new Array<null>(length).fill(null))
  const only = pieces[0]
  if (pieces.length === 1 && only && only.vector.length === length && only.at === 0) return only.vector
  const filled = pieces.reduce((sum, { vector }) => sum + vector.length, 0)
  if (inOrder(pieces, length)) return concatVectors(type, pieces.map(({ vector }) => vector))
  if (pieces.every(({ vector }) => vector.form === 'fixed')) return scatterFixed(type, length, pieces as { vector: FixedVector, at: number | Uint32Array }[], filled)
  const numbered = pieces.map(({ vector }) => vector)
  if (type !== 'bytes' && numbered.every(vector => vector.form === 'dictionary')) {
    return scatterCodes(length, pieces.map(({ at }) => at), concatDictionaries(type, filled, numbered), numbered.map(vector => vector.length))
  }
  const values = new Array<unknown>(length)
  if (filled < length) values.fill(null)
  for (const { vector, at } of pieces) scatterValues(storageValues(vector), at, values)
  return buildVector(type, values)
}

// one loop for each kind of array: a loop that sees several kinds is several times slower

function scatterValues(from: readonly unknown[], at: number | Uint32Array, into: unknown[]): void {
  if (typeof at === 'number') for (let i = 0; i < from.length; i++) into[at + i] = from[i]
  else for (let i = 0; i < from.length; i++) into[at[i]!] = from[i]
}

function scatterDoubles(from: Float64Array, at: Uint32Array, into: Float64Array): void {
  for (let i = 0; i < from.length; i++) into[at[i]!] = from[i]!
}

function scatterOthers(from: Exclude<FixedArray, Float64Array>, at: Uint32Array, into: FixedArray): void {
  for (let i = 0; i < from.length; i++) into[at[i]!] = from[i]!
}

function scatterMarks(from: Uint8Array | undefined, at: Uint32Array, into: Uint8Array): void {
  if (from) for (let i = 0; i < at.length; i++) into[at[i]!] = from[i]!
  else for (let i = 0; i < at.length; i++) into[at[i]!] = 1
}

function scatterCode(from: Uint16Array | Uint32Array, at: Uint32Array, into: Uint16Array | Uint32Array): void {
  for (let i = 0; i < from.length; i++) into[at[i]!] = from[i]!
}

/** The codes of one vector, cut into pieces that go where `at` says; the other positions are null. */
function scatterCodes(length: number, at: readonly (number | Uint32Array)[], { codes, dictionary, type, valid: given, length: filled }: DictionaryVector,
  lengths: readonly number[]): Vector {
  const scattered = codes instanceof Uint16Array ? new Uint16Array(length) : new Uint32Array(length)
  const valid = given || filled < length ? new Uint8Array(length) : undefined
  let from = 0
  at.forEach((positions, piece) => {
    const to = from + lengths[piece]!
    const marks = given?.subarray(from, to)
    if (typeof positions === 'number') {
      scattered.set(codes.subarray(from, to), positions)
      if (marks) valid?.set(marks, positions)
      else valid?.fill(1, positions, positions + to - from)
    } else {
      scatterCode(codes.subarray(from, to) as Uint16Array, positions, scattered)
      if (valid) scatterMarks(marks, positions, valid)
    }
    from = to
  })
  return { form: 'dictionary', type, length, codes: scattered, dictionary, valid }
}

function inOrder(pieces: readonly Piece[], length: number): boolean {
  let next = 0
  for (const { vector, at } of pieces) {
    if (at !== next) return false
    next += vector.length
  }
  return next === length
}

function scatterFixed(type: ColumnType, length: number, pieces: readonly { vector: FixedVector, at: number | Uint32Array }[], filled: number): Vector {
  const arrays = sameKind(pieces.map(({ vector }) => vector.values))
  const values = newArrayLike(arrays[0]!, length)
  const needsValid = filled < length || pieces.some(({ vector }) => vector.valid !== undefined)
  const valid = needsValid ? new Uint8Array(length).fill(filled < length ? 0 : 1) : undefined
  pieces.forEach(({ vector, at }, p) => {
    const from = arrays[p]!
    if (typeof at === 'number') {
      values.set(from as never, at)
      if (vector.valid) valid?.set(vector.valid, at)
      else valid?.fill(1, at, at + from.length)
    } else {
      if (from instanceof Float64Array && values instanceof Float64Array) scatterDoubles(from, at, values)
      else scatterOthers(from as Int32Array, at, values)
      if (valid) scatterMarks(vector.valid, at, valid)
    }
  })
  return { form: 'fixed', type, length, values, valid }
}

function newArrayLike(array: FixedArray, length: number): FixedArray {
  return new (array.constructor as new (length: number) => FixedArray)(length)
}

/** int64 pieces may be doubles or int64: all become int64 when one is. */
function sameKind(arrays: readonly FixedArray[]): FixedArray[] {
  if (arrays.every(array => array.constructor === arrays[0]?.constructor)) return [...arrays]
  return arrays.map(array => array instanceof BigInt64Array ? array : BigInt64Array.from(array as Float64Array, BigInt))
}

/** The vectors' rows one after the other. All of the same type. */
export function concatVectors(type: ColumnType, vectors: readonly Vector[]): Vector {
  if (vectors.length === 1) return vectors[0]!
  const length = vectors.reduce((sum, vector) => sum + vector.length, 0)
  if (vectors.length === 0) return nullVector(type, 0)
  if (vectors.every(vector => vector.form === 'fixed')) {
    let at = 0
    return scatterFixed(type, length, vectors.map(vector => ({ vector, at: (at += vector.length) - vector.length })), length)
  }
  if (vectors.every(vector => vector.form === 'bytes')) return concatBytes(type, length, vectors)
  if (type !== 'bytes' && vectors.every(vector => vector.form === 'dictionary')) return concatDictionaries(type, length, vectors)
  const values = new Array<unknown>(length)
  let at = 0
  for (const vector of vectors) {
    const stored = storageValues(vector)
    for (let i = 0; i < stored.length; i++) values[at++] = stored[i]
  }
  return vectors.every(vector => vector.form === 'values') ? { form: 'values', type, length, values } : buildVector(type, values)
}

/** Codes under one dictionary: the vectors' own where they share it, else what theirs have together. */
function concatDictionaries(type: ColumnType, length: number, vectors: readonly DictionaryVector[]): DictionaryVector {
  const first = vectors[0]!.dictionary
  const shared = vectors.every(({ dictionary }) => dictionary === first)
  const entries = new Map<unknown, number>()
  const renumbered = shared ? undefined : vectors.map(({ dictionary }) => Uint32Array.from(storageValues(dictionary), entry => {
    const code = entries.get(entry) ?? entries.size
    entries.set(entry, code)
    return code
  }))
  const codes = (shared ? first.length : entries.size) <= 65_536 ? new Uint16Array(length) : new Uint32Array(length)
  let at = 0
  vectors.forEach((vector, v) => {
    const renumber = renumbered?.[v]
    if (renumber) renumberCodes(vector.codes, renumber, codes, at)
    else codes.set(vector.codes, at)
    at += vector.length
  })
  const dictionary = shared ? first : { form: 'values' as const, type, length: entries.size, values: [...entries.keys()] }
  return { form: 'dictionary', type, length, codes, dictionary, valid: joinValid(length, vectors) }
}

/** Which of the vectors' rows, one vector's after the other's, are present; undefined where all are. */
function joinValid(length: number, vectors: readonly (BytesVector | DictionaryVector)[]): Uint8Array | undefined {
  if (vectors.every(vector => vector.valid === undefined)) return undefined
  const valid = new Uint8Array(length).fill(1)
  let at = 0
  for (const vector of vectors) {
    if (vector.valid) valid.set(vector.valid, at)
    at += vector.length
  }
  return valid
}

function renumberCodes(from: DictionaryVector['codes'], renumber: Uint32Array, into: Uint16Array | Uint32Array, at: number): void {
  for (let i = 0; i < from.length; i++) into[at + i] = renumber[from[i]!]!
}

function concatBytes(type: ColumnType, length: number, vectors: readonly BytesVector[]): Vector {
  const valid = joinValid(length, vectors)
  if (vectors.every(vector => vector.lengthPrefixed)) return joinLengthPrefixed(type, vectors, valid)
  const spans = vectors.map(spanOf)
  const bytes = new Uint8Array(spans.reduce((sum, { low, high }) => sum + high - low, 0))
  const starts = new Uint32Array(length)
  const ends = new Uint32Array(length)
  let row = 0
  let base = 0
  vectors.forEach((vector, v) => {
    const { low, high } = spans[v]!
    bytes.set(vector.bytes.subarray(low, high), base)
    moveOffsets(vector.starts, vector.valid, base - low, starts, row)
    moveOffsets(vector.ends, vector.valid, base - low, ends, row)
    row += vector.length
    base += high - low
  })
  return { form: 'bytes', type, length, bytes, starts, ends, valid }
}

/** The bytes that hold the values. */
function spanOf({ bytes, starts, ends, valid }: BytesVector): { low: number, high: number } {
  let [low, high] = [bytes.length, 0]
  for (let i = 0; i < starts.length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    if (starts[i]! < low) low = starts[i]!
    if (ends[i]! > high) high = ends[i]!
  }
  return low > high ? { low: 0, high: 0 } : { low, high }
}

/** Offsets of values moved `by` so many bytes; 0 where null. */
function moveOffsets(from: Uint32Array, valid: Uint8Array | undefined, by: number, into: Uint32Array, at: number): void {
  if (valid) for (let i = 0; i < from.length; i++) into[at + i] = valid[i] === 0 ? 0 : from[i]! + by
  else for (let i = 0; i < from.length; i++) into[at + i] = from[i]! + by
}

/** One field for the same column of several batches: types widened (dotted columns at last to json), nulls of any. */
export function unifyFields(fields: readonly Field[], dotted: boolean): Field | undefined {
  let unified: Field | undefined
  for (const field of fields) {
    if (!unified) unified = { ...field }
    else {
      const widened = widenTypes(unified, field, dotted)
      if (!widened) return undefined
      unified = { name: unified.name, nullable: unified.nullable || field.nullable, type: widened.type,
        ...(widened.origin ? { origin: widened.origin } : {}), ...(widened.wide ? { wide: true } : {}) }
    }
  }
  return unified
}

/** The batches' rows one after the other, under one schema. Batches must have the same columns, of types that widen to it. */
export function concatBatches(schema: readonly Field[], batches: readonly RowBatch[]): RowBatch {
  if (batches.length === 1 && batches[0]!.schema === schema) return batches[0]!
  const vectors = schema.map((field, c) => concatVectors(field.type, batches.map(batch => convertVector(batch.vectors[c]!, field.type))))
  return new RowBatch(schema.map((field, c) => ({ ...field, nullable: hasNulls(vectors[c]!) })), vectors)
}

