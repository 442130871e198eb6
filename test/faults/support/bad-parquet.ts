import { TRAILER_BYTES, footerBytes, parseFooter } from '../../../lib/parquet/footer.js'
import { metadataBytes, pageHeaderBytes, readMetadata, readPageHeader, type FileMetaData, type PageHeader } from '../../../lib/parquet/hyparquet-internals.js'

/** A Parquet file that is wrong in one way. */
export interface BadFile {
  kind: string
  bytes: Uint8Array
  /** Nothing in the file contradicts it: only a checksum from outside can tell. */
  looksFine?: boolean
}

type Deep<T> = T extends bigint | number | string | Uint8Array ? T : { -readonly [K in keyof T]: Deep<T[K]> }

/** The file with another footer. */
function withMetadata(good: Uint8Array, edit: (metadata: Deep<FileMetaData>) => void): Uint8Array {
  const length = footerBytes(good)
  const metadata = readMetadata(good.subarray(good.length - length)) as Deep<FileMetaData>
  edit(metadata)
  return Buffer.concat([good.subarray(0, good.length - length), metadataBytes(metadata as FileMetaData), Buffer.from('PAR1')])
}

/** The file with its last eight bytes saying that the footer has this many bytes. */
function withFooterLength(good: Uint8Array, length: number): Uint8Array {
  const bytes = Buffer.from(good)
  bytes.writeUInt32LE(length >>> 0, bytes.length - TRAILER_BYTES)
  return bytes
}

/** Where a column's page begins, its header ends, and its chunk ends; `column` by name, its dictionary page or its data page. */
function pageOf(good: Uint8Array, column: string, isDictionary = false): { start: number, body: number, end: number, header: PageHeader } {
  const { fields, rowGroups: [group] } = parseFooter(good, good.length)
  const chunk = group!.columns[fields.findIndex(({ name }) => name === column)]!
  const from = group!.offset + chunk.offset
  const start = isDictionary ? from : from + chunk.dictionaryBytes
  const { header, end: body } = readPageHeader(good, start)
  return { start, body, end: isDictionary ? from + chunk.dictionaryBytes : from + chunk.bytes, header }
}

/** The file with one page's header changed; what does not fit into the page's place is cut off. */
function withHeader(good: Uint8Array, column: string, edit: (header: Deep<PageHeader>) => void, isDictionary = false): Uint8Array {
  const { start, body, end, header } = pageOf(good, column, isDictionary)
  const changed = structuredClone(header) as Deep<PageHeader>
  edit(changed)
  const page = Buffer.concat([pageHeaderBytes(changed as PageHeader), good.subarray(body, end)])
  const bytes = Buffer.from(good)
  bytes.fill(0, start, end)
  page.copy(bytes, start, 0, end - start)
  return bytes
}

/** The file with bytes of one page's body changed. */
function withBody(good: Uint8Array, column: string, edit: (body: Buffer) => void, isDictionary = false): Uint8Array {
  const { body, end } = pageOf(good, column, isDictionary)
  const bytes = Buffer.from(good)
  edit(bytes.subarray(body, end))
  return bytes
}

/**
 * Files of each kind that has broken some reader of Parquet, made from a file of ours. Its column `name` has plain
 * texts, `score` doubles without nulls, `note` nulls, `city` a dictionary.
 */
