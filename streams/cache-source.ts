import { Readable } from 'node:stream'
import { readRows, type CachedQuery } from '../lib/query/cached-query.js'

/** Options of `cacheSource`. */
export interface CacheSourceOptions {
  cached: CachedQuery
  /** The first row's number, from 0, and the number after the last one's (default: all rows). */
  from?: number | undefined
  to?: number | undefined
}

/** Readable of RowBatch: a cached query's rows, in the query's order, in windows of at most 65,536 rows. */
export function cacheSource({ cached, from, to }: CacheSourceOptions): Readable {
  return Readable.from(readRows(cached, from, to), { objectMode: true, highWaterMark: 1 })
}
