import type { ColumnType } from '../batch/column-type.js'
import type { BytesVector, DictionaryVector, ValuesVector } from '../batch/vector.js'
import { encodeByteStrings, encodeBytesVector, encodeStrings } from './plain-texts.js'

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
const FNV_PRIME = 0x01000193

function maxEntries(present: number): number {
  return Math.min(MAX_ENTRIES, Math.floor(present * MAX_SHARE))
}

/** Codes of `distinct` values take 8 bits where that is enough; whole bytes decode as typed arrays. */
function newCodes(length: number, distinct: number): Uint8Array | Uint16Array {
  return distinct <= 256 ? new Uint8Array(length) : new Uint16Array(length)
}

function looksDistinct<K>(length: number, keyAt: (i: number) => K | null): boolean {
  if (length < 2 * SAMPLE) return false
  const seen = new Set<K>()
  let taken = 0
  for (let i = 0; i < SAMPLE; i++) {
    const key = keyAt((Math.imul(i, SCATTER) >>> 0) % length)
    if (key === null) continue
    taken++
    seen.add(key)
  }
  return seen.size > taken * MAX_SAMPLE_SHARE
}

/** The dictionary of a column of JS strings, or undefined where it does not pay. */
export function dictionaryOfStrings(values: readonly unknown[], present: number): Dictionary | undefined {
  const limit = maxEntries(present)
  if (limit === 0 || looksDistinct(values.length, i => values[i])) return undefined
  const entries = new Map<unknown, number>()
  const wide = new Uint16Array(present)
  let units = 0
  let at = 0
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
    wide[at++] = code
  }
  const codes = entries.size <= 256 ? Uint8Array.from(wide) : wide
  return { codes, page: encodeStrings([...entries.keys()]), size: entries.size }
}

/** The dictionary of a column of UTF-8 bytes, or undefined where it does not pay. */
export function dictionaryOfBytes({ bytes, starts, ends, length }: BytesVector, valid: Uint8Array | undefined, present: number): Dictionary | undefined {
  const limit = maxEntries(present)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const hashAt = (i: number): number => hashBytes(view, starts[i]!, ends[i]!)
  if (limit === 0 || looksDistinct(length, i => valid !== undefined && valid[i] === 0 ? null : hashAt(i))) return undefined
  // open addressing; slots hold an entry's number + 1
  const slots = new Uint32Array(2 ** Math.ceil(Math.log2(limit * 2 + 2)))
  const mask = slots.length - 1
  const first = new Uint32Array(limit)
  const wide = new Uint16Array(present)
  let size = 0
  let total = 0
  for (let i = 0, at = 0; i < length; i++) {
    if (valid !== undefined && valid[i] === 0) continue
    const start = starts[i]!
    const end = ends[i]!
    let slot = hashAt(i) & mask
    let entry = slots[slot]!
    while (entry !== 0 && !equalBytes(bytes, starts[first[entry - 1]!]!, ends[first[entry - 1]!]!, start, end)) {
      slot = slot + 1 & mask
      entry = slots[slot]!
    }
    if (entry === 0) {
      total += end - start
      if (size >= limit || total > MAX_DICTIONARY_BYTES) return undefined
      first[size] = i
      slots[slot] = entry = ++size
    }
    wide[at++] = entry - 1
  }
  const picked = first.subarray(0, size)
  const entries: BytesVector = { form: 'bytes', type: 'text', length: size, bytes,
    starts: picked.map(row => starts[row]!), ends: picked.map(row => ends[row]!) }
  return { codes: size <= 256 ? Uint8Array.from(wide) : wide, page: encodeBytesVector(entries, undefined), size }
}

/** FNV-1a over words of 4 bytes, then over the rest. */
function hashBytes(view: DataView, start: number, end: number): number {
  let hash = end - start
  let at = start
  for (; at + 4 <= end; at += 4) hash = Math.imul(hash ^ view.getInt32(at, true), FNV_PRIME)
  for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), FNV_PRIME)
  hash = Math.imul(hash ^ hash >>> 15, 0x85ebca6b)
  return (hash ^ hash >>> 13) >>> 0
}

function equalBytes(bytes: Uint8Array, start: number, end: number, otherStart: number, otherEnd: number): boolean {
  if (end - start !== otherEnd - otherStart) return false
  while (start < end) if (bytes[start++] !== bytes[otherStart++]) return false
  return true
}

/** The dictionary of a column that already has one, reduced to the entries in use; undefined where those are too many. */
export function dictionaryInUse(vector: DictionaryVector, valid: Uint8Array | undefined, present: number): Dictionary | undefined {
  const { codes, dictionary } = vector
  const limit = maxEntries(present)
  const renumbered = new Int32Array(dictionary.length).fill(-1)
  const used: number[] = []
  for (let i = 0; i < codes.length; i++) {
    if (valid !== undefined && valid[i] === 0 || renumbered[codes[i]!]! >= 0) continue
    renumbered[codes[i]!] = used.length
    used.push(codes[i]!)
    if (used.length > limit) return undefined
  }
  const page = dictionaryPage(dictionary, used)
  if (page.length > MAX_DICTIONARY_BYTES) return undefined
  const compact = newCodes(present, used.length)
  for (let i = 0, at = 0; i < codes.length; i++) if (valid === undefined || valid[i] !== 0) compact[at++] = renumbered[codes[i]!]!
  return { codes: compact, page, size: used.length }
}

function dictionaryPage(dictionary: BytesVector | ValuesVector, used: readonly number[]): Uint8Array {
  if (dictionary.form === 'values') return encodeValueTexts(dictionary.type, used.map(entry => dictionary.values[entry]))
  const { bytes, starts, ends, type } = dictionary
  return encodeBytesVector({ form: 'bytes', type, length: used.length, bytes,
    starts: Uint32Array.from(used, entry => starts[entry]!), ends: Uint32Array.from(used, entry => ends[entry]!) }, undefined)
}

/** Strings, or for `bytes` columns Uint8Arrays, as a PLAIN page. */
export function encodeValueTexts(type: ColumnType, values: readonly unknown[]): Uint8Array {
  return type === 'bytes' ? encodeByteStrings(values) : encodeStrings(values)
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
