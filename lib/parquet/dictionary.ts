import { storageValues } from '../batch/cells.js'
import type { ColumnType } from '../batch/column-type.js'
import type { BytesVector, DictionaryVector, ValuesVector, Vector } from '../batch/vector.js'
import { BytesEntries, hashBytes } from './bytes-entries.js'
import { encodeByteStrings, encodeBytesVector, encodeStrings, viewOf } from './plain-texts.js'

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

/** So many values, picked all over the column, decide whether it is worth counting; more of them distinct than this, and it is not. */
const SAMPLE = 1024
const MAX_SAMPLE_SHARE = 0.95
/** Spreads sample positions; any odd number of this size does. */
const SCATTER = 0x9e3779b1

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
  const seen = new Set<K>()
  let taken = 0
  for (const piece of pieces) {
    for (let i = Math.ceil(SAMPLE * piece.length / rows); i > 0; i--) {
      const key = keyAt(piece, (Math.imul(i, SCATTER) >>> 0) % piece.length)
      if (key === null) continue
      taken++
      seen.add(key)
    }
  }
  return seen.size > taken * MAX_SAMPLE_SHARE
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
  if (looksDistinct(pieces, (piece, row) => piece.valid?.[row] === 0 ? null : hashBytes(views.get(piece)!, piece.starts[row]!, piece.ends[row]!))) return undefined
  const entries = new BytesEntries(limit, MAX_DICTIONARY_BYTES)
  const codes = new Uint16Array(present)
  let at = 0
  for (const piece of pieces) {
    at = entries.number(piece, views.get(piece)!, codes, at)
    if (at < 0) return undefined
  }
  return { codes: narrowCodes(codes, entries.size), page: entries.page(), size: entries.size }
}

/** The dictionary of a column that already has one, or one for each piece: the entries in use; undefined where those are too many. */
export function dictionaryInUse(pieces: readonly DictionaryVector[], present: number): Dictionary | undefined {
  const limit = maxEntries(present)
  const first = pieces[0]!.dictionary
  // entries are told apart by their number while all pieces share a dictionary, else by what they say
  const keysOf = pieces.every(({ dictionary }) => dictionary === first) ? () => undefined : storageValues
  const used = new Map<unknown, number>()
  const codes = new Uint16Array(present)
  let at = 0
  for (const piece of pieces) {
    at = renumber(piece, { keys: keysOf(piece.dictionary), used, limit }, codes, at)
    if (at < 0) return undefined
  }
  const page = keysOf(first) === undefined ? dictionaryPage(first, [...used.keys()] as number[]) : encodeValueTexts(first.type, [...used.keys()])
  return page.length > MAX_DICTIONARY_BYTES ? undefined : { codes: narrowCodes(codes, used.size), page, size: used.size }
}

/** Number a piece's values by the entries in use; returns where its last code stands, plus one, or -1 where there are too many entries. */
function renumber({ codes, dictionary, valid }: DictionaryVector, { keys, used, limit }: { keys: readonly unknown[] | undefined, used: Map<unknown, number>, limit: number },
  into: Uint16Array, at: number): number {
  const numbers = new Int32Array(dictionary.length).fill(-1)
  for (let i = 0; i < codes.length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    const code = codes[i]!
    let number = numbers[code]!
    if (number < 0) {
      const key = keys ? keys[code] : code
      number = used.get(key) ?? used.size
      if (number >= limit) return -1
      used.set(key, number)
      numbers[code] = number
    }
    into[at++] = number
  }
  return at
}

function dictionaryPage(dictionary: BytesVector | ValuesVector, used: readonly number[]): Uint8Array {
  if (dictionary.form === 'values') return encodeValueTexts(dictionary.type, used.map(entry => dictionary.values[entry]))
  const { bytes, starts, ends, type } = dictionary
  return encodeBytesVector({ form: 'bytes', type, length: used.length, bytes,
    starts: Uint32Array.from(used, entry => starts[entry]!), ends: Uint32Array.from(used, entry => ends[entry]!) }, undefined)
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
