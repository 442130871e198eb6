import type { Field } from '../batch/column-type.js'
import type { Vector } from '../batch/vector.js'
import { InvalidArgumentError, messageOf } from '../errors.js'
import { compress, type Codec } from './codec.js'
import type { ColumnChunkMeta, RowGroupMeta } from './column-chunk.js'
import { encodeColumn } from './encode-column.js'
import type { EncodedColumn } from './encoded-column.js'
import { pageHeaderBytes } from './hyparquet-internals.js'
import { rangeOf } from './plain-numbers.js'
import { isOptional } from './schema.js'

/** The bytes and the description of a row group that has no place in a file yet. */
export interface EncodedRowGroup extends RowGroupMeta {
  /**
   * The consecutive bytes of the row group. Number columns are views on the vectors' own memory: it must stay as it is until they
   * are written.
   */
  chunks: Uint8Array[]
}

/** Fewer rows are encoded without a stop. */
const STEP_ROWS = 8192

/** Values start at multiples of this, counted from the row group, so that typed arrays can be laid over them. */
const ALIGNMENT = 8

/**
 * Encode one row group: a column chunk per field, a data page (version 1) per column chunk, a dictionary page before it where text
 * has few distinct values. PLAIN numbers and texts; statistics on the first column where it holds integers, null counts on all.
 *
 * @param columns one per field, each as one vector or as several that follow one another, all of the same length, with storage values
 * @throws {InvalidArgumentError} a value does not fit its field
 */
export function encodeRowGroup(fields: readonly Field[], columns: readonly (Vector | readonly Vector[])[], options: { codec: Codec }): EncodedRowGroup {
  const steps = encodeInSteps(fields, columns, options)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/**
 * As {@link encodeRowGroup}, and stops after each column of many rows: other work need not wait for all of them.
 *
 * @param isSorted the first column's values ascend
 */
export function * encodeInSteps(fields: readonly Field[], columns: readonly (Vector | readonly Vector[])[],
  { codec, isSorted = false }: { codec: Codec, isSorted?: boolean }): Generator<undefined, EncodedRowGroup, undefined> {
  const inPieces = columns.map(column => 'form' in column ? [column] : column)
  const rows = lengthOf(inPieces[0])
  const group: EncodedRowGroup = { rows, bytes: 0, columns: [], chunks: [] }
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!
    const pieces = inPieces[i]
    if (!pieces || lengthOf(pieces) !== rows) {
      throw new InvalidArgumentError({ argument: `column ${field.name}`, expected: `${rows} rows`, found: pieces ? String(lengthOf(pieces)) : 'none' })
    }
    appendChunk(group, field, encodeField(field, pieces), codec)
    const range = i === 0 ? rangeOf(pieces, isSorted) : undefined
    if (range) [group.idMin, group.idMax] = [range.min, range.max]
    if (rows >= STEP_ROWS) yield undefined
  }
  pad(group, group.bytes)
  return group
}

function lengthOf(pieces: readonly Vector[] | undefined): number {
  return pieces?.reduce((sum, { length }) => sum + length, 0) ?? 0
}

function encodeField(field: Field, pieces: readonly Vector[]): EncodedColumn {
  try {
    return encodeColumn(field.type, pieces, isOptional(field))
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new InvalidArgumentError({ argument: `column ${field.name}`, expected: `values of ${field.type}`, found: messageOf(cause), cause })
  }
}

/** Add zeros so that the byte at `position` would be aligned. */
function pad(group: EncodedRowGroup, position: number): void {
  const missing = (ALIGNMENT - position % ALIGNMENT) % ALIGNMENT
  if (missing > 0) append(group, new Uint8Array(missing))
}

function append(group: EncodedRowGroup, ...parts: readonly Uint8Array[]): void {
  for (const part of parts) {
    if (part.length === 0) continue
    group.chunks.push(part)
    group.bytes += part.length
  }
}

function appendChunk(group: EncodedRowGroup, field: Field, column: EncodedColumn, codec: Codec): void {
  const { levels, preamble, values, dictionary, count, nulls } = column
  const encoding = dictionary ? 'RLE_DICTIONARY' : 'PLAIN'
  const first = dictionary ? dictionaryPage(dictionary, codec) : { parts: [], bytes: 0, uncompressed: 0 }
  const plain = [levels, preamble, ...values]
  const plainBytes = plain.reduce((sum, { length }) => sum + length, 0)
  const body = codec === 'UNCOMPRESSED' ? plain : [compress(codec, Buffer.concat(plain))]
  const bodyBytes = codec === 'UNCOMPRESSED' ? plainBytes : body[0]!.length
  const header = pageHeaderBytes({ type: 'DATA_PAGE', uncompressed_page_size: plainBytes, compressed_page_size: bodyBytes,
    data_page_header: { num_values: count, encoding, definition_level_encoding: 'RLE', repetition_level_encoding: 'RLE' } })
  // the gap before a column chunk belongs to no chunk; readers go by offsets
  pad(group, group.bytes + first.bytes + header.length + levels.length + preamble.length)
  const chunk: ColumnChunkMeta = { name: field.name, offset: group.bytes, bytes: first.bytes + header.length + bodyBytes,
    uncompressedBytes: first.uncompressed + header.length + plainBytes, values: count, nulls, codec, encoding, optional: isOptional(field),
    dictionaryBytes: first.bytes }
  group.columns.push(chunk)
  append(group, ...first.parts, header, ...body)
}

function dictionaryPage({ page, size }: { page: Uint8Array, size: number }, codec: Codec): { parts: Uint8Array[], bytes: number, uncompressed: number } {
  const body = compress(codec, page)
  const header = pageHeaderBytes({ type: 'DICTIONARY_PAGE', uncompressed_page_size: page.length, compressed_page_size: body.length,
    dictionary_page_header: { num_values: size, encoding: 'PLAIN' } })
  return { parts: [header, body], bytes: header.length + body.length, uncompressed: header.length + page.length }
}
