import { listElement, type ColumnType } from '../batch/column-type.js'
import type { Vector } from '../batch/vector.js'
import { dictionaryInUse, dictionaryOfBytes, dictionaryOfStrings, type Dictionary } from './dictionary.js'
import type { EncodedColumn } from './encoded-column.js'
import { encodePlain } from './encode-plain.js'
import { encodeLevels, lengthPrefixed, packedRunHeader, repeatedRun } from './hybrid.js'
import { encodeList } from './encode-list.js'
import { rangeOf } from './plain-numbers.js'

const NOTHING = new Uint8Array(0)

/** One byte per row, 0 where null; undefined when nothing is null. */
export function validityOf(vector: Vector): Uint8Array | undefined {
  if (vector.form !== 'values') return vector.valid !== undefined && vector.valid.includes(0) ? vector.valid : undefined
  if (!vector.values.includes(null)) return undefined
  const valid = new Uint8Array(vector.length)
  for (let i = 0; i < valid.length; i++) valid[i] = vector.values[i] === null ? 0 : 1
  return valid
}

/**
 * Encode a column.
 *
 * @throws {RangeError} a value does not fit the type, or a column that is not optional has nulls
 */
export function encodeColumn(type: ColumnType, vector: Vector, optional: boolean): EncodedColumn {
  if (vector.type !== type && vector.type !== 'null') throw new RangeError(`expected a vector of ${type}, found ${vector.type}`)
  const valid = validityOf(vector)
  if (valid !== undefined && !optional) throw new RangeError('expected no null in a column that is not nullable')
  if (listElement(type) !== undefined) return encodeList(type, vector, optional)
  let present = vector.length
  if (valid !== undefined) {
    present = 0
    for (let i = 0; i < valid.length; i++) present += valid[i]!
  }
  const levels = optional ? lengthPrefixed(encodeValidity(valid, vector.length)) : NOTHING
  const base = { levels, preamble: NOTHING, count: vector.length, nulls: vector.length - present }
  if (present === 0) return { ...base, values: NOTHING }
  const dictionary = type === 'text' || type === 'json' ? dictionaryOf(vector, valid, present) : undefined
  if (dictionary) return { ...base, ...encodeCodes(dictionary), dictionary }
  const range = vector.form === 'fixed' && valid === undefined ? rangeOf(vector) : undefined
  return { ...base, values: encodePlain(type, vector, valid, present), range }
}

function encodeValidity(valid: Uint8Array | undefined, length: number): Uint8Array {
  if (valid !== undefined) return encodeLevels(valid, 1)
  return length === 0 ? NOTHING : repeatedRun(1, length, 1)
}

function dictionaryOf(vector: Vector, valid: Uint8Array | undefined, present: number): Dictionary | undefined {
  switch (vector.form) {
    case 'values': return dictionaryOfStrings(vector.values, present)
    case 'bytes': return dictionaryOfBytes(vector, valid, present)
    case 'dictionary': return dictionaryInUse(vector, valid, present)
    case 'fixed': return undefined
  }
}

function encodeCodes({ codes, size }: Dictionary): { preamble: Uint8Array, values: Uint8Array } {
  const width = codes.BYTES_PER_ELEMENT * 8
  if (size === 1) return { preamble: Uint8Array.of(width, ...repeatedRun(0, codes.length, width)), values: NOTHING }
  const bytes = new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength)
  if (codes.length % 8 === 0) return { preamble: Uint8Array.of(width, ...packedRunHeader(codes.length)), values: bytes }
  // a bit-packed run has whole groups of 8
  const padded = new Uint8Array(Math.ceil(codes.length / 8) * width)
  padded.set(bytes)
  return { preamble: Uint8Array.of(width, ...packedRunHeader(codes.length)), values: padded }
}
