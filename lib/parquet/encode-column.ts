import { listElement, type ColumnType } from '../batch/column-type.js'
import { concatVectors, convertVector } from '../batch/combine.js'
import type { ValuesVector, Vector } from '../batch/vector.js'
import { dictionaryInUse, dictionaryOfBytes, dictionaryOfStrings, type Dictionary } from './dictionary.js'
import type { EncodedColumn } from './encoded-column.js'
import { encodePlain } from './encode-plain.js'
import { countOnes, encodeLevels, lengthPrefixed, packedRunHeader, repeatedRun } from './hybrid.js'
import { encodeList } from './encode-list.js'
import { encodeStrings } from './plain-texts.js'

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
 * Encode a column, given as the pieces it came in.
 *
 * @throws {RangeError} a value does not fit the type, or a column that is not optional has nulls
 */
export function encodeColumn(type: ColumnType, pieces: readonly Vector[], optional: boolean): EncodedColumn {
  const other = pieces.find(piece => piece.type !== type && piece.type !== 'null')
  if (other) throw new RangeError(`expected a vector of ${type}, found ${other.type}`)
  if (pieces.length > 1 && !encodesInPieces(type, pieces)) return encodeColumn(type, [concatVectors(type, pieces.map(piece => convertVector(piece, type)))], optional)
  const valids = pieces.map(validityOf)
  const valid = joinValidity(pieces, valids)
  if (valid !== undefined && !optional) throw new RangeError('expected no null in a column that is not nullable')
  if (listElement(type) !== undefined) return encodeList(type, pieces[0]!, optional)
  const count = pieces.reduce((sum, { length }) => sum + length, 0)
  const presentIn = pieces.map(({ length }, p) => valids[p] ? countOnes(valids[p]) : length)
  const present = presentIn.reduce((sum, each) => sum + each, 0)
  const levels = optional ? lengthPrefixed(encodeValidity(valid, count)) : NOTHING
  const base = { levels, preamble: NOTHING, count, nulls: count - present }
  if (present === 0) return { ...base, values: [] }
  const dictionary = type === 'text' || type === 'json' ? dictionaryOf(pieces, present) : undefined
  if (dictionary) return { ...base, ...encodeCodes(dictionary), dictionary }
  if (pieces.every(isStrings) && (type === 'text' || type === 'json')) return { ...base, values: [encodeStrings(pieces.map(({ values }) => values))] }
  return { ...base, values: pieces.map((piece, p) => encodePlain(type, piece, valids[p], presentIn[p]!)) }
}

/** Whether the pieces' pages make one when they follow one another: bits do not, and a dictionary is one for all. */
function encodesInPieces(type: ColumnType, pieces: readonly Vector[]): boolean {
  if (type === 'bool' || listElement(type) !== undefined) return false
  return !(type === 'text' || type === 'json') || pieces.every(({ form }) => form === pieces[0]!.form)
}

function joinValidity(pieces: readonly Vector[], valids: readonly (Uint8Array | undefined)[]): Uint8Array | undefined {
  if (valids.length === 1 || valids.every(valid => valid === undefined)) return valids[0]
  const joined = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  pieces.forEach(({ length }, p) => {
    const valid = valids[p]
    if (valid) joined.set(valid, at)
    else joined.fill(1, at, at + length)
    at += length
  })
  return joined
}

function encodeValidity(valid: Uint8Array | undefined, length: number): Uint8Array {
  if (valid !== undefined) return encodeLevels(valid, 1)
  return length === 0 ? NOTHING : repeatedRun(1, length, 1)
}

function dictionaryOf(pieces: readonly Vector[], present: number): Dictionary | undefined {
  if (pieces.every(isStrings)) return dictionaryOfStrings(pieces, present)
  if (pieces.every(piece => piece.form === 'bytes')) return dictionaryOfBytes(pieces, present)
  if (pieces.every(piece => piece.form === 'dictionary')) return dictionaryInUse(pieces, present)
  return undefined
}

const isStrings = (piece: Vector): piece is ValuesVector => piece.form === 'values'

function encodeCodes({ codes, size }: Dictionary): { preamble: Uint8Array, values: Uint8Array[] } {
  const width = codes.BYTES_PER_ELEMENT * 8
  if (size === 1) return { preamble: Uint8Array.of(width, ...repeatedRun(0, codes.length, width)), values: [] }
  const bytes = new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength)
  if (codes.length % 8 === 0) return { preamble: Uint8Array.of(width, ...packedRunHeader(codes.length)), values: [bytes] }
  // a bit-packed run has whole groups of 8
  const padded = new Uint8Array(Math.ceil(codes.length / 8) * width)
  padded.set(bytes)
  return { preamble: Uint8Array.of(width, ...packedRunHeader(codes.length)), values: [padded] }
}
