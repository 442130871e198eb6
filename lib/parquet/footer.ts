import { isColumnType, listElement, type Field } from '../batch/column-type.js'
import { corrupt, wrapCorruption } from './corruption.js'
import { isCodec } from './codec.js'
import { MAX_GROUP_ROWS, type ColumnChunkMeta, type PlacedRowGroup } from './column-chunk.js'
import { metadataBytes, readMetadata, type FileMetaData } from './hyparquet-internals.js'
import { narrow } from './plain-numbers.js'
import { isOptional, leafPath, physicalType, schemaElements } from './schema.js'

/** The four bytes at both ends of a Parquet file. */
export const PARQUET_MAGIC: Uint8Array = Uint8Array.of(0x50, 0x41, 0x52, 0x31)

/** What our files begin with: the magic number, and zeros up to the 8 bytes at which the first row group starts. */
export const FILE_HEADER: Uint8Array = Uint8Array.of(...PARQUET_MAGIC, 0, 0, 0, 0)

/** Bytes at a file's end that say how long its metadata is, magic number included. */
export const TRAILER_BYTES = 8

/** The key of our own description among a file's key-value metadata. */
const OWN_KEY = 'millrace'
const FORMAT_VERSION = 1

/** What a footer is made from. `keyValue` must not use the key `millrace`. */
export interface FooterParts {
  fields: readonly Field[]
  rowGroups: readonly PlacedRowGroup[]
  keyValue?: Readonly<Record<string, string>>
}

/** What a footer says. Column offsets count from their row group, row group offsets from the file's start. */
export interface ParsedFooter {
  fields: Field[]
  rows: number
  rowGroups: PlacedRowGroup[]
  keyValue: Record<string, string>
}

type FileColumn = FileMetaData['row_groups'][number]['columns'][number]

