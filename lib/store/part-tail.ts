import { CacheCorruptionError } from '../errors.js'
import type { PlacedRowGroup } from '../parquet/column-chunk.js'
import { parseFooter } from '../parquet/footer.js'
import type { Field } from '../batch/column-type.js'
import { parseIndex, serializeIndex, type IdIndex } from './id-index.js'

/**
 * What stands behind the row groups of a part, readable with one range read and covered by one sha256 in the manifest:
 * a JSON header, the id index, the presence bitmaps of partial columns, the crc32 of every block before the tail, and last the
 * Parquet footer. To other readers of Parquet all but the footer are bytes nobody points at.
 */
export interface PartTail {
  index: IdIndex
  /** By column name: bit r set = the part holds the column for row r. Only partial columns are in it. */
  presence: ReadonlyMap<string, Uint8Array>
  crcs: Uint32Array
  fields: readonly Field[]
  rowGroups: readonly PlacedRowGroup[]
  /** `firstRows[g]` is the part's row at which row group g starts; one more entry holds the total. */
  firstRows: Uint32Array
}

interface TailHeader {
  index: number
  presence: { column: string, bytes: number }[]
  blocks: number
}

/** The tail's bytes without the Parquet footer, which follows. */
export function serializeTailHead({ index, presence, crcs }: Pick<PartTail, 'index' | 'presence' | 'crcs'>): Uint8Array {
  const indexBytes = serializeIndex(index)
  const header: TailHeader = { index: indexBytes.length, presence: [...presence].map(([column, bits]) => ({ column, bytes: bits.length })), blocks: crcs.length }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(json.length)
  return Buffer.concat([length, json, indexBytes, ...presence.values(), Buffer.from(crcs.buffer, crcs.byteOffset, crcs.byteLength)])
}

/**
 * Take verified tail bytes apart.
 *
 * @throws {CacheCorruptionError} the footer contradicts the file
 */
export function parseTail(bytes: Uint8Array, fileBytes: number, file: string): PartTail {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 4 + view.readUInt32LE(0)
  const header = JSON.parse(view.toString('utf8', 4, at)) as TailHeader
  const take = (length: number): Uint8Array => bytes.subarray(at, at += length)
  const index = parseIndex(take(header.index))
  const presence = new Map(header.presence.map(({ column, bytes: length }) => [column, new Uint8Array(take(length))]))
  const crcs = new Uint32Array(new Uint8Array(take(header.blocks * 4)).buffer)
  const { fields, rowGroups, rows } = parseFooter(bytes.subarray(at), fileBytes, file)
  if (rows !== index.rows) throw new CacheCorruptionError({ file, reason: `${rows} rows in the footer, ${index.rows} in the index` })
  const firstRows = new Uint32Array(rowGroups.length + 1)
  rowGroups.forEach((group, g) => { firstRows[g + 1] = firstRows[g]! + group.rows })
  return { index, presence, crcs, fields, rowGroups, firstRows }
}

/** Whether a presence bitmap has row r. */
export function isPresent(bits: Uint8Array, row: number): boolean {
  return (bits[row >>> 3]! >>> (row & 7) & 1) === 1
}
