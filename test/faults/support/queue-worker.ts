/** A worker process of the partition cache: `queue-worker.ts {provider, queueOptions, cacheType, cacheOptions, url}`. Works until SIGTERM. */
import pg from 'pg'
import { createCache } from '../../../lib/partition/create-cache.js'
import type { CacheType } from '../../../lib/partition/registry.js'
import { patiently } from './patiently.js'
import { openQueues } from '../../../lib/queue/open-queues.js'
import type { QueueProviderName } from '../../../lib/queue/registry.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { processFragments } from '../../../pipelines/process-fragments.js'
import { processQueries } from '../../../pipelines/process-queries.js'

/** What a worker is told. */
export interface QueueWorkerSettings {
  provider: QueueProviderName
  queueOptions: object
  cacheType: CacheType
  cacheOptions: object
  url: string
}

const { provider, queueOptions, cacheType, cacheOptions, url } = JSON.parse(process.argv[2]!) as QueueWorkerSettings
const stop = new AbortController()
process.on('SIGTERM', () => { stop.abort() })

const queues = await patiently(() => openQueues(provider, queueOptions as never))
const cache = await patiently(() => createCache(cacheType, 'city', 'integer', cacheOptions as never))
const pool = new pg.Pool({ connectionString: url, max: 4 })
pool.on('error', () => {})
const source = postgresSource({ pool })
const both = { queues, signal: stop.signal, leaseMs: 1500 }
await Promise.all([processQueries(both), processFragments({ ...both, source, cache, concurrency: 2, retryDelayMs: 50 })])
await queues.close()
await cache.close()
await pool.end()