export function badFiles(good: Uint8Array): BadFile[] {
  const column = (metadata: Deep<FileMetaData>, at = 1): Deep<NonNullable<FileMetaData['row_groups'][number]['columns'][number]['meta_data']>> => metadata.row_groups[0]!.columns[at]!.meta_data!
  const bad: BadFile[] = [
    // the footer
    { kind: 'footer of 4 GB', bytes: withFooterLength(good, 2 ** 32 - 1) },
    { kind: 'footer of 2 GB', bytes: withFooterLength(good, 2 ** 31) },
    { kind: 'footer as long as the file', bytes: withFooterLength(good, good.length) },
    { kind: 'footer of nothing', bytes: withFooterLength(good, 0) },
    { kind: 'footer one byte short', bytes: withFooterLength(good, footerBytes(good) - TRAILER_BYTES - 1) },
    { kind: 'no magic number at the end', bytes: Buffer.concat([good.subarray(0, -4), Buffer.from('PARE')]) },
    { kind: 'Thrift of ones', bytes: Buffer.from(good).fill(0xff, good.length - footerBytes(good), good.length - TRAILER_BYTES) },
    { kind: 'Thrift of zeros', bytes: Buffer.from(good).fill(0, good.length - footerBytes(good), good.length - TRAILER_BYTES) },
    { kind: 'Thrift lists of 2^31 entries', bytes: Buffer.from(good).fill(0xfc, good.length - footerBytes(good), good.length - footerBytes(good) + 40) },
    { kind: 'more rows than there are', bytes: withMetadata(good, metadata => { metadata.num_rows = 2n ** 62n }) },
    { kind: 'fewer rows than none', bytes: withMetadata(good, metadata => { metadata.num_rows = -1n }) },
    { kind: 'a row group of 2^40 rows', bytes: withMetadata(good, metadata => { metadata.row_groups[0]!.num_rows = 2n ** 40n }) },
    { kind: '2^62 values in a column', bytes: withMetadata(good, metadata => { column(metadata).num_values = 2n ** 62n }) },
    { kind: 'fewer values than none', bytes: withMetadata(good, metadata => { column(metadata).num_values = -5n }) },
    { kind: 'columns of different lengths', bytes: withMetadata(good, metadata => { column(metadata, 2).num_values -= 1n }) },
    { kind: 'a page beyond the end of the file', bytes: withMetadata(good, metadata => { column(metadata).data_page_offset = 2n ** 40n }) },
    { kind: 'a page before the file', bytes: withMetadata(good, metadata => { column(metadata).data_page_offset = -100n }) },
    { kind: 'a chunk larger than the file', bytes: withMetadata(good, metadata => { column(metadata).total_compressed_size = 2n ** 40n }) },
    { kind: 'a chunk smaller than nothing', bytes: withMetadata(good, metadata => { column(metadata).total_compressed_size = -1n }) },
    { kind: 'a page of another column', bytes: withMetadata(good, metadata => { column(metadata, 1).data_page_offset = column(metadata, 2).data_page_offset }) },
    { kind: 'another codec than it has', bytes: withMetadata(good, metadata => { column(metadata).codec = 'SNAPPY' }) },
    { kind: 'a codec we do not have', bytes: withMetadata(good, metadata => { column(metadata).codec = 'ZSTD' }) },
    { kind: 'a schema of another type', bytes: withMetadata(good, metadata => { metadata.schema[1]!.type = 'BYTE_ARRAY' }) },
    { kind: 'a schema with a column too many', bytes: withMetadata(good, metadata => {
      metadata.schema.push({ name: 'more', type: 'INT32', repetition_type: 'OPTIONAL' })
      metadata.schema[0]!.num_children!++
    }) },
    { kind: 'no row groups', bytes: withMetadata(good, metadata => { metadata.row_groups = [] }) },
    { kind: 'a row group without its columns', bytes: withMetadata(good, metadata => { metadata.row_groups[0]!.columns.length = 1 }) },
    { kind: 'required where there are nulls', bytes: withMetadata(good, metadata => { metadata.schema.find(({ name }) => name === 'note')!.repetition_type = 'REQUIRED' }) },
    { kind: 'nobody\'s file', bytes: withMetadata(good, metadata => { metadata.key_value_metadata = [] }) },
    // page headers
    ...(['name', 'score'] as const).flatMap((name): BadFile[] => [
      { kind: `a page of 2^31 bytes (${name})`, bytes: withHeader(good, name, header => { header.uncompressed_page_size = 2 ** 31 - 1 }) },
      { kind: `a page of fewer bytes than none (${name})`, bytes: withHeader(good, name, header => { header.uncompressed_page_size = -1 }) },
      { kind: `a compressed page of 2^31 bytes (${name})`, bytes: withHeader(good, name, header => { header.compressed_page_size = 2 ** 31 - 1 }) },
      { kind: `a page of 2^31 values (${name})`, bytes: withHeader(good, name, header => { header.data_page_header!.num_values = 2 ** 31 - 1 }) },
      { kind: `a page of fewer values than none (${name})`, bytes: withHeader(good, name, header => { header.data_page_header!.num_values = -1 }) },
      { kind: `an encoding it does not have (${name})`, bytes: withHeader(good, name, header => { header.data_page_header!.encoding = 'DELTA_BINARY_PACKED' }) },
      { kind: `a checksum of its own that is wrong (${name})`, bytes: withHeader(good, name, header => { header.crc = 12_345 }) },
      { kind: `a header of zeros (${name})`, bytes: blank(good, name, 0) },
      { kind: `a header of ones (${name})`, bytes: blank(good, name, 0xff) }
    ]),
    { kind: 'a dictionary of fewer values than none', bytes: withHeader(good, 'city', header => { header.dictionary_page_header!.num_values = -1 }, true) },
    { kind: 'a dictionary of 2^31 values', bytes: withHeader(good, 'city', header => { header.dictionary_page_header!.num_values = 2 ** 31 - 1 }, true) },
    { kind: 'a dictionary that is no dictionary', bytes: withHeader(good, 'city', header => { header.type = 'DATA_PAGE' }, true) },
    // levels and values
    { kind: 'levels of 4 GB', bytes: withBody(good, 'note', body => { body.writeUInt32LE(2 ** 32 - 1, 0) }) },
    { kind: 'no levels where there are nulls', bytes: withBody(good, 'note', body => { body.writeUInt32LE(0, 0) }) },
    { kind: 'fewer levels than values', bytes: withBody(good, 'note', body => { body.fill(3, 4, 5) }) },
    { kind: 'a text of 4 GB', bytes: withBody(good, 'name', body => { body.writeUInt32LE(2 ** 32 - 16, 0) }) },
    { kind: 'a text that ends behind its page', bytes: withBody(good, 'name', body => { body.writeUInt32LE(body.length, 0) }) },
    { kind: 'dictionary indexes of 0 bits', bytes: withBody(good, 'city', body => { body.writeUInt8(0, 0) }), looksFine: true },
    { kind: 'dictionary indexes of 255 bits', bytes: withBody(good, 'city', body => { body.writeUInt8(255, 0) }) },
    { kind: 'dictionary indexes beyond the dictionary', bytes: withBody(good, 'city', body => { body.fill(0xff, 1) }) },
    // what no reader of the file alone can find
    { kind: 'another double', bytes: withBody(good, 'score', body => { body.writeDoubleLE(-1, 80) }), looksFine: true },
    { kind: 'another letter', bytes: withBody(good, 'name', body => { body.write('N', 4) }), looksFine: true }
  ]
  return bad
}

function blank(good: Uint8Array, column: string, byte: number): Uint8Array {
  const { start, body } = pageOf(good, column)
  return Buffer.from(good).fill(byte, start, body)
}
