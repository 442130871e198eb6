import type { Field } from '../batch/column-type.js'
import type { Id } from '../batch/ids.js'
import type { QueryChange, QueryRecord } from './query-record.js'
import type { TableName } from './table-name.js'

/** Version of the manifest format this code writes; a newer one is never touched. */
export const MANIFEST_FORMAT = 1

/** A column as one part holds it. */
export interface PartColumn extends Field {
  /** The part holds this column for some of its ids only; a presence bitmap in its tail says for which. */
  partial?: boolean
}

/** One Parquet file of a table: a rectangle of ids × columns. Written once, never changed. */
export interface PartEntry {
  name: string
  /** The commit that added it; where parts overlap the higher one wins. */
  seq: number
  /** The table's version when its rows began to be fetched; later tombstones hide them. */
  since: number
  rows: number
  bytes: number
  idMin: Id
  idMax: Id
  /** All columns, the id first. */
  columns: readonly PartColumn[]
  /** Of the whole file, hex. */
  sha256: string
  /** Where index, block checksums and footer begin, and the sha256 of everything from there on. */
  tail: { offset: number, sha256: string }
  /** When its oldest row was asked for, ms since 1970. */
  createdMs: number
}

/** Rows that were made invalid. */
export interface Tombstone {
  /** The commit that added it; hides parts whose `since` is lower. */
  seq: number
  /** The blob that lists the ids, or null for all of them. */
  ids: { name: string, bytes: number, sha256: string, count: number } | null
  /** The columns, or null for all of them. */
  columns: readonly string[] | null
  /** Of all ids, only those from `idMin` to `idMax`, both included. */
  range?: { idMin: Id, idMax: Id }
  /** Hides only parts whose oldest row was committed before, ms since 1970. */
  beforeMs?: number
  /** Hides only parts of a lower `seq`: what a damaged part had replaced must not come back when it is dropped. */
  belowSeq?: number
}

/** The truth about one table: which parts form it now. */
export interface Manifest {
  format: number
  version: number
  table: TableName
  namespace: string
  idColumn: string
  /** The source's identity, null when it has none. */
  source: string | null
  /** The type of every column that was ever cached, in order of appearance. */
  columns: readonly Field[]
  parts: readonly PartEntry[]
  tombstones: readonly Tombstone[]
  /** Set when the rows are a query's result. */
  query?: QueryRecord
  /** The highest `seq` of a tombstone that was dropped; rows fetched before it are not taken any more. */
  floor: number
  /** Files that left the table, and when: deleted after the grace time. */
  removed: readonly { name: string, atMs: number }[]
  /** Tokens of the last commits, the newest last: a writer that cannot tell whether it was first looks its own up. */
  commits?: readonly string[]
}

/** What a commit changes; re-applied to the newest manifest until it is in. */
export interface Change {
  add?: readonly Omit<PartEntry, 'seq'>[]
  /** Parts to take out. */
  remove?: readonly string[]
  /** The commit makes sense only while all of `remove` are there (compaction). */
  removeAll?: boolean
  /** `seq` for the added parts instead of the commit's own (compaction keeps the newest of its inputs). */
  seq?: number
  tombstones?: readonly Omit<Tombstone, 'seq'>[]
  /** Tombstones, by seq, that no remaining part needs. */
  dropTombstones?: readonly number[]
  /** Removed files that were deleted from disk. */
  forget?: readonly string[]
  /** Unique to the commit. A manifest that has it among its `commits` holds the change already. */
  token?: string
  source?: string | null
  /** Columns whose type the added parts may replace. */
  retype?: readonly string[]
  /** What becomes of a query's record, in the same commit as its rows. */
  query?: QueryChange
}

/** Which table a catalog entry is about. */
export interface TableKey {
  /** Unique per table; the name of its folder. */
  folder: string
  table: TableName
  namespace: string
  idColumn: string
}

/** The state of a table as the catalog has it. */
export interface CatalogState {
  /** The highest version present, readable or not; the next commit gets the number after it. 0 when there is none. */
  latest: number
  /** The newest readable manifest; undefined for a table without one. */
  manifest: Manifest | undefined
  /** Newer manifests that could not be read, and why. */
  damaged: readonly { file: string, reason: string }[]
  /** A manifest of a newer format stands at the top: leave the table alone. */
  newerFormat?: { file: string, format: number }
}

/** What became of all manifests that are kept. */
export interface CatalogHealth {
  checked: number
  damaged: readonly { file: string, reason: string }[]
}

/**
 * Keeps the manifests. A commit is a compare-and-swap on the version: of two writers that saw the same one, the later is
 * told so and tries again on the newer. An implementer must never let two commits take one version, and must make a commit
 * durable before it reports it.
 */
export interface Catalog {
  /** The folders of all tables. */
  list(): Promise<string[]>
  /** A manifest of another table is a damaged one. */
  read(key: { folder: string }): Promise<CatalogState>
  /**
   * Write `manifest` as version `expected + 1` if the latest is still `expected`; false when it is not, or when that cannot be
   * told any more (the manifest's last token can be looked up in the newest version then).
   */
  commit(key: { folder: string }, expected: number, manifest: Manifest): Promise<boolean>
  /** Forget a table altogether. */
  drop(key: { folder: string }): Promise<void>
  /** Check every manifest that is kept, not just the newest. */
  inspect(key: { folder: string }): Promise<CatalogHealth>
  /**
   * Remove all manifests but the newest, oldest first; `damaged` ones are set aside, under the names that are returned. Rejects,
   * with nothing changed, when the newest is damaged itself.
   */
  forgetOld(key: { folder: string }, damaged: readonly { file: string }[]): Promise<string[]>
  /** Set all manifests of a table aside that has no readable one; returns their new names. */
  forgetAll(key: { folder: string }): Promise<string[]>
}
