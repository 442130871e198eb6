import { Readable } from 'node:stream'
import type { SnapshotQuery, SourceSnapshot } from '../lib/source/snapshot.js'

/** Options of `querySource`. */
export interface QuerySourceOptions extends SnapshotQuery {
  /** The view of the database to ask. It stays open. */
  snapshot: Pick<SourceSnapshot, 'query'>
  sql: string
}

/** Readable of RowBatch: a statement's rows, in its order. Asks for the next batch when the one before was taken. */
export function querySource({ snapshot, sql, params, batchRows }: QuerySourceOptions): Readable {
  return Readable.from(snapshot.query(sql, { params, batchRows }), { objectMode: true, highWaterMark: 1 })
}
