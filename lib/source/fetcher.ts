import type { Id } from '../batch/ids.js'
import type { ColumnType } from '../batch/column-type.js'
import type { RowBatch } from '../batch/row-batch.js'
import type { Row } from '../batch/row-factory.js'
import type { SnapshotOptions, SourceSnapshot, SqlDialect } from './snapshot.js'

/** What a fetcher is asked for beside the ids. */
export interface FetchRequest {
  /** Base columns: `meta` for the requested `meta.address.city`. The id column is not among them. */
  readonly columns: readonly string[]
  /** The requested dotted columns. A fetcher may return them ready-made, under exactly that name. */
  readonly paths: readonly string[]
  /** Those of `columns` that were requested as themselves; the others only carry paths, and need not come if the paths do. */
  readonly plain: readonly string[]
  readonly idColumn: string
  /** The types the caller declares, by column name (dotted ones included): a source that can reads the columns as these. */
  readonly columnTypes?: Readonly<Record<string, ColumnType>>
  /** Aborted when the request is: stop, and release what you hold. */
  readonly signal: AbortSignal
  /** `index` from 0; `count` is unknown in a stage of a hand-made pipeline. */
  readonly batch: { readonly index: number, readonly count?: number }
}

/** Everything a fetcher may answer with. */
export type FetchResult = Iterable<Row> | AsyncIterable<Row | readonly Row[] | RowBatch> | RowBatch

/**
 * Returns the rows of `ids`, in any order; ids the source lacks are left out. Extra rows are ignored. A `RowBatch` carries
 * its own column types; the types of plain rows are inferred.
 */
export interface Fetcher {
  (ids: readonly Id[], table: string, request: FetchRequest): Promise<FetchResult> | FetchResult
  /** Calls that may be in flight at once (default 1). */
  readonly maxConcurrency?: number | undefined
  /** The source's identity, such as `postgres://host:5432/db`; kept with the cached table, and another one is refused. */
  readonly identity?: string | undefined
  /**
   * It never waits for rows of another call of millrace, as those of the sources do not: such calls need not be watched for one
   * that waits for its own ids, which takes some 5 % of a large cold run on Node 20 (default false). Said of one that does, it may wait for ever.
   */
  readonly isLeaf?: boolean | undefined
}

/** Per-query options of a source. */
export interface SourceQueryOptions {
  readonly params?: readonly unknown[] | undefined
  readonly signal?: AbortSignal | undefined
  /** The longest silence tolerated from the server, in ms; 0 = no limit. */
  readonly timeoutMs?: number | undefined
  /** Rows per RowBatch (default 8192). */
  readonly batchRows?: number | undefined
}

/** A database that rows come from. */
export interface Source {
  /** Fetches rows by id; pass it as `fetcher`. */
  readonly fetch: Fetcher
  /** Streams a query's rows as batches, in the query's order. Settles whatever happens to the connection. */
  query(sql: string, options?: SourceQueryOptions): AsyncIterable<RowBatch>
  /** Runs a statement and returns its row count. */
  execute(sql: string, options?: SourceQueryOptions): Promise<number>
  /** Ends what the source itself opened; a pool that was passed in stays open. */
  close(): Promise<void>
  readonly maxConcurrency: number
  readonly identity: string | undefined
  /** What else decides what a statement means here (user, connection options), for the keys of cached queries. No secrets. */
  readonly settings?: string | undefined
  /** Opens an unchanging view of the database; what cached queries are read through. */
  snapshot?(options?: SnapshotOptions): Promise<SourceSnapshot>
  /** How the database spells what incremental queries need. */
  readonly dialect?: SqlDialect | undefined
}
