/**
 * How many jobs a second go into a queue and out of it, one by one and in batches, and how many fragments are run end to end?
 *
 * `node --import=tsx bench/queue.ts [provider …]` starts its own PostgreSQL (fsync off, so that the disk is not what
 * is measured) and Redis (appendonly, fsync every second). One JSON line per case.
 */
import pg from 'pg'
import { createCache } from '../lib/partition/create-cache.js'
import { openQueues } from '../lib/queue/open-queues.js'
import type { Lease, PushItem, Queue, Queues } from '../lib/queue/queue.js'
import { postgresSource } from '../lib/source/postgres.js'
import { processFragments } from '../pipelines/process-fragments.js'
import { startPostgres } from '../test/support/postgres.js'
import { startRedis } from '../test/support/redis.js'

const JOBS = 10_000
const BATCH = 500
const FRAGMENTS = 1000
const AT_ONCE = 16

function report(name: string, rows: number, ms: number): void {
  process.stdout.write(`${JSON.stringify({ name, rows, ms: Math.round(ms), rowsPerSec: Math.round(rows / ms * 1000), node: process.version })}\n`)
}

async function timed(name: string, rows: number, run: () => Promise<unknown>): Promise<void> {
  const start = performance.now()
  await run()
  report(name, rows, performance.now() - start)
}

const items = (count: number, from = 0): PushItem[] => Array.from({ length: count }, (_, i) => ({ sql: `SELECT DISTINCT t1.city FROM poi AS t1 WHERE t1.size > ${from + i}`, hash: `h${from + i}`, partitionKey: 'city' }))

/** `AT_ONCE` calls in flight until `count` are done. */
async function inFlight(count: number, call: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (next < count) await call(next++) }))
}

async function take(queue: Queue): Promise<Lease> {
  const lease = await queue.lease()
  if (!lease) throw new Error('a job is missing')
  return lease
}

async function throughput(name: string, { outgoing: queue }: Queues, singles: number): Promise<void> {
  await timed(`queue/${name}/push-one-by-one`, singles, async () => { for (const item of items(singles)) await queue.push(item) })
  await timed(`queue/${name}/take-and-ack-one-by-one`, singles, async () => { for (let i = 0; i < singles; i++) await (await take(queue)).ack() })
  await timed(`queue/${name}/push-${AT_ONCE}-at-once`, singles, () => inFlight(singles, i => queue.push(items(1, i))))
  await timed(`queue/${name}/take-and-ack-${AT_ONCE}-at-once`, singles, () => inFlight(singles, async () => { await (await take(queue)).ack() }))
  await timed(`queue/${name}/push-batches-of-${BATCH}`, JOBS, async () => { for (let i = 0; i < JOBS; i += BATCH) await queue.push(items(BATCH, i)) })
  await timed(`queue/${name}/take-batches-of-${BATCH}`, JOBS, async () => {
    const leases: Lease[] = []
    for (let i = 0; i < JOBS; i += BATCH) leases.push(...await queue.lease({ count: BATCH }))
    if (leases.length !== JOBS) throw new Error(`${leases.length} jobs`)
    await queue.clear()
  })
  await queue.push(items(JOBS))
  await timed(`queue/${name}/take-and-ack-batches-of-${BATCH}`, JOBS, async () => {
    for (let i = 0; i < JOBS; i += BATCH) await Promise.all((await queue.lease({ count: BATCH })).map(lease => lease.ack()))
  })
}

const chosen = process.argv.slice(2)
const isChosen = (name: string): boolean => chosen.length === 0 || chosen.includes(name)
const postgres = await startPostgres()
const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'everysec'])
const pool = new pg.Pool({ connectionString: postgres.url, max: 8 })
pool.on('error', () => {})
try {
  await pool.query('CREATE TABLE poi (city int, size int); INSERT INTO poi SELECT i % 200, i % 1000 FROM generate_series(1, 2000) AS i')
  const open = {
    postgresql: () => openQueues('postgresql', { connectionString: postgres.url, max: AT_ONCE }),
    redis: () => openQueues('redis', { url: redis.url })
  }
  for (const name of ['postgresql', 'redis'] as const) {
    if (!isChosen(name)) continue
    const queues = await open[name]()
    await throughput(name, queues, name === 'redis' ? 5000 : 1000)
    const cache = await createCache('memory', 'city', 'integer', {})
    const source = postgresSource({ pool, maxConcurrency: 4 })
    await queues.outgoing.push(items(FRAGMENTS))
    await timed(`queue/${name}/fragments-end-to-end`, FRAGMENTS, async () => {
      const { stored } = await processFragments({ queues, source, cache, concurrency: 4, restrict: false, untilEmpty: true })
      if (stored !== FRAGMENTS) throw new Error(`${stored} stored`)
    })
    await queues.close()
  }
} finally {
  await pool.end()
  await redis.stop()
  await postgres.stop()
}