/** The last bytes of a file: metadata, its length, the magic number. */
export function encodeFooter({ fields, rowGroups, keyValue = {} }: FooterParts): Uint8Array {
  const own = JSON.stringify({ version: FORMAT_VERSION, fields })
  const metadata = metadataBytes({
    version: 2,
    created_by: `millrace version ${FORMAT_VERSION}`,
    schema: schemaElements(fields),
    num_rows: BigInt(rowGroups.reduce((sum, { rows }) => sum + rows, 0)),
    row_groups: rowGroups.map(group => {
      if (group.offset % 8 !== 0) throw new RangeError(`a row group at ${group.offset}, which is no multiple of 8`)
      return { num_rows: BigInt(group.rows), columns: group.columns.map((chunk, i) => fileColumn(fields[i]!, chunk, group, i === 0)),
        total_byte_size: BigInt(sum(group.columns, chunk => chunk.uncompressedBytes)),
        total_compressed_size: BigInt(sum(group.columns, chunk => chunk.bytes)) }
    }),
    key_value_metadata: [{ key: OWN_KEY, value: own }, ...Object.entries(keyValue).map(([key, value]) => ({ key, value }))],
  })
  return Buffer.concat([metadata, PARQUET_MAGIC])
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function fileColumn(field: Field, chunk: ColumnChunkMeta, { offset, idMin, idMax }: PlacedRowGroup, isId: boolean): FileColumn {
  const start = BigInt(offset + chunk.offset)
  const { type } = physicalType(field.type)
  const bound = (id: number | bigint): number | bigint => type === 'INT32' ? Number(id) : BigInt(id)
  const bounds = isId && idMin !== undefined && idMax !== undefined ? { min_value: bound(idMin), max_value: bound(idMax) } : {}
  return { file_offset: start, meta_data: {
    type, path_in_schema: leafPath(field), codec: chunk.codec, num_values: BigInt(chunk.values),
    encodings: chunk.encoding === 'PLAIN' ? ['PLAIN', 'RLE'] : ['PLAIN', 'RLE', 'RLE_DICTIONARY'],
    total_uncompressed_size: BigInt(chunk.uncompressedBytes), total_compressed_size: BigInt(chunk.bytes),
    data_page_offset: start + BigInt(chunk.dictionaryBytes), ...(chunk.dictionaryBytes > 0 ? { dictionary_page_offset: start } : {}),
    statistics: { null_count: BigInt(chunk.nulls), ...bounds } } }
}

/**
 * How many bytes at the end of a file `parseFooter` needs, from its last 8 bytes (or more).
 *
 * @throws {CacheCorruptionError} the file does not end like a Parquet file
 */
export function footerBytes(tail: Uint8Array, file = 'parquet file'): number {
  const at = tail.length - TRAILER_BYTES
  if (at < 0 || PARQUET_MAGIC.some((byte, i) => tail[at + 4 + i] !== byte)) throw corrupt(file, 'it does not end like a Parquet file')
  return new DataView(tail.buffer, tail.byteOffset).getUint32(at, true) + TRAILER_BYTES
}

/**
 * Read the footer of a file of ours.
 *
 * @param tail the file's last bytes, at least `footerBytes(tail)`
 * @param fileBytes the file's size; every offset is checked against it
 * @throws {CacheCorruptionError} it is no footer of ours, or says what cannot be
 */
export function parseFooter(tail: Uint8Array, fileBytes: number, file = 'parquet file'): ParsedFooter {
  const length = footerBytes(tail, file)
  return wrapCorruption(file, 'its footer cannot be read', () => {
    if (length > tail.length || length > fileBytes - FILE_HEADER.length) throw new Error(`${length} bytes of footer in ${tail.length} of ${fileBytes}`)
    const metadata = readMetadata(tail.subarray(tail.length - length))
    const keyValue = Object.create(null) as Record<string, string>
    for (const { key, value } of metadata.key_value_metadata ?? []) keyValue[key] = value ?? ''
    const fields = parseFields(keyValue[OWN_KEY], metadata)
    delete keyValue[OWN_KEY]
    const rowGroups = metadata.row_groups.map(group => placedRowGroup(group, fields, fileBytes - length))
    const rows = sum(rowGroups, group => group.rows)
    if (BigInt(rows) !== metadata.num_rows) throw new Error(`${metadata.num_rows} rows in row groups of ${rows}`)
    return { fields, rows, rowGroups, keyValue }
  })
}

function parseFields(own: string | undefined, { schema }: FileMetaData): Field[] {
  if (own === undefined) throw new Error('it is no file of ours')
  const { version, fields } = JSON.parse(own) as { version: unknown, fields: Field[] }
  if (version !== FORMAT_VERSION) throw new Error(`its format is version ${String(version)}`)
  for (const { name, type, nullable } of fields) {
    if (typeof name !== 'string' || typeof type !== 'string' || !isColumnType(type) || typeof nullable !== 'boolean') throw new Error('an unreadable field')
  }
  const expected = schemaElements(fields)
  const differs = expected.some((element, i) => element.name !== schema[i]?.name || element.type !== schema[i].type ||
    i > 0 && element.repetition_type !== schema[i].repetition_type)
  if (differs || schema.length !== expected.length) throw new Error('its schema differs from its fields')
  return fields
}

function placedRowGroup(group: FileMetaData['row_groups'][number], fields: readonly Field[], end: number): PlacedRowGroup {
  const rows = integer(group.num_rows, MAX_GROUP_ROWS)
  if (group.columns.length !== fields.length) throw new Error(`${group.columns.length} columns for ${fields.length} fields`)
  const chunks = group.columns.map((column, i) => columnChunk(column, fields[i]!, rows, end))
  const first = chunks.reduce((least, chunk) => Math.min(least, chunk.offset), end)
  const last = chunks.reduce((most, chunk) => Math.max(most, chunk.offset + chunk.bytes), 0)
  const offset = first - first % 8
  if (offset < FILE_HEADER.length) throw new Error(`a row group at ${offset}`)
  const placed: PlacedRowGroup = { rows, offset, bytes: Math.ceil((last - offset) / 8) * 8,
    columns: chunks.map(chunk => ({ ...chunk, offset: chunk.offset - offset })) }
  const { min_value, max_value } = group.columns[0]?.meta_data?.statistics ?? {}
  if (isId(min_value) && isId(max_value)) [placed.idMin, placed.idMax] = [narrow(min_value), narrow(max_value)]
  return placed
}

function isId(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

function integer(value: unknown, most: number): number {
  const number = Number(value)
  if (!(number >= 0 && number <= most)) throw new Error(`expected a number up to ${most}, found ${String(value)}`)
  return number
}

function columnChunk({ meta_data: meta }: FileColumn, field: Field, rows: number, end: number): ColumnChunkMeta {
  if (!meta || !isCodec(meta.codec)) throw new Error(`column ${field.name} has the codec ${String(meta?.codec)}`)
  const dataOffset = integer(meta.data_page_offset, end)
  const offset = meta.dictionary_page_offset === undefined ? dataOffset : integer(meta.dictionary_page_offset, dataOffset)
  const bytes = integer(meta.total_compressed_size, end - offset)
  // every entry of a list takes a bit of levels at least, unless they are all alike
  const values = integer(meta.num_values, listElement(field.type) === undefined ? rows : MAX_GROUP_ROWS * 4)
  if (values < rows) throw new Error(`column ${field.name} has ${values} values in ${rows} rows`)
  return { name: field.name, offset, bytes, uncompressedBytes: integer(meta.total_uncompressed_size, Number.MAX_SAFE_INTEGER), values,
    nulls: integer(meta.statistics?.null_count ?? 0, values), codec: meta.codec, optional: isOptional(field), dictionaryBytes: dataOffset - offset,
    encoding: meta.encodings.includes('RLE_DICTIONARY') ? 'RLE_DICTIONARY' : 'PLAIN' }
}
