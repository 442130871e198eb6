// needs: postgres
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import pg from 'pg'
import { createCache } from '../../../../lib/partition/create-cache.js'
import { openProcessor } from '../../../../lib/partition/processor/processor.js'
import { openQueues } from '../../../../lib/queue/open-queues.js'
import { processorDatabase, type ProcessorDatabase } from './processor-database.js'

const ROLES = ['reader', 'store', 'producer', 'worker', 'external'] as const
type Role = (typeof ROLES)[number]

describe('roles of the partition cache', function () {
  this.timeout(30_000)
  let db: ProcessorDatabase
  const names = Object.fromEntries(ROLES.map(role => [role, `millrace_${role}_${randomBytes(4).toString('hex')}`])) as Record<Role, string>
  const pools: pg.Pool[] = []
  /** A pool that really logs in as the role. */
  const as = (role: Role): pg.Pool => {
    const url = new URL(db.url)
    url.username = names[role]
    const pool = new pg.Pool({ connectionString: url.href, max: 2 })
    pool.on('error', () => {})
    pools.push(pool)
    return pool
  }
  /** The SQLSTATE of what it may not. */
  const refusal = async (role: Role, sql: string): Promise<unknown> => {
    const pool = as(role)
    return pool.query(sql).then(() => 'allowed', (error: unknown) => (error as { code?: string }).code)
  }

  before(async () => {
    db = await processorDatabase()
    for (const role of ROLES) await db.pool.query(`CREATE ROLE ${names[role]} LOGIN`)
    await db.pool.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC')
    await db.pool.query(db.processor.rolesSql({ reader: names.reader, store: names.store, producer: names.producer, worker: names.worker, externalWorker: names.external },
      { sourceTables: ['public.poi'] }))
    await db.processor.register('parks', 'SELECT * FROM poi p WHERE p.kind = $1 AND p.id < $2', { partitionKey: 'region' })
    await db.cache.setSet('h', [1, 2], { datatype: 'integer' })
  })
  after(async () => {
    for (const pool of pools) await pool.end()
    for (const role of ROLES) await db.pool.query(`DROP OWNED BY ${names[role]}; DROP ROLE ${names[role]}`)
    await db.end()
  })
  const { entries, config, outgoing, incoming, registered } = { entries: 'partitioncache_bit_entries', config: 'partitioncache_processor_config',
    outgoing: 'partitioncache_queue_outgoing', incoming: 'partitioncache_queue_incoming', registered: 'partitioncache_registered_queries' }
  const DENIED = '42501'

  it('let a reader read sets and note that it did, and change nothing', async () => {
    const cache = await createCache('postgresql_bit', 'region', undefined, { pool: as('reader') })
    expect(await cache.get('h')).to.deep.equal(new Set([1, 2]))
    await cache.close()
    expect((await db.cache.usage()).find(({ hash }) => hash === 'h')?.usedAt).to.be.a('number')
    const error: unknown = await cache.setSet('h', [3]).catch((thrown: unknown) => thrown)
    expect(error).to.include({ code: 'ERR_PARTITION_BACKEND', isTransient: false })
    for (const sql of [`DELETE FROM ${entries}`, 'SELECT * FROM poi', `SELECT * FROM ${config}`, `SELECT * FROM ${outgoing}`, 'SELECT partitioncache_evict()', "SELECT partitioncache_enqueue('parks')",
      "SELECT partitioncache_process_queue('partitioncache')", 'CALL partitioncache_work()', 'CREATE TABLE mine (a integer)']) expect(await refusal('reader', sql), sql).to.equal(DENIED)
  })

  it('let a store keep and evict sets, and see neither queue nor source', async () => {
    const cache = await createCache('postgresql_bit', 'region', undefined, { pool: as('store') })
    await cache.setSet('stored', [5])
    expect((await cache.evict({ maxEntries: 100 }))[0]?.kept.entries).to.be.greaterThan(0)
    await cache.delete('stored')
    expect(await refusal('store', 'SELECT * FROM partitioncache_evict()')).to.equal('allowed')
    for (const sql of ['SELECT * FROM poi', `SELECT * FROM ${outgoing}`, `INSERT INTO ${incoming} (hash) VALUES ('x')`, `UPDATE ${config} SET enabled = true`, 'SELECT partitioncache_take_job(1, \'x\')']) {
      expect(await refusal('store', sql), sql).to.equal(DENIED)
    }
  })

  it('let a producer ask for registered queries with values, and for nothing else', async () => {
    const processor = await openProcessor({ pool: as('producer') })
    expect(await processor.enqueue('parks', ["park'; DROP TABLE poi; --", 10n ** 17n], { priority: 3 })).to.equal('queued')
    expect(await processor.enqueue('parks', ["park'; DROP TABLE poi; --", 10n ** 17n])).to.equal('merged')
    const { rows: [row] } = await db.pool.query<{ query: string, params: unknown, priority: number }>(`SELECT query, params, priority FROM ${incoming}`)
    expect(row).to.deep.equal({ query: 'SELECT * FROM poi p WHERE p.kind = $1 AND p.id < $2', params: ["park'; DROP TABLE poi; --", { bigint: '100000000000000000' }], priority: 3 })
    for (const [id, params] of [['nothing', []], ['parks', []], ['parks', ['park', 1, 2]], ['SELECT 1', []]] as const) {
      expect(await processor.enqueue(id, params).catch((error: unknown) => error), id).to.include({ code: 'ERR_PARTITION_BACKEND' })
    }
    expect(await refusal('producer', `SELECT partitioncache_enqueue('parks', '["park", {"sql": "x"}]')`)).to.equal('22023')
    expect(await refusal('producer', "SELECT partitioncache_enqueue('parks', NULL)")).to.equal('22023')
    for (const sql of [`INSERT INTO ${incoming} (hash, partition_key, query) VALUES ('x', 'region', 'SELECT * FROM poi')`, `SELECT * FROM ${incoming}`, `SELECT * FROM ${registered}`, `INSERT INTO ${outgoing} (hash) VALUES ('x')`,
      `INSERT INTO ${registered} VALUES ('x')`, `SELECT * FROM ${entries}`, 'SELECT * FROM poi', "SELECT partitioncache_take_job(1, 'x')", 'CALL partitioncache_work()']) expect(await refusal('producer', sql), sql).to.equal(DENIED)
    await db.pool.query(`DELETE FROM ${incoming}`)
  })

  it('let a worker inside run fragments with its own rights, without any right on tables of ours', async () => {
    await db.pool.query("CREATE TABLE secret AS SELECT 1 AS region")
    await db.processor.configure({ maxAttempts: 1 })
    await db.push({ hash: 'w1', sql: "SELECT region FROM poi WHERE region < 4 AND kind = 'park'" }, { hash: 'w2', sql: 'SELECT region FROM secret' },
      { hash: 'w3', sql: "SELECT 1 AS region WHERE pg_read_file('/etc/passwd') <> ''" }, { hash: 'w4', sql: `SELECT count(*)::integer AS region FROM ${entries}` })
    const pool = as('worker')
    await pool.query("SELECT partitioncache_process_queue('partitioncache')")
    await pool.query("CALL partitioncache_work(0, 'test')")
    expect((await db.cache.get('w1'))?.size).to.equal(4)
    expect((await db.processor.logs({ status: 'failed' })).map(({ hash, error }) => [hash, /permission denied/.test(error!)]).sort()).to.deep.equal([['w2', true], ['w3', true], ['w4', true]])
    expect(await refusal('worker', 'CALL partitioncache_watch()')).to.equal('allowed')
    for (const sql of [`SELECT * FROM ${outgoing}`, `UPDATE ${config} SET result_limit = 1`, `SELECT * FROM ${entries}`, "SELECT partitioncache_enqueue('parks')", 'DELETE FROM poi', 'CREATE TABLE mine (a integer)']) {
      expect(await refusal('worker', sql), sql).to.equal(DENIED)
    }
  })

  it('let a worker outside take and push jobs and keep sets, and write no source', async () => {
    const queues = await openQueues('postgresql', { pool: as('external') })
    await queues.outgoing.push({ sql: 'SELECT 1 AS region', hash: 'x', partitionKey: 'region' })
    const lease = await queues.outgoing.lease()
    expect(await lease!.ack()).to.equal(true)
    await queues.close()
    expect(await refusal('external', 'SELECT region FROM poi')).to.equal('allowed')
    for (const sql of ['DELETE FROM poi', `UPDATE ${config} SET enabled = true`, `DROP TABLE ${outgoing}`, `INSERT INTO ${registered} VALUES ('x')`]) expect(await refusal('external', sql), sql).to.equal(DENIED)
  })

  it('keep free SQL out of the queue when only registered queries are accepted, whoever pushes', async () => {
    const queues = await openQueues('postgresql', { pool: as('external') })
    await db.processor.configure({ registeredOnly: true })
    const error: unknown = await queues.incoming.push({ sql: 'SELECT * FROM poi WHERE id = 1', partitionKey: 'region' }).catch((thrown: unknown) => thrown)
    expect((error as Error).message).to.match(/only registered queries are accepted/)
    await queues.incoming.push({ sql: 'SELECT * FROM poi p WHERE p.kind = $1 AND p.id < $2', params: ['park', 5], partitionKey: 'region' })
    expect(await queues.incoming.size()).to.equal(1)
    await db.processor.configure({ registeredOnly: false })
    await queues.incoming.push({ sql: 'SELECT * FROM poi WHERE id = 1', partitionKey: 'region' })
    expect(await queues.incoming.clear()).to.equal(2)
    await queues.close()
  })

  it('register only what could narrow a query and what the server takes', async () => {
    const { processor } = db
    const codeOf = (sql: string): Promise<unknown> => processor.register('x', sql, { partitionKey: 'region' }).then(() => 'taken', (error: unknown) => (error as { code: string }).code)
    expect(await codeOf('DELETE FROM poi')).to.equal('ERR_UNSUPPORTED_QUERY')
    expect(await codeOf('SELECT * FROM nowhere n WHERE n.a = $1')).to.be.oneOf(['ERR_PARTITION_BACKEND', 'ERR_INVALID_ARGUMENT'])
    expect(await processor.register('y', 'SELECT * FROM poi p WHERE p.id = 1', { partitionKey: 'region', datatype: 'integer' })).to.include({ parameters: 0, datatype: 'integer' })
    expect((await processor.registered()).map(({ id, parameters }) => [id, parameters])).to.deep.equal([['parks', 2], ['y', 0]])
    expect([await processor.unregister('y'), await processor.unregister('y')]).to.deep.equal([true, false])
    expect(await processor.register('', 'SELECT 1', { partitionKey: 'region' }).catch((error: unknown) => error)).to.include({ argument: 'id' })
  })

  it('find every function of ours closed to the public, and those with other rights bound to a search path', async () => {
    const { rows } = await db.pool.query<{ proname: string, is_public: boolean, prosecdef: boolean, path: string | null }>(`SELECT proname, prosecdef,
      EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0) AS is_public,
      (SELECT setting FROM unnest(proconfig) AS c(setting) WHERE setting LIKE 'search_path=%') AS path FROM pg_proc WHERE proname LIKE 'partitioncache%'`)
    expect(rows.length).to.be.greaterThan(15)
    expect(rows.filter(({ is_public: isPublic }) => isPublic)).to.deep.equal([])
    expect(rows.filter(({ prosecdef, path }) => prosecdef && path !== 'search_path=pg_catalog, pg_temp')).to.deep.equal([])
  })
})
