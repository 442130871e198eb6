// needs: postgres
import { expect } from 'chai'
import pg from 'pg'
import { createCache } from '../../lib/partition/create-cache.js'
import type { PartitionCache } from '../../lib/partition/cache.js'
import { readCatalogue } from '../../lib/partition/catalogue.js'
import { decompose } from '../../lib/partition/decompose.js'
import { populate } from '../../lib/partition/populate.js'
import { metrics, resetMetrics } from '../../lib/queue/metrics.js'
import { openQueues } from '../../lib/queue/open-queues.js'
import { pushToOriginalQueryQueue, pushToQueryFragmentQueue } from '../../lib/queue/push-queries.js'
import type { Queues } from '../../lib/queue/queue.js'
import type { Source } from '../../lib/source/fetcher.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { processFragments } from '../../pipelines/process-fragments.js'
import { processQueries } from '../../pipelines/process-queries.js'
import { testDatabase } from '../support/postgres.js'

const QUERY = "SELECT * FROM poi AS a, poi AS b WHERE a.kind = 'park' AND b.size > 3 AND a.city = b.city"

function withoutSnapshot({ snapshot: _, ...source }: Source): Source {
  return source
}

describe('the partition cache\'s workers', function () {
  this.timeout(60_000)
  let database: Awaited<ReturnType<typeof testDatabase>>
  let pool: pg.Pool
  let source: Source
  let queues: Queues
  let cache: PartitionCache

  before(async () => {
    database = await testDatabase()
    pool = new pg.Pool({ connectionString: database.url, max: 6 })
    pool.on('error', () => {})
    await pool.query(`CREATE TABLE poi (id serial, city int, kind text, size int);
      INSERT INTO poi (city, kind, size) SELECT i % 50, (ARRAY['park', 'shop', 'pub'])[i % 3 + 1], i % 7 FROM generate_series(1, 400) AS i`)
  })
  after(async () => {
    await pool.end()
    await database.drop()
  })
  beforeEach(async () => {
    resetMetrics()
    source = postgresSource({ pool, maxConcurrency: 4 })
    queues = await openQueues('memory', { maxAttempts: 3, pollMs: 20 })
    cache = await createCache('memory', 'city')
  })
  afterEach(async () => {
    await queues.close()
    await cache.close()
  })

  const settings = (): Parameters<typeof processFragments>[0] => ({ queues, source, cache, untilEmpty: true, retryDelayMs: 0 })
  async function keysOf(sql: string): Promise<unknown[]> {
    return (await pool.query<Record<string, unknown>>(sql)).rows.map(row => Object.values(row)[0]).sort()
  }
  const fragment = (sql: string, hash = sql): { sql: string, hash: string } => ({ sql, hash })

  it('fill the cache from whole queries with the set of each fragment', async () => {
    await pushToOriginalQueryQueue(QUERY, { partitionKey: 'city', datatype: 'integer', priority: 4, queues })
    expect(await processQueries({ queues, untilEmpty: true })).to.deep.equal({ decomposed: 1, failed: 0, fragments: 2 })
    const report = await processFragments({ ...settings(), concurrency: 3 })
    expect(report).to.deep.equal({ stored: 2, cached: 0, skipped: 0, tooLarge: 0, timedOut: 0, failed: 0, returned: 0 })
    for (const { sql, hash } of decompose(QUERY, { partitionKey: 'city' })) {
      expect([...await cache.get(hash) ?? []].sort(), sql).to.deep.equal(await keysOf(sql))
    }
    await pushToOriginalQueryQueue(QUERY, { partitionKey: 'city', queues })
    await processQueries({ queues, untilEmpty: true })
    expect(await processFragments(settings())).to.include({ stored: 0, cached: 2 })
    const { queries, fragments, queues: { incoming, outgoing }, depths, errorRate } = await metrics({ queues })
    expect(queries).to.include({ decomposed: 2, failed: 0, fragments: 4 })
    expect(fragments).to.include({ stored: 2, cached: 2, failed: 0 })
    expect([incoming.acked, outgoing.acked, outgoing.lost, errorRate, fragments.durations.count]).to.deep.equal([2, 4, 0, 0, 2])
    expect(depths).to.deep.equal({ incoming: { waiting: 0, delayed: 0, leased: 0, dead: 0 }, outgoing: { waiting: 0, delayed: 0, leased: 0, dead: 0 } })
  })

  it('keep a set of which nobody said what tables it reads until any of them is invalidated', async () => {
    const unnamed = fragment("SELECT DISTINCT city FROM poi WHERE kind = 'pub'")
    await pushToQueryFragmentQueue(unnamed, { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments(settings())).to.include({ stored: 1 })
    expect(await cache.invalidate({ table: 'poi' })).to.equal(1)
    expect(await cache.get(unnamed.hash)).to.equal(undefined)
  })

  it('bind a query\'s parameters', async () => {
    await pushToOriginalQueryQueue('SELECT * FROM poi AS a WHERE a.size > $1 AND a.kind = $2', { partitionKey: 'city', params: [5n, 'pub'], queues })
    await processQueries({ queues, source, untilEmpty: true })
    await processFragments(settings())
    const { hash, sql } = decompose("SELECT * FROM poi AS a WHERE a.size > 5 AND a.kind = 'pub'", { partitionKey: 'city' })[0]!
    expect([...await cache.get(hash) ?? []].sort()).to.deep.equal(await keysOf(sql))
  })

  it('put queries that cannot be decomposed to the dead letters', async () => {
    await pushToOriginalQueryQueue(['SELEC nonsense', 'SELECT count(*) FROM poi', 'DELETE FROM poi', QUERY], { partitionKey: 'city', queues })
    expect(await processQueries({ queues, untilEmpty: true })).to.include({ decomposed: 1, failed: 3 })
    expect((await queues.incoming.dead()).map(({ sql }) => sql)).to.deep.equal(['SELEC nonsense', 'SELECT count(*) FROM poi', 'DELETE FROM poi'])
  })

  it('record what takes too long or is too large, keep it as a dead letter, and run it again only when asked', async () => {
    const slow = fragment('SELECT DISTINCT city FROM poi WHERE pg_sleep(30) IS NOT NULL')
    const large = fragment('SELECT DISTINCT city FROM poi')
    await pushToQueryFragmentQueue([slow, large], { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments({ ...settings(), timeoutMs: 200, maxKeys: 20 })).to.include({ timedOut: 1, tooLarge: 1 })
    expect([await cache.getStatus(slow.hash), await cache.getStatus(large.hash), await cache.get(large.hash)]).to.deep.equal(['timeout', 'failed', undefined])
    expect((await queues.outgoing.dead()).map(({ error }) => error)).to.deep.equal(['it took too long', 'its set is too large'])
    await queues.outgoing.clear({ dead: true })
    await pushToQueryFragmentQueue(large, { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments(settings())).to.include({ skipped: 1, stored: 0 })
    await pushToQueryFragmentQueue(large, { partitionKey: 'city', datatype: 'integer', rerun: 'unusable', queues })
    expect(await processFragments(settings())).to.include({ stored: 1 })
    expect((await cache.get(large.hash))?.size).to.equal(50)
  })

  it('let a fragment run for longer than a timer can wait', async () => {
    await pushToQueryFragmentQueue(fragment('SELECT DISTINCT city FROM poi, pg_sleep(0.1)'), { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments({ ...settings(), timeoutMs: 30 * 86_400_000 })).to.include({ stored: 1, timedOut: 0 })
  })

  it('run nothing that writes, and no second statement', async () => {
    const writes = ['DELETE FROM poi RETURNING city', 'SELECT city FROM poi; DELETE FROM poi', "WITH gone AS (DELETE FROM poi RETURNING city) SELECT city FROM gone", "SELECT setval('poi_id_seq', 1)"]
    await pushToQueryFragmentQueue(writes.map(sql => fragment(sql)), { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments(settings())).to.include({ stored: 0, failed: 4 })
    expect((await pool.query<{ n: string }>('SELECT count(*) AS n FROM poi')).rows[0]!.n).to.equal('400')
    expect((await queues.outgoing.dead()).map(({ attempts }) => attempts)).to.deep.equal([1, 1, 1, 1])
  })

  it('try a fragment again that failed for a reason that may pass, and give it up after its attempts', async () => {
    // class XX: nothing says that another attempt meets it again
    await pool.query("CREATE FUNCTION fails() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'XX000'; END $$")
    await pushToQueryFragmentQueue(fragment('SELECT DISTINCT city FROM poi WHERE fails()', 'poison'), { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments(settings())).to.include({ failed: 3 })
    const [dead] = await queues.outgoing.dead()
    expect([dead!.attempts, await cache.getStatus('poison')]).to.deep.equal([3, 'failed'])
    expect(dead!.error).to.contain('not today')
  })

  it('refuse to keep a set under the hash of another fragment', async () => {
    const real = decompose(QUERY, { partitionKey: 'city' })[0]!
    await pushToQueryFragmentQueue(fragment('SELECT DISTINCT city FROM poi WHERE false', real.hash), { partitionKey: 'city', queues })
    expect(await processFragments(settings())).to.include({ failed: 1, returned: 0, stored: 0 })
    expect([await cache.exists(real.hash), (await queues.outgoing.dead()).length]).to.deep.equal([false, 1])
  })

  it('refuse fragments that were made without the catalogue and that each session reads otherwise', async () => {
    await pool.query('CREATE TABLE visits (city int, at timestamptz)')
    const steady = decompose("SELECT * FROM visits WHERE at > '2024-01-01 00:00+00'", { partitionKey: 'city' })[0]!
    await pushToQueryFragmentQueue([decompose("SELECT * FROM visits WHERE at > '2024-01-01'", { partitionKey: 'city' })[0]!, steady], { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments(settings())).to.include({ stored: 1, failed: 1, returned: 0 })
    const [dead] = await queues.outgoing.dead()
    expect([await cache.getAllKeys(), dead!.attempts]).to.deep.equal([[steady.hash], 1])
    expect(dead!.error).to.contain('depends on the session')
  })

  it('store what populate stores, where a key column has the name of another table\'s plain column', async () => {
    await pool.query(`CREATE TABLE station (k int NOT NULL, x int); CREATE TABLE line (k int, x int, g int); CREATE TABLE stop (x int, g int);
      INSERT INTO station VALUES (1, 1), (2, 2); INSERT INTO line VALUES (7, 1, 1), (8, 2, 2); INSERT INTO stop VALUES (1, 1), (2, 2)`)
    const query = 'SELECT c.k FROM station AS c, line AS a, stop AS b WHERE a.g = c.k AND b.g = a.x AND b.x = 2'
    const [direct, queued] = [await createCache('memory', 'k', 'integer'), await createCache('memory', 'k', 'integer')]
    const { stored } = await populate(query, { source, cache: direct })
    const fragments = decompose(query, { partitionKey: 'k', catalogue: await readCatalogue(source, query) })
    expect(fragments.map(({ sql }) => sql).join(), 'a key that is not named k').to.match(/SELECT DISTINCT t\d\.g/)
    await pushToQueryFragmentQueue(fragments, { partitionKey: 'k', datatype: 'integer', queues })
    expect(await processFragments({ ...settings(), cache: queued })).to.include({ stored, failed: 0 })
    for (const { hash, sql } of fragments) expect(await queued.get(hash), sql).to.deep.equal(await direct.get(hash))
  })

  it('refuse keys that do not fit the partition key', async () => {
    await cache.setSet('one', [1])
    const kinds = fragment('SELECT DISTINCT kind FROM poi')
    await pushToQueryFragmentQueue(kinds, { partitionKey: 'city', queues })
    expect(await processFragments(settings())).to.include({ failed: 1 })
    expect((await queues.outgoing.dead()).map(({ error }) => error).join()).to.match(/holds integers/)
    expect(await cache.getStatus(kinds.hash)).to.equal('failed')
    await queues.outgoing.clear({ dead: true })
    await pushToQueryFragmentQueue(kinds, { partitionKey: 'city', queues })
    expect(await processFragments(settings())).to.include({ skipped: 1, failed: 0 })
  })

  it('record keys that no set of the partition key can hold, by their type or their values', async () => {
    const bits = await createCache('postgresql_bit', 'bits', 'integer', { pool })
    await pool.query('CREATE TABLE halves (bits numeric, size int); INSERT INTO halves VALUES (1.5, 1)')
    // by what the catalogue says of the column, by a key that is met, and by what the backend stores
    const all = [decompose('SELECT * FROM halves WHERE size = 1', { partitionKey: 'bits' })[0]!, fragment('SELECT 1.5 AS bits'), fragment('SELECT -5 AS bits')]
    await pushToQueryFragmentQueue(all, { partitionKey: 'bits', queues })
    expect(await processFragments({ ...settings(), cache: bits })).to.deep.equal({ stored: 0, cached: 0, skipped: 0, tooLarge: 0, timedOut: 0, failed: 3, returned: 0 })
    expect(await Promise.all(all.map(({ hash }) => bits.getStatus(hash)))).to.deep.equal(['failed', 'failed', 'failed'])
    expect((await queues.outgoing.dead()).map(({ attempts }) => attempts)).to.deep.equal([1, 1, 1])
    expect((await metrics()).fragments).to.include({ failed: 3, stored: 0 })
    await bits.close()
  })

  it('register no partition key by a type that its keys do not have', async () => {
    await pushToQueryFragmentQueue(fragment('SELECT DISTINCT kind FROM poi'), { partitionKey: 'kind', datatype: 'integer', queues })
    expect(await processFragments(settings())).to.include({ failed: 1 })
    expect(await cache.getDatatype({ partitionKey: 'kind' })).to.equal(undefined)
  })

  /** A source whose queries wait until they are let go. */
  function gated(): Source & { running: number, most: number, open(): void } {
    let open!: () => void
    const gate = new Promise<void>(resolve => { open = resolve })
    const state = {
      ...withoutSnapshot(source), running: 0, most: 0, open: () => { open() },
      async * query(...args: Parameters<Source['query']>) {
        state.most = Math.max(state.most, ++state.running)
        const abort = new Promise<never>((_, reject) => args[1]?.signal?.addEventListener('abort', () => { reject(args[1]!.signal!.reason as Error) }))
        abort.catch(() => {})
        try {
          await Promise.race([gate, abort])
          yield * source.query(...args)
        } finally {
          state.running--
        }
      }
    }
    return state
  }

  async function until(claim: () => boolean | Promise<boolean>): Promise<void> {
    while (!await claim()) await new Promise(resolve => setImmediate(resolve))
  }

  async function pushTen(): Promise<void> {
    await pushToQueryFragmentQueue(Array.from({ length: 10 }, (_, i) => fragment(`SELECT DISTINCT city FROM poi WHERE size <> ${i}`, `f${i}`)), { partitionKey: 'city', datatype: 'integer', queues })
  }

  it('take no more than they run at once', async () => {
    await pushTen()
    const slow = gated()
    const done = processFragments({ ...settings(), source: slow, concurrency: 3 })
    await until(() => slow.running === 3)
    expect(await queues.outgoing.counts()).to.deep.equal({ waiting: 7, delayed: 0, leased: 3, dead: 0 })
    slow.open()
    expect(await done).to.include({ stored: 10 })
    expect(slow.most).to.equal(3)
  })

  it('finish what they hold when they are stopped, and take no more', async () => {
    await pushTen()
    const slow = gated()
    const stop = new AbortController()
    const done = processFragments({ ...settings(), untilEmpty: false, source: slow, concurrency: 3, signal: stop.signal })
    await until(() => slow.running === 3)
    stop.abort()
    slow.open()
    expect(await done).to.include({ stored: 3, returned: 0 })
    expect(await queues.outgoing.counts()).to.deep.equal({ waiting: 7, delayed: 0, leased: 0, dead: 0 })
  })

  it('give back without blame what they cannot finish in time', async () => {
    await pushTen()
    const slow = gated()
    const stop = new AbortController()
    const done = processFragments({ ...settings(), untilEmpty: false, source: slow, concurrency: 3, signal: stop.signal, stopGraceMs: 0 })
    await until(() => slow.running === 3)
    stop.abort()
    expect(await done).to.include({ stored: 0, returned: 3 })
    expect(await queues.outgoing.counts()).to.deep.equal({ waiting: 10, delayed: 0, leased: 0, dead: 0 })
    expect((await queues.outgoing.lease({ count: 10 })).map(({ attempt }) => attempt)).to.deep.equal(Array(10).fill(1))
  })

  it('end at once when they are stopped while they wait, or before they begin', async () => {
    const stop = new AbortController()
    const waits = Promise.all([processFragments({ ...settings(), untilEmpty: false, signal: stop.signal }), processQueries({ queues, signal: stop.signal })])
    stop.abort()
    expect((await waits)[0]).to.include({ stored: 0 })
    expect(await processQueries({ queues, signal: stop.signal })).to.include({ decomposed: 0 })
  })

  it('keep the leases of what runs longer than a lease', async () => {
    await pushTen()
    const slow = gated()
    const done = processFragments({ ...settings(), source: slow, concurrency: 2, leaseMs: 60 })
    await until(() => slow.running === 2)
    const leases = await queues.outgoing.lease({ count: 10, leaseMs: 3_600_000 })
    expect(leases).to.have.length(8)
    // longer than the leases of the two
    expect(await queues.outgoing.lease({ timeoutMs: 150 })).to.equal(undefined)
    await Promise.all(leases.map(lease => lease.ack()))
    slow.open()
    expect(await done).to.include({ stored: 2 })
  })

  it('throw away the result of a job that they lost', async () => {
    const one = fragment('SELECT DISTINCT city FROM poi WHERE size = 1')
    await pushToQueryFragmentQueue(one, { partitionKey: 'city', datatype: 'integer', queues })
    const slow = gated()
    const done = processFragments({ ...settings(), source: slow })
    await until(() => slow.running === 1)
    // as if the lease had run out and somebody else had done the job
    await queues.outgoing.clear()
    await cache.setSet(one.hash, [7])
    slow.open()
    expect(await done).to.include({ stored: 0, returned: 1 })
    expect([...await cache.get(one.hash) ?? []]).to.deep.equal([7])
    expect((await metrics()).fragments.lost).to.equal(1)
  })

  it('report what an invalidation overtook as returned, and as stored once it is', async () => {
    await pushToQueryFragmentQueue({ ...fragment('SELECT DISTINCT city FROM poi WHERE size = 2'), tables: ['poi'] }, { partitionKey: 'city', datatype: 'integer', queues })
    const slow = gated()
    const done = processFragments({ ...settings(), source: slow })
    await until(() => slow.running === 1)
    await cache.invalidate({ table: 'poi' })
    slow.open()
    expect(await done).to.include({ stored: 1, returned: 1 })
  })

  it('report a set that the cache refused as failed', async () => {
    const bits = await createCache('postgresql_bit', 'city', 'integer', { pool })
    await pushToQueryFragmentQueue(fragment('SELECT -5 AS city'), { partitionKey: 'city', queues })
    expect(await processFragments({ ...settings(), cache: bits })).to.include({ stored: 0, failed: 1 })
    expect((await queues.outgoing.dead()).map(({ error }) => error).join()).to.match(/-5 is negative/)
    await bits.close()
  })

  it('wait while the source is away, at the cost of one attempt', async () => {
    const away = Object.assign(new Error('connection refused'), { isTransient: true })
    let calls = 0
    const flaky: Source = { ...withoutSnapshot(source), query(sql, options) {
      // the fragment, then two looks whether the source is back
      if (++calls <= 3) throw away
      return source.query(sql, options)
    } }
    await pushToQueryFragmentQueue(fragment('SELECT DISTINCT city FROM poi'), { partitionKey: 'city', datatype: 'integer', queues })
    expect(await processFragments({ ...settings(), source: flaky })).to.include({ returned: 1, stored: 1 })
    expect((await metrics()).troubles).to.equal(2)
  })

  it('refuse options they cannot work with', async () => {
    for (const [options, argument] of [[{ source: undefined }, 'source'], [{ cache: {} }, 'cache'], [{ concurrency: 0 }, 'concurrency'], [{ timeoutMs: -1 }, 'timeoutMs'], [{ leaseMs: 0 }, 'leaseMs'],
      [{ stopGraceMs: NaN }, 'stopGraceMs']] as [object, string][]) {
      const error: unknown = await processFragments({ ...settings(), ...options }).catch((thrown: unknown) => thrown)
      expect((error as { argument?: string }).argument).to.equal(argument)
    }
  })

  it('fail with the queue\'s error when it refuses for good', async () => {
    await queues.close()
    const error: unknown = await processFragments(settings()).catch((thrown: unknown) => thrown)
    expect((error as { code?: string }).code).to.equal('ERR_QUEUE')
  })
})
