import { listElement, type Field } from '../batch/column-type.js'
import { plainBytes, uncompress } from './codec.js'
import type { ColumnChunkMeta } from './column-chunk.js'
import { countBits, decodeHybrid, solePackedValues, soleRepeatedValue, unpackBits } from './hybrid.js'
import { readPageHeader, type PageHeader } from './hyparquet-internals.js'

/** A column chunk taken apart. */
export interface ColumnPages {
  dictionary?: { page: Uint8Array, size: number } | undefined
  encoding: 'PLAIN' | 'RLE_DICTIONARY'
  /** From the first value to the page's end. */
  values: Uint8Array
  /** Definition levels, undefined where all values are present. */
  readonly definitions?: Uint8Array | undefined
  /** The definition levels as they came, where that is one run of bits; `definitions` unpacks them each time it is read. */
  bits?: Uint8Array | undefined
  /** Repetition levels, for lists only. */
  repetitions?: Uint8Array | undefined
  /** How many values the page holds. */
  present: number
}

/** Sections of a data page, whichever its version. */
interface Sections { encoding: string, repetitions: Uint8Array, definitions: Uint8Array, values: Uint8Array }

/**
 * Read the headers of a column chunk of one data page, and perhaps a dictionary page; uncompress, and decode levels.
 *
 * @throws {Error} raw, where the bytes are not what the chunk's description says
 */
export function readPages(field: Field, chunk: ColumnChunkMeta, given: Uint8Array): ColumnPages {
  if (given.length !== chunk.bytes) throw new Error(`${given.length} bytes instead of ${chunk.bytes}`)
  const bytes = plainBytes(given)
  const dictionary = chunk.dictionaryBytes === 0 ? undefined : readDictionary(chunk, bytes)
  const { header, body } = readPage(bytes, chunk.dictionaryBytes, bytes.length)
  const isList = listElement(field.type) !== undefined
  const sections = header.type === 'DATA_PAGE' ? sectionsOf(chunk, header, body, isList) : sectionsOfV2(chunk, header, body)
  const encoding = sections.encoding === 'PLAIN_DICTIONARY' ? 'RLE_DICTIONARY' : sections.encoding
  if (encoding !== 'PLAIN' && !(encoding === 'RLE_DICTIONARY' && dictionary)) throw new Error(`values are encoded as ${encoding}`)
  const base = { dictionary, encoding, values: sections.values } as const
  const bits = isList || !chunk.optional || chunk.values === 0 ? undefined : solePackedValues(sections.definitions, chunk.values, 1)
  if (bits) return { ...base, bits, present: countBits(bits, chunk.values), get definitions() { return unpacked(bits, chunk.values) } }
  const definitions = decodeDefinitions(chunk, sections.definitions, isList)
  const repetitions = isList ? new Uint8Array(chunk.values) : undefined
  if (repetitions) decodeHybrid(sections.repetitions, 1, repetitions)
  return { ...base, definitions, repetitions,
    present: definitions === undefined ? chunk.values : countOf(definitions, maxDefinition(chunk, isList)) }
}

function unpacked(bits: Uint8Array, count: number): Uint8Array {
  const levels = new Uint8Array(count)
  unpackBits(bits, levels)
  return levels
}

/** The definition level of a value that is there. */
export function maxDefinition({ optional }: ColumnChunkMeta, isList: boolean): number {
  return (optional ? 1 : 0) + (isList ? 2 : 0)
}

function countOf(levels: Uint8Array, level: number): number {
  let count = 0
  for (let i = 0; i < levels.length; i++) if (levels[i] === level) count++
  return count
}

function readPage(bytes: Uint8Array, from: number, to: number): { header: PageHeader, body: Uint8Array } {
  const { header, end } = readPageHeader(bytes.subarray(0, to), from)
  if (!isLength(header.uncompressed_page_size) || end + header.compressed_page_size !== to) {
    throw new Error(`a page of ${header.compressed_page_size} bytes in ${to - end}`)
  }
  return { header, body: bytes.subarray(end, to) }
}

function isLength(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0
}

function readDictionary(chunk: ColumnChunkMeta, bytes: Uint8Array): { page: Uint8Array, size: number } {
  const { header, body } = readPage(bytes, 0, chunk.dictionaryBytes)
  const size = header.dictionary_page_header?.num_values
  if (header.type !== 'DICTIONARY_PAGE' || !isLength(size) || size > chunk.values) throw new Error('no dictionary page where one should be')
  return { page: uncompress(chunk.codec, body, header.uncompressed_page_size), size }
}

function sectionsOf(chunk: ColumnChunkMeta, header: PageHeader, body: Uint8Array, isList: boolean): Sections {
  const data = header.data_page_header
  if (data?.num_values !== chunk.values) throw new Error(`a page of ${data?.num_values} values instead of ${chunk.values}`)
  const page = uncompress(chunk.codec, body, header.uncompressed_page_size)
  let at = 0
  const levels = (): Uint8Array => {
    if (at + 4 > page.length) throw new Error('levels are cut short')
    const length = new DataView(page.buffer, page.byteOffset + at).getUint32(0, true)
    if (length > page.length - at - 4) throw new Error(`${length} bytes of levels in ${page.length}`)
    at += 4 + length
    return page.subarray(at - length, at)
  }
  const repetitions = isList ? levels() : page.subarray(0, 0)
  const definitions = maxDefinition(chunk, isList) > 0 ? levels() : page.subarray(0, 0)
  return { encoding: data.encoding, repetitions, definitions, values: page.subarray(at) }
}

function sectionsOfV2(chunk: ColumnChunkMeta, header: PageHeader, body: Uint8Array): Sections {
  const data = header.data_page_header_v2
  if (header.type !== 'DATA_PAGE_V2' || data?.num_values !== chunk.values) throw new Error(`a page of ${data?.num_values} values instead of ${chunk.values}`)
  const { repetition_levels_byte_length: repetitions, definition_levels_byte_length: definitions } = data
  const levels = repetitions + definitions
  if (!isLength(repetitions) || !isLength(definitions) || levels > body.length || levels > header.uncompressed_page_size) {
    throw new Error(`${levels} bytes of levels in ${body.length}`)
  }
  const values = uncompress(data.is_compressed === false ? 'UNCOMPRESSED' : chunk.codec, body.subarray(levels), header.uncompressed_page_size - levels)
  return { encoding: data.encoding, repetitions: body.subarray(0, repetitions), definitions: body.subarray(repetitions, levels), values }
}

function decodeDefinitions(chunk: ColumnChunkMeta, bytes: Uint8Array, isList: boolean): Uint8Array | undefined {
  const most = maxDefinition(chunk, isList)
  if (most === 0 || chunk.values === 0) return undefined
  const width = isList ? 2 : 1
  if (soleRepeatedValue(bytes, chunk.values, width) === most) return undefined
  const levels = new Uint8Array(chunk.values)
  decodeHybrid(bytes, width, levels)
  if (isList) for (let i = 0; i < levels.length; i++) if (levels[i]! > most) throw new Error(`a definition level of ${levels[i]!}`)
  return levels
}
