// needs: postgres redis
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import pg from 'pg'
import { applyCache } from '../../lib/partition/apply.js'
import { createCache } from '../../lib/partition/create-cache.js'
import { decompose } from '../../lib/partition/decompose.js'
import type { PartitionCache } from '../../lib/partition/cache.js'
import { openQueues } from '../../lib/queue/open-queues.js'
import { getQueueLengths } from '../../lib/queue/push-queries.js'
import type { PushItem, Queues } from '../../lib/queue/queue.js'
import { patiently } from './support/patiently.js'
import { seeded, type Random } from '../support/random.js'
import { bundleOf } from '../support/bundle.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'
import { startRedis, type TestRedis } from '../support/redis.js'
import type { QueueWorkerSettings } from './support/queue-worker.js'

const isLong = process.env['MILLRACE_FAULTS'] === 'long' || process.argv.includes('--long')
const JOBS = isLong ? 500 : 60
const WORKERS = 3
const KILLS = isLong ? Infinity : 2
const SEED = Number(process.env['MILLRACE_SEED'] ?? 20260401)
/** What one fragment takes beside its own time, so that there is something to kill. */
const SLEEP = isLong ? 0.15 : 0.03
const KINDS = ['park', 'shop', 'pub', 'zoo', 'school']

interface Load { queries: PushItem[], fragments: PushItem[], poison: Set<string> }

/** 70 % unique jobs and 30 % duplicates; of all, 2 % poison; half whole queries, half fragments. */
function load(): Load {
  const random = seeded(SEED)
  const unique = Array.from({ length: Math.round(JOBS * 0.7) }, (_, i): [boolean, PushItem] => {
    const isPoison = i % 50 === 7
    if (i % 2 === 0) {
      return [isPoison, { sql: `SELECT * FROM poi AS a, poi AS b WHERE a.kind = '${KINDS[i % 5]!}' AND b.size > ${i % 97} AND a.id <> ${1000 + i} AND a.city = b.city` }]
    }
    const sql = isPoison ? `SELECT DISTINCT t.city FROM poi AS t WHERE 1 / (t.size - t.size) = ${i}` : `SELECT DISTINCT t.city FROM poi AS t, pg_sleep(${SLEEP}) AS s WHERE t.size > ${i % 89} AND t.id <> ${2000 + i}`
    return [isPoison, { sql, hash: `own ${i}`, datatype: 'integer' }]
  })
  // a query that is none
  unique[14] = [true, { sql: 'SELEC * FROM poi WHERE' }]
  unique[20] = [true, { sql: 'SELECT count(*) FROM poi' }]
  const jobs = [...unique, ...Array.from({ length: JOBS - unique.length }, () => random.pick(unique))]
  for (let i = jobs.length - 1; i > 0; i--) {
    const k = random.below(i + 1);
    [jobs[i], jobs[k]] = [jobs[k]!, jobs[i]!]
  }
  return {
    queries: jobs.flatMap(([, item]) => item.hash === undefined ? [item] : []), fragments: jobs.flatMap(([, item]) => item.hash === undefined ? [] : [item]),
    poison: new Set(unique.flatMap(([isPoison, { sql }]) => isPoison ? [sql] : []))
  }
}

class Fleet {
  readonly #file: string
  readonly #settings: QueueWorkerSettings
  #workers: ChildProcess[] = []
  kills = 0

  constructor(file: string, settings: QueueWorkerSettings) {
    this.#file = file
    this.#settings = settings
  }

  start(): void {
    while (this.#workers.length < WORKERS) this.#workers.push(spawn(process.execPath, [this.#file, JSON.stringify(this.#settings)], { stdio: ['ignore', 'inherit', 'inherit'] }))
  }

  async kill(random: Random): Promise<void> {
    const [victim] = this.#workers.splice(random.below(this.#workers.length), 1)
    const gone = once(victim!, 'exit')
    victim!.kill('SIGKILL')
    await gone
    this.kills++
    this.start()
  }

  async stop(): Promise<(number | null)[]> {
    const codes = this.#workers.map(async worker => {
      if (worker.exitCode === null && worker.signalCode === null) {
        const gone = once(worker, 'exit')
        worker.kill('SIGTERM')
        await gone
      }
      return worker.exitCode
    })
    this.#workers = []
    return Promise.all(codes)
  }
}

