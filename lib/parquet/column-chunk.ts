import type { Codec } from './codec.js'

/** Most rows of a row group that is read. We write 65,536; the bound keeps garbage from asking for gigabytes. */
export const MAX_GROUP_ROWS = 1 << 24

/** One column of one row group: where its bytes are and what decoding needs. Relocatable: offsets count from the row group. */
export interface ColumnChunkMeta {
  name: string
  /** First byte, from the row group's start. */
  offset: number
  /** Bytes in the file, page headers included. */
  bytes: number
  uncompressedBytes: number
  /** Values in the pages: the rows, or for lists the elements, with an entry for each empty or null list. */
  values: number
  nulls: number
  codec: Codec
  encoding: 'PLAIN' | 'RLE_DICTIONARY'
  /** Whether definition levels say which rows are null. */
  optional: boolean
  /** Bytes of the dictionary page, with its header; the data page follows. 0 without a dictionary. */
  dictionaryBytes: number
}

/** A row group without its place. `bytes` is a multiple of 8. */
export interface RowGroupMeta {
  rows: number
  bytes: number
  columns: ColumnChunkMeta[]
  /** Smallest and largest value of the first column, where that is an integer column without nulls. */
  idMin?: number | bigint
  idMax?: number | bigint
}

/** A row group at its place in a file: `offset` is a multiple of 8, counted from the file's start. */
export interface PlacedRowGroup extends RowGroupMeta {
  offset: number
}
