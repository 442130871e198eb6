/** A column's page contents, before headers and compression. */
export interface EncodedColumn {
  /** Repetition and definition levels, each behind its length; empty for a column without. */
  levels: Uint8Array
  /** What stands between levels and values: the bit width and run header of dictionary codes. */
  preamble: Uint8Array
  /** One behind the other. */
  values: readonly Uint8Array[]
  dictionary?: { page: Uint8Array, size: number } | undefined
  /** Entries of the levels: rows, or for lists elements and empty or null lists. */
  count: number
  nulls: number
}