describe('queues whose workers and servers die', function () {
  this.timeout(isLong ? 900_000 : 120_000)
  let postgres: TestPostgres
  let redis: TestRedis
  let pool: pg.Pool
  let file: string

  before(async function () {
    postgres = await startPostgres()
    redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
    file = await bundleOf('test/faults/support/queue-worker.ts')
    pool = new pg.Pool({ connectionString: postgres.url, max: 3 })
    pool.on('error', () => {})
    await pool.query(`CREATE TABLE poi (id serial, city int, kind text, size int);
      INSERT INTO poi (city, kind, size) SELECT i % 60, (ARRAY['park', 'shop', 'pub', 'zoo', 'school'])[i % 5 + 1], i % 101 FROM generate_series(1, 3000) AS i`)
  })
  after(async () => {
    await pool.end()
    await redis.stop()
    await postgres.stop()
  })

  async function expectRight(cache: PartitionCache, { queries, fragments, poison }: Load): Promise<void> {
    const wanted = new Map<string, string>()
    for (const { sql } of queries) if (!poison.has(sql)) for (const one of decompose(sql, { partitionKey: 'city' })) wanted.set(one.hash, one.sql)
    for (const { sql, hash } of fragments) if (!poison.has(sql)) wanted.set(hash!, sql.replace(`, pg_sleep(${SLEEP}) AS s`, ''))
    for (const [hash, sql] of wanted) {
      const { rows } = await pool.query<Record<string, number>>(sql)
      const expected = rows.map(row => Object.values(row)[0]!).sort((a, b) => a - b)
      expect([...await cache.get(hash) ?? ['nothing']].sort((a, b) => Number(a) - Number(b)), sql).to.deep.equal(expected)
    }
    // the law: a query narrowed by what the workers made has its own rows
    for (const { sql } of queries.filter(one => !poison.has(one.sql)).slice(0, 10)) {
      const { sql: narrowed, stats } = await applyCache(sql, { cache, partitionKey: 'city' })
      expect(stats.narrowed).to.equal(true)
      const count = async (text: string): Promise<unknown> => (await pool.query(`SELECT count(*), sum(hashtext(r::text)::bigint) FROM (${text}) AS r`)).rows[0]
      expect(await count(narrowed)).to.deep.equal(await count(sql))
    }
  }

  async function survive(settings: Omit<QueueWorkerSettings, 'url'>): Promise<void> {
    const jobs = load()
    const random = seeded(SEED)
    const fleet = new Fleet(file, { ...settings, url: postgres.url })
    const queues: Queues = await openQueues(settings.provider, settings.queueOptions as never)
    const cache = await createCache(settings.cacheType, 'city', 'integer', settings.cacheOptions as never)
    try {
      fleet.start()
      for (let i = 0; i < JOBS; i += 25) {
        if (i < jobs.queries.length) await patiently(() => queues.incoming.push(jobs.queries.slice(i, i + 25), { partitionKey: 'city', datatype: 'integer' }))
        if (i < jobs.fragments.length) await patiently(() => queues.outgoing.push(jobs.fragments.slice(i, i + 25), { partitionKey: 'city' }))
      }
      const events: (() => Promise<void>)[] = [
        async () => { await postgres.restart?.() },
        ...settings.provider === 'redis' ? [async () => {
          await redis.kill(redis.ports[0]!)
          await redis.start(redis.ports[0]!)
        }] : []]
      let [lastKill, lastSize] = [Date.now(), Infinity]
      for (;;) {
        const { incoming, outgoing } = await patiently(() => getQueueLengths({ queues }))
        const size = incoming + outgoing
        if (size === 0) break
        // the long form kills by the clock, the short one by progress
        const isTime = isLong ? Date.now() - lastKill >= 2000 : size < lastSize - 10
        if (isTime && fleet.kills < KILLS) {
          await fleet.kill(random);
          [lastKill, lastSize] = [Date.now(), size]
          if (!isLong || fleet.kills % 2 === 0) await events.shift()?.()
        }
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      expect(fleet.kills).to.be.greaterThan(1)
      expect(events, 'servers that were not restarted').to.have.length(0)
      const dead = [...await queues.incoming.dead(), ...await queues.outgoing.dead()]
      expect(new Set(dead.map(({ sql }) => sql))).to.deep.equal(jobs.poison)
      expect(dead).to.have.length(jobs.poison.size)
      await expectRight(cache, jobs)
      expect(await fleet.stop()).to.deep.equal(Array(WORKERS).fill(0))
      console.log(`      ${JOBS} jobs, ${jobs.poison.size} poison, ${fleet.kills} workers killed`)
    } finally {
      await fleet.stop()
      await queues.close()
      await cache.close()
    }
  }

  it('lose nothing and get every result right, inside PostgreSQL', async function () {
    if (!postgres.restart) this.skip()
    await survive({ provider: 'postgresql', queueOptions: { connectionString: postgres.url }, cacheType: 'postgresql_array', cacheOptions: { connectionString: postgres.url } })
  })

  it('lose nothing and get every result right, inside Redis', async function () {
    if (!postgres.restart) this.skip()
    await survive({ provider: 'redis', queueOptions: { url: redis.url }, cacheType: 'redis_set', cacheOptions: { url: redis.url } })
  })
})
