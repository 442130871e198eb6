import { Readable } from 'node:stream'
import type { CachedQuery } from '../lib/query/cached-query.js'
import { mendedRows, type CheckedRange } from '../lib/query/reconcile.js'
import type { Statements } from '../lib/query/statements.js'
import type { Run } from '../lib/run.js'
import type { SnapshotQuery, SourceSnapshot } from '../lib/source/snapshot.js'

/** Options of `querySource`. */
export interface QuerySourceOptions extends SnapshotQuery {
  /** The view of the database to ask. It stays open. */
  snapshot: Pick<SourceSnapshot, 'query'>
  sql: string
}

/** Readable of RowBatch: a statement's rows, in its order. Asks for the next batch when the one before was taken. */
export function querySource({ snapshot, sql, params, batchRows, types }: QuerySourceOptions): Readable {
  return Readable.from(snapshot.query(sql, { params, batchRows, types }), { objectMode: true, highWaterMark: 1 })
}

/**
 * Readable of RowBatch: the rows from the first range on that differs from the source, what did not change from the cache, then
 * the rows of `rest`.
 */
export function mendedSource(cached: CachedQuery, ranges: readonly CheckedRange[], rest: Readable, { snapshot, statements, run }:
{ snapshot: SourceSnapshot, statements: Statements, run: Run }): Readable {
  async function * rows(): AsyncGenerator {
    yield * mendedRows(cached, ranges, { snapshot, statements, counted: ({ length }) => {
      // they are counted as fetched like everything that comes this way; they were not
      run.report.hits += length
      run.report.fetched -= length
      run.report.misses -= length
    } })
    yield * rest
  }
  return Readable.from(rows(), { objectMode: true, highWaterMark: 1 })
}
