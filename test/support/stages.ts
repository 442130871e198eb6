import type { Transform } from 'node:stream'
import type { Fetcher } from '../../lib/source/fetcher.js'
import { batchFetcher, type BatchFetcherOptions } from '../../streams/batch-fetcher.js'
import { cacheSplitter } from '../../streams/cache-splitter.js'
import { idPartitioner } from '../../streams/id-partitioner.js'
import { jsonFlattener } from '../../streams/json-flattener.js'
import { parquetSink, type ParquetSinkOptions } from '../../streams/parquet-sink.js'
import type { TestCache } from './cache.js'

interface ByHand extends Partial<Omit<BatchFetcherOptions, 'plan'>> {
  cache: TestCache
  fetcher: Fetcher
  columns: readonly string[]
  table: string
  sink?: Partial<ParquetSinkOptions>
}

/** The five stages, as a user composes them by hand; the sink passes its rows on. */
export function fiveStages({ cache, fetcher, columns, table, sink = {}, ...fetching }: ByHand): [Transform, Transform, Transform, Transform, Transform] {
  return [
    idPartitioner({ table }),
    cacheSplitter({ cache, table, columns }),
    batchFetcher({ fetcher, table, columns, ...fetching }),
    jsonFlattener({ columns }),
    parquetSink({ cache, table, forward: true, ...sink })
  ]
}
