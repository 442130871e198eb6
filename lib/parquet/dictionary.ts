import { storageValues } from '../batch/cells.js'
import type { ColumnType } from '../batch/column-type.js'
import { DistinctSample } from '../batch/distinct-sample.js'
import { LENGTH_BYTES, viewOf } from '../batch/length-prefixed.js'
import type { BytesVector, DictionaryVector, ValuesVector, Vector } from '../batch/vector.js'
import { BytesEntries, hashBytes } from './bytes-entries.js'
import { encodeByteStrings, encodeStrings } from './plain-texts.js'

/** The values of a column as codes into their distinct values, both without nulls. Codes have 8 or 16 bits. */
export interface Dictionary {
  codes: Uint8Array | Uint16Array
  /** The distinct values as a PLAIN page. */
  page: Uint8Array
  size: number
}

/** A dictionary pays when there are at most this many distinct values per row … */
const MAX_SHARE = 0.1
/** … and no more entries than 16-bit codes reach … */
const MAX_ENTRIES = 65_535
/** … in at most this many bytes. */
const MAX_DICTIONARY_BYTES = 1 << 20

/** So many values, picked all over the column, decide whether it is worth counting … */
const SAMPLE = 1024
/** … from so many rows each, at the beginning of a piece whose rows are found only by walking over those before. */
const ROWS_PER_SAMPLE = 8

function maxEntries(present: number): number {
  return Math.min(MAX_ENTRIES, Math.floor(present * MAX_SHARE))
}

/** Codes of `distinct` values take 8 bits where that is enough; whole bytes decode as typed arrays. */
function narrowCodes(codes: Uint16Array, distinct: number): Uint8Array | Uint16Array {
  return distinct <= 256 ? new Uint8Array(codes) : codes
}

/**
 * Whether a column is not worth counting, by a sample of it.
 *
 * @param keyAt what identifies a value of the piece, null where there is none
 */
function looksDistinct<V extends Vector, K>(pieces: readonly V[], keyAt: (piece: V, row: number) => K | null): boolean {
  const rows = pieces.reduce((sum, { length }) => sum + length, 0)
  if (rows < 2 * SAMPLE) return false
  const sample = new DistinctSample<K>()
  for (const piece of pieces) {
    const count = Math.ceil(SAMPLE * piece.length / rows)
    const isWalked = piece.form === 'bytes' && piece.lengthPrefixed !== undefined
    sample.take(isWalked ? Math.min(piece.length, count * ROWS_PER_SAMPLE) : piece.length, count, row => keyAt(piece, row))
  }
  return sample.looksDistinct
}

/** The dictionary of a column of JS strings, or undefined where it does not pay. */
export function dictionaryOfStrings(pieces: readonly ValuesVector[], present: number): Dictionary | undefined {
  const limit = maxEntries(present)
  if (limit === 0 || looksDistinct(pieces, ({ values }, row) => values[row])) return undefined
  const entries = new Map<unknown, number>()
  const codes = new Uint16Array(present)
  let units = 0
  let at = 0
  for (const { values } of pieces) {
    for (let i = 0; i < values.length; i++) {
      const value = values[i]
      if (value === null) continue
      let code = entries.get(value)
      if (code === undefined) {
        code = entries.size
        units += (value as string).length
        if (code >= limit || units > MAX_DICTIONARY_BYTES) return undefined
        entries.set(value, code)
      }
      codes[at++] = code
    }
  }
  return { codes: narrowCodes(codes, entries.size), page: encodeStrings([[...entries.keys()]]), size: entries.size }
}

/** The dictionary of a column of UTF-8 bytes, or undefined where it does not pay. */
export function dictionaryOfBytes(pieces: readonly BytesVector[], present: number): Dictionary | undefined {
  const limit = maxEntries(present)
  if (limit === 0) return undefined
  const views = new Map(pieces.map(piece => [piece, viewOf(piece.bytes)]))
  if (looksDistinct(pieces, (piece, row) => piece.valid?.[row] === 0 ? null : hashOf(piece, views.get(piece)!, row))) return undefined
  const entries = new BytesEntries(limit, MAX_DICTIONARY_BYTES)
  const codes = new Uint16Array(present)
  let at = 0
  for (const piece of pieces) {
    at = numberBytes(piece, views.get(piece)!, entries, codes, at)
    if (at < 0) return undefined
  }
  return { codes: narrowCodes(codes, entries.size), page: entries.page(), size: entries.size }
}

