// needs: postgres
import { expect } from 'chai'
import pg from 'pg'
import { openProcessor } from '../../../../lib/partition/processor/processor.js'
import { queueStatements } from '../../../../lib/queue/postgresql-schema.js'
import { processorDatabase, type ProcessorDatabase } from './processor-database.js'

const errorOf = async (promise: Promise<unknown>): Promise<Error & { code?: string, argument?: string }> => {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error, 'should have been refused').to.be.instanceOf(Error)
  return error as Error
}

/** A fragment that waits for the test to unlock, without a clock. */
const WAITING = "SELECT region FROM poi WHERE region < 3 AND pg_advisory_xact_lock_shared(4242)::text = ''"

for (const family of ['bit', 'array'] as const) {
  describe(`the processor inside PostgreSQL, ${family}`, function () {
    this.timeout(30_000)
    let db: ProcessorDatabase
    beforeEach(async () => { db = await processorDatabase(family) })
    afterEach(async () => { await db.end() })
    const logged = async (): Promise<unknown[]> => (await db.processor.logs({ limit: 100 })).reverse().map(line => [line.hash, line.status, line.attempt, line.isDead])

    it('runs fragments, keeps their sets and leaves the queue empty', async () => {
      await db.push({ hash: 'few', sql: "SELECT DISTINCT t1.region FROM poi AS t1 WHERE t1.kind = 'park' AND t1.region < 10", tables: ['poi'] },
        { hash: 'none', sql: 'SELECT region FROM poi WHERE false' }, { hash: 'comment', sql: 'SELECT region FROM poi WHERE region = 7 -- the end' },
        { hash: 'semicolon', sql: 'SELECT NULLIF(region, 1) FROM poi WHERE region < 3;' })
      const began = Date.now()
      expect(await db.processor.runOnce()).to.include({ done: 4, success: 4 })
      expect(await db.cache.get('few')).to.deep.equal(new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
      expect(await db.cache.get('none')).to.deep.equal(new Set())
      expect([await db.cache.get('comment'), await db.cache.get('semicolon')]).to.deep.equal([new Set([7]), new Set([0, 2])])
      const entry = await db.cache.getEntry('few')
      expect(entry).to.deep.include({ state: 'set', status: 'ok', tables: ['poi'], expiresAt: undefined, query: "SELECT DISTINCT t1.region FROM poi AS t1 WHERE t1.kind = 'park' AND t1.region < 10" })
      expect(entry!.storedAt).to.be.at.least(began - 1000)
      expect(await db.job('few')).to.equal(undefined)
      expect(await db.processor.runOnce()).to.include({ done: 0 })
    })

    it('grows from small ids to large ones and back, with other rows present', async () => {
      const far = 1_000_000
      const sets: Record<string, number[]> = { small: [0, 5], word: [63, 64], large: [3, far], zero: [0], again: [1] }
      for (const [hash, keys] of Object.entries(sets)) {
        await db.push({ hash, sql: `SELECT region FROM (VALUES ${keys.map(key => `(${key})`).join()}) AS v(region)` })
        await db.processor.runOnce()
      }
      for (const [hash, keys] of Object.entries(sets)) expect(await db.cache.get(hash), hash).to.deep.equal(new Set(keys))
      await db.push({ hash: 'small', sql: `SELECT region FROM (VALUES (${far}), (8)) AS v(region)`, rerun: 2 })
      await db.processor.runOnce()
      expect(await db.cache.intersect(['small', 'large'])).to.deep.equal(new Set([far]))
    })

    it('tries failures and timeouts again, then marks them and gives them up', async () => {
      await db.processor.configure({ timeoutMs: 150, retryDelayMs: 0, maxAttempts: 2 })
      await db.push({ hash: 'registers', sql: 'SELECT 1 AS region' })
      await db.push({ hash: 'wrong', sql: 'SELECT region FROM nothing' })
      await db.push({ hash: 'slow', sql: 'SELECT region FROM poi WHERE pg_sleep(30) IS NOT NULL' })
      expect(await db.processor.runOnce()).to.deep.equal({ done: 5, success: 1, skipped: 0, failed: 2, timeout: 2, lost: 0, outdated: 0 })
      expect(await logged()).to.have.deep.members([['registers', 'success', 1, false], ['wrong', 'failed', 1, false], ['slow', 'timeout', 1, false],
        ['wrong', 'failed', 2, true], ['slow', 'timeout', 2, true]])
      expect(await db.cache.getEntry('wrong')).to.deep.include({ state: 'null', status: 'failed' })
      expect(await db.cache.getEntry('slow')).to.deep.include({ state: 'null', status: 'timeout' })
      expect((await db.job('wrong'))?.['error']).to.match(/relation "nothing" does not exist/)
      expect((await db.processor.status()).queue).to.deep.equal({ waiting: 0, delayed: 0, leased: 0, dead: 2 })
    })

    it('waits longer with each attempt', async () => {
      await db.processor.configure({ retryDelayMs: 60_000 })
      await db.push({ hash: 'wrong', sql: 'SELECT region FROM nothing' })
      const waits: number[] = []
      for (let i = 0; i < 2; i++) {
        await db.processor.runOnce()
        const { rows: [row] } = await db.pool.query<{ wait: string }>(`UPDATE ${db.processor.names.outgoing.table} SET available_at = now() RETURNING extract(epoch FROM (SELECT q.available_at FROM ${db.processor.names.outgoing.table} AS q) - now()) AS wait`)
        waits.push(Math.round(Number(row!.wait) / 60))
      }
      expect(waits).to.deep.equal([1, 2])
    })

    it('gives up at once what another attempt cannot help: too large, or no keys', async () => {
      await db.processor.configure({ resultLimit: 100 })
      await db.push({ hash: 'registers', sql: 'SELECT 1 AS region' }, { hash: 'large', sql: 'SELECT region FROM poi' }, { hash: 'text', sql: 'SELECT kind FROM poi' },
        { hash: 'exactly', sql: 'SELECT region FROM poi WHERE region < 100' }, ...family === 'bit' ? [{ hash: 'negative', sql: 'SELECT -1 AS region' }] : [])
      await db.processor.runOnce()
      expect(await db.cache.getEntry('large')).to.deep.include({ state: 'null', status: 'failed' })
      expect((await db.processor.logs({ status: 'failed' })).map(({ hash, error, attempt, isDead }) => [hash, error, attempt, isDead])).to.have.deep.members([
        ['large', 'more than 100 keys', 1, true], ['text', 'keys of the type text are no integer keys', 1, true],
        ...family === 'bit' ? [['negative', 'the key -1 is outside 0 to 67108863', 1, true]] : []])
      expect((await db.cache.get('exactly'))?.size).to.equal(100)
    })

    it('runs only what the cache does not know, unless it is asked to', async () => {
      await db.cache.setSet('set', [1], { datatype: 'integer' })
      await db.cache.setNull('mark', { status: 'timeout' })
      const sql = 'SELECT 5 AS region'
      await db.push({ hash: 'set', sql }, { hash: 'mark', sql })
      expect(await db.processor.runOnce()).to.include({ skipped: 2 })
      expect(await db.cache.get('set')).to.deep.equal(new Set([1]))
      await db.push({ hash: 'set', sql, rerun: 1 }, { hash: 'mark', sql, rerun: 1 })
      expect(await db.processor.runOnce()).to.include({ skipped: 1, success: 1 })
      expect([await db.cache.get('set'), await db.cache.get('mark')]).to.deep.equal([new Set([1]), new Set([5])])
      await db.push({ hash: 'set', sql, rerun: 2 })
      expect(await db.processor.runOnce()).to.include({ success: 1 })
      expect(await db.cache.get('set')).to.deep.equal(new Set([5]))
    })

    it('keeps a result out whose lease ran out, so that it cannot overwrite a newer one', async () => {
      await db.push({ hash: 'h', sql: 'SELECT 1 AS region' })
      const { fn, outgoing: { table } } = db.processor.names
      const { rows: [job] } = await db.pool.query<{ job_id: string, job_lease: string }>(`SELECT * FROM ${fn('take_job')}(1, 'test')`)
      // another worker takes it after the lease, and is faster
      await db.pool.query(`UPDATE ${table} SET available_at = now() - interval '1 second'`)
      const { rows: [other] } = await db.pool.query<{ id: string, lease: string }>(queueStatements(db.processor.names.outgoing).take, [1, 30_000, 5])
      await db.cache.setSet('h', [99], { datatype: 'integer' })
      const finish = `SELECT ${fn('finish_job')}($1, $2, 'success', NULL, false, now(), 1, 'test', 'integer', 1, B'01', 2) AS became`
      expect((await db.pool.query(finish, [job!.job_id, job!.job_lease])).rows).to.deep.equal([{ became: 'lost' }])
      expect(await db.cache.get('h')).to.deep.equal(new Set([99]))
      expect((await db.job('h'))?.['lease']).to.equal(other!.lease)
    })

    it('keeps a set out that an invalidation overtook, and computes it again, at no attempt\'s cost', async () => {
      await db.processor.configure({ maxAttempts: 1 })
      await db.push({ hash: 'h', sql: 'SELECT 1 AS region' })
      const { fn } = db.processor.names
      const { rows: [taken] } = await db.pool.query<{ job_id: string, job_lease: string }>(`SELECT * FROM ${fn('take_job')}(1, 'test')`)
      const ids = [taken!.job_id, taken!.job_lease]
      const { rows: [job] } = await db.pool.query<{ began: string }>(`SELECT began FROM ${fn('job')}($1, $2)`, ids)
      await db.cache.invalidate({ partitionKey: 'region' })
      const finish = `SELECT ${fn('finish_job')}($1, $2, 'success', NULL, false, now(), 1, 'test', 'integer', 1, B'01', 2, began => $3) AS became`
      expect((await db.pool.query(finish, [...ids, job!.began])).rows).to.deep.equal([{ became: 'outdated' }])
      expect(await db.job('h')).to.deep.include({ attempts: 0, lease: null, dead_at: null, error: null })
      expect(await logged()).to.deep.equal([['h', 'skipped', 1, false]])
      expect(await db.cache.get('h')).to.equal(undefined)
      await db.pool.query(`UPDATE ${db.processor.names.outgoing.table} SET available_at = now()`)
      expect(await db.processor.runOnce()).to.include({ success: 1 })
      expect(await db.cache.get('h')).to.deep.equal(new Set([1]))
    })

    it('keeps a set that only invalidations of other tables overtook', async () => {
      const cases: [tables: string[] | undefined, invalidated: string | undefined, became: string][] = [
        [['poi'], 'other', 'success'], [['poi'], undefined, 'outdated'], [['poi'], 'poi', 'outdated'], [['poi'], 'public.poi', 'outdated'], [['public.poi'], 'poi', 'outdated'],
        [['public.poi'], 'public.poi', 'outdated'], [['public.poi'], 'hidden.poi', 'success'], [['other', 'poi'], 'poi', 'outdated'], [['db.public.poi'], 'public.poi', 'outdated'],
        [['"a.b""c\\\t"'], '"a.b""c\\\t"', 'outdated'], [['"a.b""c"'], 'b', 'success'], [undefined, 'other', 'outdated'], [['a.b.c.d'], 'other', 'outdated'], [[], 'other', 'success']
      ]
      const { fn, outgoing: { table } } = db.processor.names
      for (const [i, [tables, invalidated, became]] of cases.entries()) {
        const hash = `h${i}`
        await db.push({ hash, sql: 'SELECT 1 AS region', ...(tables && { tables }) })
        const { rows: [taken] } = await db.pool.query<{ job_id: string, job_lease: string }>(`SELECT * FROM ${fn('take_job')}(1, 'test')`)
        const ids = [taken!.job_id, taken!.job_lease]
        const { rows: [job] } = await db.pool.query<{ began: string }>(`SELECT began FROM ${fn('job')}($1, $2)`, ids)
        await db.cache.invalidate({ partitionKey: 'region', table: 'unrelated' })
        await db.cache.invalidate({ partitionKey: 'region', ...(invalidated !== undefined && { table: invalidated }) })
        const finish = `SELECT ${fn('finish_job')}($1, $2, 'success', NULL, false, now(), 1, 'test', 'integer', 1, B'01', 2, began => $3) AS became`
        expect((await db.pool.query(finish, [...ids, job!.began])).rows, `${String(tables)}, ${invalidated}`).to.deep.equal([{ became }])
        expect(await db.cache.exists(hash)).to.equal(became === 'success')
        await db.pool.query(`DELETE FROM ${table}`)
      }
    })

    it('does one job for whoever calls it by the name of the processor', async () => {
      await db.push({ hash: 'a', sql: 'SELECT 1 AS region', priority: 1 }, { hash: 'b', sql: 'SELECT 2 AS region', priority: 5 })
      expect((await db.pool.query("SELECT partitioncache_process_queue('partitioncache');")).rows).to.deep.equal([{ partitioncache_process_queue: 1 }])
      expect([await db.cache.get('a'), await db.cache.get('b')], 'the larger priority first').to.deep.equal([undefined, new Set([2])])
      await db.pool.query("SELECT partitioncache_process_queue('partitioncache_')")
      expect((await db.pool.query("SELECT partitioncache_process_queue('partitioncache')")).rows).to.deep.equal([{ partitioncache_process_queue: 0 }])
      expect(await db.cache.get('a')).to.deep.equal(new Set([1]))
    })
  })
}

describe('the processor inside PostgreSQL', function () {
  this.timeout(30_000)
  let db: ProcessorDatabase
  beforeEach(async () => { db = await processorDatabase() })
  afterEach(async () => { await db.end() })
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: db.url })
    client.on('error', () => {})
    await client.connect()
    return client
  }

  it('has a log that the two monitoring queries of the overview run on as written', async () => {
    await db.processor.configure({ maxAttempts: 1 })
    await db.push({ hash: 'a', sql: 'SELECT 1 AS region' }, { hash: 'b', sql: 'SELECT region FROM nothing' }, { hash: 'c', sql: 'SELECT region FROM nothing' }, { hash: 'd', sql: 'SELECT region FROM nowhere' })
    await db.processor.runOnce()
    const performance = await db.pool.query<Record<string, string>>(`SELECT 
    AVG(execution_time_ms) as avg_time,
    MAX(execution_time_ms) as max_time,
    COUNT(*) as total_jobs
FROM partitioncache_processor_log 
WHERE status = 'success'
AND created_at > CURRENT_TIMESTAMP - INTERVAL '1 hour';`)
    expect(performance.rows[0]!['total_jobs']).to.equal('1')
    expect(Number(performance.rows[0]!['avg_time'])).to.be.greaterThan(0)
    const errors = await db.pool.query(`SELECT error_msg, COUNT(*) as frequency
FROM partitioncache_processor_log 
WHERE status = 'failed'
GROUP BY error_msg
ORDER BY frequency DESC;`)
    expect(errors.rows).to.deep.equal([{ error_msg: 'relation "nothing" does not exist', frequency: '2' }, { error_msg: 'relation "nowhere" does not exist', frequency: '1' }])
  })

  it('is set up again by several at once, keeps its settings, and is removed without queue and cache', async () => {
    await db.processor.configure({ timeoutMs: 1234 })
    await db.push({ hash: 'a', sql: 'SELECT 1 AS region' })
    const again = await Promise.all([1, 2, 3].map(() => db.processor.setup()))
    expect(again[0]).to.deep.equal({ schemaVersion: 1, before: 1 })
    expect((await db.processor.config()).timeoutMs).to.equal(1234)
    await db.processor.runOnce({ maxJobs: 1 })
    await db.push({ hash: 'b', sql: 'SELECT 1 AS region' })
    await db.processor.remove()
    await db.processor.remove()
    expect((await db.pool.query("SELECT proname FROM pg_proc WHERE proname LIKE 'partitioncache%'")).rows).to.deep.equal([])
    expect((await db.pool.query("SELECT relname FROM pg_class WHERE relname LIKE '%processor%' OR relname LIKE '%eviction%' OR relname LIKE '%registered%'")).rows).to.deep.equal([])
    expect([await db.cache.get('a'), (await db.job('b'))?.['hash']]).to.deep.equal([new Set([1]), 'b'])
    for (const call of [() => db.processor.status(), () => db.processor.enable(), () => db.processor.disable(), () => db.processor.runOnce(), () => db.processor.logs(), () => db.processor.configure({ timeoutMs: 1 })]) {
      expect(await errorOf(call())).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'name' })
    }
    expect(await db.processor.setup()).to.deep.equal({ schemaVersion: 1, before: undefined })
  })

  it('leaves an installation of a newer version alone, and other processors of its schema', async () => {
    const other = await openProcessor({ pool: db.pool, name: 'other', queuePrefix: 'other_queue' })
    await other.setup()
    await db.processor.remove()
    expect((await db.pool.query("SELECT partitioncache_process_queue('other')")).rows).to.deep.equal([{ partitioncache_process_queue: 0 }])
    await db.pool.query('UPDATE other_processor_config SET schema_version = 99')
    expect(await errorOf(other.setup())).to.include({ code: 'ERR_INVALID_ARGUMENT' })
  })

  it('refuses settings and names it cannot use, by name', async () => {
    for (const change of [{ timeoutMs: 0 }, { maxParallelJobs: 33 }, { resultLimit: 1.5 }, { frequencySeconds: 'x' as never }, { registeredOnly: 1 as never }, { timeoutMs: undefined }, { speed: 1 } as never]) {
      expect((await errorOf(db.processor.configure(change))).argument).to.equal(Object.keys(change)[0])
    }
    for (const place of [{ name: 'a b' }, { name: 'A' }, { family: 'set' as never }, { queuePrefix: 'a$b' }]) {
      expect((await errorOf(openProcessor({ pool: db.pool, ...place }))).code).to.equal('ERR_INVALID_ARGUMENT')
    }
    expect(await errorOf(openProcessor({ pool: {} as never }))).to.include({ argument: 'pool' })
    expect(await errorOf(db.processor.logs({ limit: 0 }))).to.include({ argument: 'limit' })
    await db.processor.configure({ ttlMs: 5000, evictEveryMinutes: 5 })
    await db.processor.configure({ ttlMs: undefined })
    expect(await db.processor.config()).to.include({ ttlMs: undefined, evictEveryMinutes: 5 })
  })

  it('lets no fragment write, whatever it calls, and gives it no way out of that', async () => {
    await db.pool.query(`CREATE FUNCTION write_one() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN INSERT INTO poi VALUES (0, 0, ''); RETURN 1; END $$;
      CREATE FUNCTION write_as_owner() RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM poi; RETURN 1; END $$;
      CREATE SEQUENCE numbers`)
    await db.processor.configure({ maxAttempts: 1 })
    await db.push({ hash: 'a', sql: 'SELECT write_one() AS region' }, { hash: 'b', sql: 'SELECT write_as_owner() AS region' }, { hash: 'c', sql: "SELECT nextval('numbers') AS region" },
      { hash: 'd', sql: 'WITH gone AS (DELETE FROM poi RETURNING region) SELECT region FROM gone' }, { hash: 'e', sql: "SELECT 1) AS q(k); DELETE FROM poi; SELECT 1 FROM (SELECT 1" },
      { hash: 'f', sql: "SELECT partitioncache_give_back(1, 1)::text::integer" }, { hash: 'g', sql: "SELECT 1 AS region WHERE set_config('transaction_read_only', 'off', false) = 'off'" })
    expect(await db.processor.runOnce()).to.include({ done: 7, failed: 7 })
    expect((await db.pool.query('SELECT count(*)::integer AS rows FROM poi')).rows).to.deep.equal([{ rows: 3000 }])
    expect((await db.processor.logs({ status: 'failed' })).filter(({ error }) => /read-only transaction/.test(error!)).map(({ hash }) => hash).sort()).to.deep.equal(['a', 'b', 'c', 'f', 'g'])
    await db.push({ hash: 'ok', sql: 'SELECT 1 AS region' })
    expect(await db.processor.runOnce(), 'the next job is as free as ever').to.include({ success: 1 })
  })

  it('finds tables by the search path it was given, and functions of a fragment cannot take its place', async () => {
    await db.pool.query("CREATE SCHEMA hidden; CREATE TABLE hidden.secret AS SELECT 3 AS region; CREATE FUNCTION hidden.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'")
    await db.push({ hash: 'a', sql: 'SELECT region FROM secret' })
    await db.processor.configure({ fragmentPath: 'hidden, public' })
    expect(await db.processor.runOnce()).to.include({ success: 1 })
    expect(await db.cache.get('a')).to.deep.equal(new Set([3]))
  })

  it('runs no more jobs at once than it may, from whatever caller', async () => {
    await db.processor.configure({ maxParallelJobs: 2 })
    await db.push(...['a', 'b', 'c'].map(hash => ({ hash, sql: WAITING })))
    const gate = await connect()
    await gate.query('SELECT pg_advisory_lock(4242)')
    const runs = [db.processor.runOnce(), db.processor.runOnce()]
    await db.until('SELECT FROM partitioncache_processor_active HAVING count(*) = 2')
    expect(await db.processor.runOnce()).to.include({ done: 0 })
    expect((await db.pool.query("SELECT partitioncache_process_queue('partitioncache')")).rows).to.deep.equal([{ partitioncache_process_queue: 0 }])
    await db.pool.query("CALL partitioncache_work(0, 'test')")
    expect((await db.processor.status()).active.map(({ slot }) => slot)).to.deep.equal([1, 2])
    await gate.end()
    expect((await Promise.all(runs)).reduce((sum, { success }) => sum + success, 0)).to.equal(3)
  })

  it('gives a job back whose worker died, and finds that out by the next worker', async () => {
    await db.push({ hash: 'a', sql: WAITING })
    const gate = await connect()
    await gate.query('SELECT pg_advisory_lock(4242)')
    const worker = await connect()
    const died = worker.query("CALL partitioncache_work(0, 'test')").catch(() => {})
    await db.until('SELECT FROM partitioncache_processor_active')
    await db.pool.query('SELECT pg_terminate_backend(pid) FROM partitioncache_processor_active')
    await died
    await db.until("SELECT FROM pg_locks HAVING count(*) FILTER (WHERE locktype = 'advisory') = 1")
    await gate.end()
    expect(await db.processor.runOnce()).to.include({ success: 1 })
    expect((await db.processor.logs()).map(({ status, error, attempt }) => [status, error, attempt])).to.deep.equal([['success', undefined, 2], ['failed', 'its worker ended while it ran', undefined]])
    await worker.end().catch(() => {})
  })

  it('is stopped by an abort: the job goes back as it was, and the slot is free', async () => {
    await db.push({ hash: 'a', sql: WAITING })
    const gate = await connect()
    await gate.query('SELECT pg_advisory_lock(4242)')
    const stop = new AbortController()
    const run = errorOf(db.processor.runOnce({ signal: stop.signal }))
    await db.until('SELECT FROM partitioncache_processor_active')
    await db.until("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    stop.abort(new Error('enough'))
    expect((await run).message).to.equal('enough')
    expect(await db.job('a')).to.deep.include({ attempts: 0, lease: null, dead_at: null })
    await gate.end()
    expect(await db.processor.runOnce()).to.include({ success: 1 })
    expect((await errorOf(db.processor.runOnce({ signal: AbortSignal.abort(new Error('before')) }))).message).to.equal('before')
  })

  it('cancels a late job from beside, and its worker goes on with the next', async () => {
    await db.processor.configure({ timeoutMs: 100, maxAttempts: 1 })
    await db.processor.enable()
    await db.push({ hash: 'late', sql: WAITING, priority: 9 }, { hash: 'good', sql: 'SELECT 1 AS region' })
    const gate = await connect()
    await gate.query('SELECT pg_advisory_lock(4242)')
    const worker = await connect()
    const work = worker.query("CALL partitioncache_work(0, 'test')")
    await db.until('SELECT FROM partitioncache_processor_active WHERE deadline < clock_timestamp()')
    const watcher = await connect()
    await watcher.query('CALL partitioncache_watch(0)')
    await work
    expect((await db.processor.logs()).map(({ hash, status, isDead }) => [hash, status, isDead])).to.deep.equal([['good', 'success', false], ['late', 'timeout', true]])
    for (const client of [gate, worker, watcher]) await client.end()
  })

  it('records what a statement_timeout stops, and nothing of what somebody else cancels', async () => {
    await db.push({ hash: 'a', sql: WAITING })
    const gate = await connect()
    await gate.query('SELECT pg_advisory_lock(4242)')
    const caller = await connect()
    const call = errorOf(caller.query("SELECT partitioncache_process_queue('partitioncache')"))
    await db.until("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    await db.pool.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    expect((await call).message).to.match(/cancelled while the job/)
    expect(await db.job('a')).to.deep.include({ attempts: 0, lease: null })
    await caller.query("SET statement_timeout = '50ms'")
    expect((await caller.query("SELECT partitioncache_process_queue('partitioncache') AS done")).rows).to.deep.equal([{ done: 1 }])
    expect((await db.processor.logs()).map(({ status, attempt }) => [status, attempt])).to.deep.equal([['timeout', 1]])
    for (const client of [gate, caller]) await client.end()
  })

  it('stops a worker whose call is cancelled, with its job back in the queue', async () => {
    await db.push({ hash: 'a', sql: WAITING })
    const gate = await connect()
    await gate.query('SELECT pg_advisory_lock(4242)')
    const worker = await connect()
    const call = errorOf(worker.query("CALL partitioncache_work(0, 'test')"))
    await db.until("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    await db.pool.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    expect((await call).message).to.match(/back in the queue/)
    expect(await db.job('a')).to.deep.include({ attempts: 0, lease: null })
    await gate.end()
    await worker.query("CALL partitioncache_work(0, 'test')")
    expect((await db.cache.get('a'))?.size).to.equal(3)
    await worker.end()
  })

  it('works for a while when asked to, and stops in it when it is disabled', async () => {
    await db.processor.configure({ frequencySeconds: 0.05 })
    const worker = await connect()
    await worker.query("CALL partitioncache_work(1000, 'cron')")
    expect(await db.processor.enable(), 'no pg_cron here').to.equal(undefined)
    const call = worker.query("CALL partitioncache_work(1000, 'cron')")
    await db.until("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await db.push({ hash: 'a', sql: 'SELECT 1 AS region' })
    await db.until("SELECT FROM partitioncache_processor_log WHERE execution_source = 'cron'")
    await db.processor.disable()
    await call
    expect(await db.processor.status()).to.deep.include({ active: [], cron: undefined })
    await worker.end()
  })
})
