import { isVariableLength, listElement, type ColumnType, type Field } from '../batch/column-type.js'
import { checkedLengthPrefixed } from '../batch/length-prefixed.js'
import { gatherVector, nullVector, type BytesVector, type DictionaryVector, type FixedArray, type FixedVector, type Vector } from '../batch/vector.js'
import type { ColumnChunkMeta } from './column-chunk.js'
import { wrapCorruption } from './corruption.js'
import { decodeList } from './decode-list.js'
import { decodePlain, isPlainBytes, pickPlain } from './decode-plain.js'
import { decodeHybrid, ranksOf, solePackedValues, soleRepeatedValue } from './hybrid.js'
import { maxDefinition, readPages, type ColumnPages } from './pages.js'
import { spreadArray } from './plain-numbers.js'

type Codes = Uint8Array | Uint16Array | Uint32Array

/**
 * Decode a column chunk. Numbers and texts are views on `bytes` where that can be (uncompressed, aligned to 8 bytes): it must stay as it
 * is for as long as the vector is used.
 *
 * @param bytes exactly the column chunk
 * @param rows rows of the row group
 * @throws {CacheCorruptionError} the bytes are not what was written; nothing else is thrown, and nothing outside `bytes` is read
 */
export function decodeColumn(field: Field, chunk: ColumnChunkMeta, rows: number, bytes: Uint8Array, file?: string): Vector {
  return wrapCorruption(file ?? 'parquet file', `column ${field.name} cannot be read`, () => {
    const pages = readPages(field, chunk, bytes)
    if (listElement(field.type) !== undefined) return decodeList(field.type, pages, chunk.values, rows, maxDefinition(chunk, true))
    if (chunk.values !== rows) throw new Error(`${chunk.values} values in ${rows} rows`)
    return decodeRows(field.type, pages, rows)
  })
}

/**
 * Decode some rows of a column chunk: equal to `gatherVector(decodeColumn(…), rows)`, without decoding what lies between. Texts take one
 * pass over their lengths, up to the last row asked for.
 *
 * @param picks ascending positions in the row group
 * @throws {CacheCorruptionError} the bytes are not what was written
 */
export function decodeColumnRows(field: Field, chunk: ColumnChunkMeta, rows: number, bytes: Uint8Array, picks: Uint32Array, file?: string): Vector {
  return wrapCorruption(file ?? 'parquet file', `column ${field.name} cannot be read`, () => {
    if (picks.length > 0 && picks[picks.length - 1]! >= rows) throw new RangeError(`row ${picks[picks.length - 1]!} of ${rows}`)
    if (listElement(field.type) !== undefined) return gatherVector(decodeColumn(field, chunk, rows, bytes, file), picks)
    const pages = readPages(field, chunk, bytes)
    if (chunk.values !== rows) throw new Error(`${chunk.values} values in ${rows} rows`)
    return decodePicks(field.type, pages, picks)
  })
}

function decodeRows(type: ColumnType, pages: ColumnPages, rows: number): Vector {
  const { definitions: valid, present } = pages
  if (type === 'null' || present === 0 && rows > 0) return type === 'null' ? nullVector(type, rows) : absent(type, rows)
  if (pages.encoding === 'RLE_DICTIONARY') {
    const { codes, dictionary } = decodeCodes(type, pages)
    checkCodes(codes, dictionary.length)
    return { form: 'dictionary', type, length: rows, dictionary, ...(valid ? { codes: spreadArray(codes, valid), valid } : { codes }) }
  }
  if (valid && isPlainBytes(type)) return checkedLengthPrefixed(type, pages.values, present, valid)
  const compact = decodePlain(type, pages.values, present)
  return valid ? spread(compact, valid) : compact
}

/** A column of nulls in the form that the type's columns usually have. */
function absent(type: ColumnType, length: number): Vector {
  const valid = new Uint8Array(length)
  if (!isVariableLength(type)) return { ...decodePlain(type, new Uint8Array(length * 8), length) as FixedVector, valid }
  return { form: 'bytes', type, length, bytes: new Uint8Array(0), starts: new Uint32Array(length), ends: new Uint32Array(length), valid }
}