function hashOf(piece: BytesVector, view: DataView, row: number): number {
  if (!piece.lengthPrefixed) return hashBytes(view, piece.starts[row]!, piece.ends[row]!)
  const position = piece.lengthPrefixed.positionOf(row)
  const start = position + LENGTH_BYTES
  return hashBytes(view, start, start + view.getInt32(position, true))
}

/** Number a piece's values, nulls left out; returns where its last code stands, plus one, or -1 where there are too many entries. */
function numberBytes({ starts, ends, valid, length }: BytesVector, view: DataView, entries: BytesEntries, codes: Uint16Array, at: number): number {
  for (let i = 0; i < length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    const number = entries.numberOf(view, starts[i]!, ends[i]!)
    if (number < 0) return -1
    codes[at++] = number
  }
  return at
}

/** The dictionary of a column that already has one, or one for each piece: the entries in use; undefined where those are too many. */
export function dictionaryInUse(pieces: readonly DictionaryVector[], present: number): Dictionary | undefined {
  const entries = pieces.every(({ dictionary }) => dictionary.form === 'bytes') ? bytesInUse(maxEntries(present)) : stringsInUse(maxEntries(present))
  const codes = new Uint16Array(present)
  const numbers = new Map<DictionaryVector['dictionary'], Int32Array>()
  let at = 0
  for (const piece of pieces) {
    const { dictionary } = piece
    const known = numbers.get(dictionary) ?? new Int32Array(dictionary.length).fill(-1)
    numbers.set(dictionary, known)
    at = renumber(piece, { numbers: known, numberOf: entries.numbererOf(dictionary) }, codes, at)
    if (at < 0) return undefined
  }
  const page = entries.page()
  return page.length > MAX_DICTIONARY_BYTES ? undefined : { codes: narrowCodes(codes, entries.size()), page, size: entries.size() }
}

/** Numbers of entries, the same for what is equal in several dictionaries. */
interface EntriesInUse {
  /** Gives each code of a dictionary its number; -1 where that would be one entry too many. */
  numbererOf(dictionary: BytesVector | ValuesVector): (code: number) => number
  size(): number
  page(): Uint8Array
}

function bytesInUse(limit: number): EntriesInUse {
  const entries = new BytesEntries(limit, MAX_DICTIONARY_BYTES)
  return {
    numbererOf: dictionary => {
      const { bytes, starts, ends } = dictionary as BytesVector
      const view = viewOf(bytes)
      return code => entries.numberOf(view, starts[code]!, ends[code]!)
    },
    size: () => entries.size,
    page: () => entries.page()
  }
}

function stringsInUse(limit: number): EntriesInUse {
  const entries = new Map<unknown, number>()
  return {
    numbererOf: dictionary => {
      const values = storageValues(dictionary)
      return code => {
        const number = entries.get(values[code]) ?? entries.size
        if (number >= limit) return -1
        entries.set(values[code], number)
        return number
      }
    },
    size: () => entries.size,
    page: () => encodeStrings([[...entries.keys()]])
  }
}

/** Number a piece's values; returns where its last code stands, plus one, or -1 where there are too many entries. */
function renumber({ codes, valid }: DictionaryVector, { numbers, numberOf }: { numbers: Int32Array, numberOf: (code: number) => number }, into: Uint16Array, at: number): number {
  for (let i = 0; i < codes.length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    const code = codes[i]!
    let number = numbers[code]!
    if (number < 0) {
      number = numbers[code] = numberOf(code)
      if (number < 0) return -1
    }
    into[at++] = number
  }
  return at
}

/** Strings, or for `bytes` columns Uint8Arrays, as a PLAIN page. */
export function encodeValueTexts(type: ColumnType, values: readonly unknown[]): Uint8Array {
  return type === 'bytes' ? encodeByteStrings(values) : encodeStrings([values])
}

/** A dictionary vector's values one by one: each row points at its entry's bytes. */
export function expandDictionary({ type, codes, dictionary, length }: DictionaryVector, valid: Uint8Array | undefined): BytesVector | ValuesVector {
  if (dictionary.form === 'values') {
    return { form: 'values', type, length, values: Array.from(codes, (code, i) => valid?.[i] === 0 ? null : dictionary.values[code]) }
  }
  const starts = new Uint32Array(length)
  const ends = new Uint32Array(length)
  for (let i = 0; i < length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    starts[i] = dictionary.starts[codes[i]!]!
    ends[i] = dictionary.ends[codes[i]!]!
  }
  return { form: 'bytes', type, length, bytes: dictionary.bytes, starts, ends, valid }
}
