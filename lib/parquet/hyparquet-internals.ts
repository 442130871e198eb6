/**
 * The parts of hyparquet and hyparquet-writer that are exported by path but not documented as their API: page headers and the
 * footer. One place to look when a pinned version moves; our own signatures, so that nothing else depends on theirs.
 */
import type { CompressionCodec, FileMetaData, PageHeader } from 'hyparquet'
import { parquetMetadata, snappyUncompress } from 'hyparquet'
import { parquetHeader } from 'hyparquet/src/column.js'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { writeMetadata } from 'hyparquet-writer/src/metadata.js'
import { snappyCompress } from 'hyparquet-writer/src/snappy.js'

export type { CompressionCodec, FileMetaData, PageHeader }

/** The longest page header that is looked for. Ours have about 20 bytes; the bound keeps garbage from costing time. */
const MAX_PAGE_HEADER_BYTES = 1024

/**
 * Read the page header at `offset` of `bytes`; `end` is the offset of the page's first byte.
 *
 * @throws {Error} raw, on anything that is no Thrift struct
 */
export function readPageHeader(bytes: Uint8Array, offset: number): { header: PageHeader, end: number } {
  const length = Math.min(bytes.length - offset, MAX_PAGE_HEADER_BYTES)
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset + offset, length), offset: 0 }
  const header = parquetHeader(reader)
  return { header, end: offset + reader.offset }
}

/** The bytes of a page header. */
export function pageHeaderBytes(header: PageHeader): Uint8Array {
  const writer = new ByteWriter(64)
  writePageHeader(writer, header)
  return writer.getBytes()
}

/** The bytes of a file's metadata and its length field, without the magic number. */
export function metadataBytes(metadata: Omit<FileMetaData, 'metadata_length'>): Uint8Array {
  const writer = new ByteWriter(16384)
  writeMetadata(writer, metadata as FileMetaData)
  return writer.getBytes()
}

/** A file's metadata from its last bytes, dates and times as the raw integers, texts of statistics as bytes. */
export function readMetadata(tail: Uint8Array): FileMetaData {
  const raw = <T>(value: T): T => value
  return parquetMetadata(tail, { geoparquet: false, parsers: { timestampFromMilliseconds: raw, timestampFromMicroseconds: raw,
    timestampFromNanoseconds: raw, dateFromDays: raw, stringFromBytes: raw, jsonFromBytes: raw, uuidFromBytes: raw } })
}

export { snappyCompress, snappyUncompress }
