// needs: pg_cron
import { expect } from 'chai'
import pg from 'pg'
import { startCronPostgres, type TestPostgres } from '../../../support/postgres.js'
import { processorDatabase, type ProcessorDatabase } from './processor-database.js'

describe('the processor under pg_cron', function () {
  // without libfaketime the first job starts when the next minute does
  this.timeout(240_000)
  let server: TestPostgres
  let db: ProcessorDatabase
  before(async () => {
    server = await startCronPostgres()
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query('CREATE EXTENSION pg_cron')
    await client.query('CREATE ROLE cron_worker LOGIN')
    await client.query('CREATE DATABASE elsewhere')
    await client.end()
    db = await processorDatabase('bit', {}, { url: server.url, drop: () => Promise.resolve() })
  })
  after(async () => {
    await (db as ProcessorDatabase | undefined)?.end()
    await server.stop()
  })

  it('is scheduled by what this version can, as a role of least rights, and follows its settings', async () => {
    await db.pool.query(db.processor.rolesSql({ worker: 'cron_worker' }, { sourceTables: ['poi'] }))
    await db.processor.configure({ maxParallelJobs: 3, frequencySeconds: 0.1, timeoutMs: 1000, maxAttempts: 1, evictEveryMinutes: 1 })
    const state = await db.processor.enable({ role: 'cron_worker' })
    expect(state?.version).to.match(/^1\./)
    expect(state?.jobs.map(({ jobname, role }) => [jobname.split('.')[1], role])).to.deep.equal(
      ['evict', 'watch', 'work 1', 'work 2', 'work 3'].map(what => [`partitioncache ${what}`, 'cron_worker']))
    await db.processor.configure({ maxParallelJobs: 2 })
    expect((await db.processor.status()).cron?.jobs.map(({ role }) => role), 'the role stays').to.deep.equal(['cron_worker', 'cron_worker', 'cron_worker', 'cron_worker'])
  })

  it('works the queue off, cancels what is late, goes on, and evicts, with nobody connected', async () => {
    await db.cache.setSet('old', [1], { datatype: 'integer', asOf: new Date(Date.now() - 3_600_000) })
    await db.processor.setPolicy('*', { maxAgeMs: 1_800_000 })
    await db.push({ hash: 'late', sql: 'SELECT region FROM poi WHERE pg_sleep(3000) IS NOT NULL', priority: 9 },
      ...Array.from({ length: 20 }, (_, i) => ({ hash: `h${i}`, sql: `SELECT region FROM poi WHERE region <= ${i}` })))
    await db.until('SELECT FROM partitioncache_processor_log HAVING count(*) >= 21')
    for (let i = 0; i < 20; i++) expect((await db.cache.get(`h${i}`))?.size).to.equal(i + 1)
    expect((await db.processor.logs({ status: 'timeout' })).map(({ hash, source, isDead }) => [hash, source, isDead])).to.deep.equal([['late', 'cron', true]])
    await db.until('SELECT FROM partitioncache_eviction_log')
    expect(await db.cache.get('old')).to.equal(undefined)
    // a job that comes while the workers look is not left to the next minute
    await db.push({ hash: 'soon', sql: 'SELECT 4 AS region' })
    await db.until("SELECT FROM partitioncache_processor_log WHERE query_hash = 'soon'")
    expect((await db.processor.status()).lastHour).to.include({ success: 21, timeout: 1, failed: 0 })
  })

  it('ends when it is disabled, and leaves nothing of it in pg_cron', async () => {
    await db.processor.disable()
    await db.until("SELECT FROM pg_stat_activity HAVING count(*) FILTER (WHERE query LIKE 'CALL partitioncache%' OR query LIKE 'CALL public.partitioncache%') = 0")
    expect((await db.processor.status()).cron?.jobs).to.deep.equal([])
    await db.push({ hash: 'left', sql: 'SELECT 1 AS region' })
    expect((await db.processor.status()).queue.waiting).to.equal(1)
    await db.processor.enable()
    await db.processor.remove()
    expect((await db.pool.query('SELECT FROM cron.job')).rows.length).to.equal(0)
  })

  it('drives a processor of another database from the one that pg_cron is in', async () => {
    const url = new URL(server.url)
    url.pathname = '/elsewhere'
    const other = await processorDatabase('bit', { cronPool: db.pool }, { url: url.href, drop: () => Promise.resolve() })
    expect((await other.processor.enable())?.jobs.length).to.equal(2)
    expect((await db.pool.query('SELECT DISTINCT database FROM cron.job')).rows).to.deep.equal([{ database: 'elsewhere' }])
    await other.processor.remove()
    expect((await db.pool.query('SELECT FROM cron.job')).rows.length).to.equal(0)
    await other.end()
  })
})