function spread(vector: FixedVector | BytesVector, valid: Uint8Array): FixedVector | BytesVector {
  const length = valid.length
  if (vector.form === 'fixed') {
    let values: FixedArray | undefined
    return { form: 'fixed', type: vector.type, length, valid, compact: vector.values, get values() { return values ??= spreadArray(vector.values, valid) } }
  }
  const { type, bytes, starts, ends } = vector
  return { form: 'bytes', type, length, bytes, valid, starts: spreadArray(starts, valid), ends: spreadArray(ends, valid) }
}

function decodeCodes(type: ColumnType, { dictionary, values, present }: ColumnPages): { codes: Codes, dictionary: BytesVector } {
  const entries = decodePlain(type, dictionary!.page, dictionary!.size)
  if (entries.form !== 'bytes') throw new Error(`a dictionary of ${type}`)
  return { codes: codesOf(values, present), dictionary: entries }
}

/** Codes of 8 or 16 bits in one run, as we write them, are a view; any other mix of runs is decoded. */
function codesOf(values: Uint8Array, count: number): Codes {
  if (values.length === 0) throw new Error('no dictionary codes')
  const width = values[0]!
  const runs = values.subarray(1)
  if (count > 0 && (width === 8 || width === 16)) {
    const packed = solePackedValues(runs, count, width)
    if (packed && width === 8) return packed
    if (packed && packed.byteOffset % 2 === 0) return new Uint16Array(packed.buffer, packed.byteOffset, count)
    if (packed) return new Uint16Array(packed.slice().buffer)
    if (soleRepeatedValue(runs, count, width) === 0) return new Uint8Array(count)
  }
  const codes = width <= 8 ? new Uint8Array(count) : width <= 16 ? new Uint16Array(count) : new Uint32Array(count)
  decodeHybrid(runs, width, codes)
  return codes
}

function checkCodes(codes: Codes, size: number): void {
  const most = highest(codes)
  if (codes.length > 0 && most >= size) throw new Error(`code ${most} in a dictionary of ${size}`)
}

function highest(codes: Codes): number {
  let most = 0
  for (let i = 0; i < codes.length; i++) if (codes[i]! > most) most = codes[i]!
  return most
}

function decodePicks(type: ColumnType, pages: ColumnPages, picks: Uint32Array): Vector {
  const { bits, present } = pages
  if (type === 'null') return nullVector(type, picks.length)
  const definitions = bits ? undefined : pages.definitions
  if (!bits && !definitions) return pickValues(type, pages, picks)
  const valid = new Uint8Array(picks.length)
  const positions = bits ? ranksOf(bits, picks, valid) : presentPositions(definitions!, picks, valid)
  if (present === 0) return absent(type, picks.length)
  const picked = pickValues(type, pages, positions)
  if (positions.length === picks.length) return { ...picked, valid }
  if (picked.form !== 'dictionary') return spread(picked, valid)
  return { ...picked, length: picks.length, codes: spreadArray(picked.codes, valid), valid }
}

function pickValues(type: ColumnType, pages: ColumnPages, positions: Uint32Array): FixedVector | BytesVector | DictionaryVector {
  if (pages.encoding === 'PLAIN') return pickPlain(type, pages.values, pages.present, positions)
  const all = decodeCodes(type, pages)
  const codes = new (all.codes.constructor as new (length: number) => Codes)(positions.length)
  for (let i = 0; i < codes.length; i++) codes[i] = all.codes[positions[i]!]!
  checkCodes(codes, all.dictionary.length)
  return { form: 'dictionary', type, length: codes.length, codes, dictionary: all.dictionary }
}

/** Where the rows `picks` that are present stand among the compact values; `valid` says which are. */
function presentPositions(definitions: Uint8Array, picks: Uint32Array, valid: Uint8Array): Uint32Array {
  const positions = new Uint32Array(picks.length)
  let row = 0
  let before = 0
  let found = 0
  for (let i = 0; i < picks.length; i++) {
    for (; row < picks[i]!; row++) before += definitions[row]!
    valid[i] = definitions[row]!
    if (valid[i] === 1) positions[found++] = before
  }
  return positions.subarray(0, found)
}
