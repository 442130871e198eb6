// needs: postgres
import { once } from 'node:events'
import { expect } from 'chai'
import pg from 'pg'
import type { RowBatch } from '../../../lib/batch/row-batch.js'
import type { SourceError } from '../../../lib/source/source-error.js'
import { testDatabase } from '../../support/postgres.js'
import { drain, errorOf, requestOf } from '../../support/fetch-request.js'
import type { TcpProxy } from '../../support/tcp-proxy.js'
import { proxyOf, withPostgres, type PoolOptions, type PoolRun } from './with-postgres.js'

/** Longer than any of these may take; mocha's own limit is the only clock. */
const SETTLES_MS = 30_000

const MANY = 'SELECT i AS id, repeat(md5(i::text), 8) AS name FROM generate_series(1, 400000) i'

describe('postgresSource under faults', function () {
  this.timeout(SETTLES_MS)
  let admin: pg.Pool
  let url: string
  let drop: () => Promise<void>

  before(async () => {
    ({ url, drop } = await testDatabase())
    admin = new pg.Pool({ connectionString: url, max: 2 })
    await admin.query("CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 100000) i; ANALYZE users")
  })
  after(async () => {
    await admin.end()
    await drop()
  })

  const withPool = (run: PoolRun, options?: PoolOptions): Promise<void> => withPostgres(url, run, options)

  /** Wait until the server runs no statement of these sessions; the server decides when to ask again. */
  async function untilIdle(application: string): Promise<void> {
    for (;;) {
      const { rows } = await admin.query("SELECT count(*)::int AS n, pg_sleep(0.01)::text FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'", [application])
      if ((rows[0] as { n: number }).n === 0) return
    }
  }

  const terminate = (application: string): Promise<unknown> =>
    admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [application])

  it('rejects when the backend is terminated in the middle, and the pool recovers', async () => {
    await withPool(async (pool, source) => {
      for (let round = 0; round < 5; round++) {
        const batches = source.query(MANY)[Symbol.asyncIterator]()
        await batches.next()
        await terminate('terminated')
        const error = await errorOf(drain(batches))
        expect(error).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect((error as SourceError).cause).to.be.instanceOf(Error)
        expect(pool.totalCount).to.equal(0)
      }
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { application: 'terminated' })
  })

  it('rejects a fetch whose backend is terminated while the server works on it', async () => {
    await withPool(async (_pool, source) => {
      const query = errorOf(drain(source.query("SELECT 1 AS a FROM pg_sleep(100)")))
      for (let n = 0; n === 0;) n = (await admin.query("SELECT pg_sleep(0.01)::text FROM pg_stat_activity WHERE application_name = 'busy' AND wait_event = 'PgSleep'")).rowCount ?? 0
      await terminate('busy')
      expect(await query).to.include({ sqlState: '57P01', isTransient: true })
    }, { application: 'busy' })
  })

  it('survives the termination of an idle client', async () => {
    await withPool(async (pool, source) => {
      await drain(source.query('SELECT 1 AS one'))
      const gone = new Promise(resolve => pool.once('remove', resolve))
      await terminate('idle one')
      await gone
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { application: 'idle one' })
  })

  it('rejects when the connection is lost after the last row and before the last word', async () => {
    // Close is sent when CommandComplete has come, and ReadyForQuery is the answer to what is sent with it
    const close = 'C'.charCodeAt(0)
    const proxy: TcpProxy = await proxyOf(url, { question: chunk => {
      if (chunk[0] === close) proxy.cut()
      return chunk
    } })
    try {
      await withPool(async (pool, source) => {
        expect(await errorOf(drain(source.query('SELECT 1 AS one')))).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect(await errorOf(drain(source.fetch([1, 3, 9], 'public.users', requestOf(['name'])) as AsyncIterable<RowBatch>))).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect(pool.totalCount).to.equal(0)
      }, { port: proxy.port, copy: false })
    } finally {
      await proxy.close()
    }
  })

  describe('behind a broken network', () => {
    let proxy: TcpProxy
    beforeEach(async () => { proxy = await proxyOf(url) })
    afterEach(() => proxy.close())

    it('rejects when the socket is cut', async () => {
      await withPool(async (pool, source) => {
        const batches = source.query(MANY)[Symbol.asyncIterator]()
        await batches.next()
        proxy.cut()
        expect(await errorOf(drain(batches))).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect(pool.totalCount).to.equal(0)
        expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
      }, { port: proxy.port })
    })

    it('rejects when the server falls silent in the middle of an answer', async () => {
      await withPool(async (pool, source) => {
        const batches = source.query(MANY)[Symbol.asyncIterator]()
        await batches.next()
        proxy.stall()
        const error = await errorOf(drain(batches))
        expect(error.message).to.contain('no answer from the server for 200 ms')
        expect(pool.totalCount).to.equal(0)
      }, { port: proxy.port, timeoutMs: 200 })
    })

    it('rejects a statement whose answer never comes', async () => {
      await withPool(async (pool, source) => {
        expect(await source.execute('SELECT 1')).to.equal(1)
        proxy.stall()
        expect((await errorOf(source.execute('SELECT 1'))).message).to.contain('no answer from the server for 200 ms')
        expect(pool.totalCount).to.equal(0)
      }, { port: proxy.port, timeoutMs: 200 })
    })

    it('rejects when the server falls silent before the session is pinned', async () => {
      await withPool(async (pool, source) => {
        const held = await pool.connect()
        held.release()
        proxy.stall()
        expect((await errorOf(drain(source.query('SELECT 1 AS one')))).message).to.contain('no answer from the server for 200 ms')
        expect(pool.totalCount).to.equal(0)
      }, { port: proxy.port, timeoutMs: 200 })
    })

    it('settles an abort and a break although the server is silent', async () => {
      await withPool(async (pool, source) => {
        const abort = new AbortController()
        const aborted = source.query(MANY, { signal: abort.signal })[Symbol.asyncIterator]()
        const broken = source.query(MANY)[Symbol.asyncIterator]()
        await aborted.next()
        await broken.next()
        proxy.stall()
        const rest = errorOf(drain(aborted))
        abort.abort()
        expect(await rest).to.include({ name: 'AbortError' })
        await broken.return!()
        expect(pool.totalCount).to.equal(0)
      }, { port: proxy.port })
    })
  })

  it('does not take a slow consumer for a silent server', async () => {
    await withPool(async (_pool, source) => {
      const batches = source.query('SELECT generate_series(1, 350) AS i')[Symbol.asyncIterator]()
      await batches.next()
      await admin.query('SELECT pg_sleep(0.4)')
      expect(await drain(batches)).to.equal(250)
    }, { timeoutMs: 100 })
  })

  it('passes a statement timeout on, and keeps the client', async () => {
    await withPool(async (pool, source) => {
      await source.execute('SET statement_timeout TO 50')
      const error = await errorOf(drain(source.query('SELECT pg_sleep(100)::text AS x')))
      expect(error).to.include({ code: 'ERR_SOURCE', sqlState: '57014' })
      expect(pool.totalCount).to.equal(1)
    }, { max: 1 })
  })

  it('refuses a COPY by name, and keeps the client', async () => {
    await withPool(async (pool, source) => {
      for (const [sql, construct] of [['COPY (SELECT 1) TO STDOUT', 'COPY TO STDOUT'], ['COPY users FROM STDIN', 'COPY FROM STDIN']] as const) {
        expect(await errorOf(drain(source.query(sql)))).to.include({ code: 'ERR_UNSUPPORTED_QUERY', construct })
      }
      expect(pool.totalCount).to.equal(1)
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    })
  })

  it('fails in the middle of an answer as a whole', async () => {
    await withPool(async (pool, source) => {
      const error = await errorOf(drain(source.query('SELECT 1 / (500 - i) AS x FROM generate_series(1, 1000) i')))
      expect(error).to.include({ sqlState: '22012' })
      expect(pool.totalCount).to.equal(1)
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    })
  })

  it('leaves nothing behind after 200 early breaks', async function () {
    this.timeout(60_000)
    await withPool(async (pool, source) => {
      const ids = Array.from({ length: 5000 }, (_, i) => i + 1)
      const request = requestOf(['name'])
      let client: pg.PoolClient | undefined
      pool.on('acquire', taken => { client = taken })
      for (let round = 0; round < 200; round++) {
        const rows = round % 2 ? source.query(MANY) : source.fetch(ids, 'public.users', request) as AsyncIterable<RowBatch>
        for await (const batch of rows) if (batch.length > 0) break
      }
      expect(pool.totalCount).to.equal(1)
      const connection = (client as unknown as { connection: NodeJS.EventEmitter }).connection
      for (const event of ['end', 'noData', 'rowDescription', 'readyForQuery', 'parameterStatus']) expect(connection.listenerCount(event), event).to.be.at.most(2)
      expect((client as unknown as NodeJS.EventEmitter).listenerCount('error')).to.equal(1)
      const held = await pool.connect()
      expect((await held.query('SELECT name FROM pg_cursors')).rows).to.deep.equal([])
      held.release()
      const { rows } = await admin.query("SELECT state FROM pg_stat_activity WHERE application_name = 'breaks'")
      expect(rows).to.deep.equal([{ state: 'idle' }])
    }, { application: 'breaks' })
  })

  it('gives the client back when the consumer throws', async () => {
    await withPool(async (pool, source) => {
      const boom = new Error('boom')
      const consume = async (): Promise<void> => {
        for await (const batch of source.query(MANY)) if (batch.length > 0) throw boom
      }
      expect(await errorOf(consume())).to.equal(boom)
      expect(pool.totalCount).to.equal(1)
    })
  })

  it('rejects an aborted call before it starts, without taking a client', async () => {
    await withPool(async (pool, source) => {
      const reason = new Error('not now')
      const error = await errorOf(drain(source.fetch([1], 'public.users', requestOf(['name'], { signal: AbortSignal.abort(reason) })) as AsyncIterable<RowBatch>))
      expect(error).to.include({ name: 'AbortError', cause: reason })
      expect(pool.totalCount).to.equal(0)
    })
  })

  it('cancels the statement on the server when it is aborted while the server works', async () => {
    await withPool(async (_pool, source) => {
      for (const run of [(signal: AbortSignal) => drain(source.query('SELECT 1 AS a FROM pg_sleep(100)', { signal })), (signal: AbortSignal) => source.execute('SELECT pg_sleep(100)', { signal })]) {
        const abort = new AbortController()
        const query = errorOf(run(abort.signal))
        for (let n = 0; n === 0;) n = (await admin.query("SELECT pg_sleep(0.01)::text FROM pg_stat_activity WHERE application_name = 'aborted' AND wait_event = 'PgSleep'")).rowCount ?? 0
        abort.abort(new Error('enough'))
        expect(await query).to.include({ name: 'AbortError', code: 'ABORT_ERR' })
        await untilIdle('aborted')
      }
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { application: 'aborted' })
  })

  it('gives the client back on abort although nobody reads on', async () => {
    await withPool(async (pool, source) => {
      const abort = new AbortController()
      const released = once(pool, 'release')
      const batches = source.fetch([1, 2, 3], 'public.users', requestOf(['name'], { signal: abort.signal })) as AsyncIterable<RowBatch>
      const many = source.query(MANY, { signal: abort.signal })[Symbol.asyncIterator]()
      await many.next()
      abort.abort()
      await released
      expect(await errorOf(many.next())).to.include({ name: 'AbortError' })
      expect(await errorOf(drain(batches))).to.include({ name: 'AbortError' })
    })
  })

  it('gives up waiting for an exhausted pool on abort, and does not keep the client that comes later', async () => {
    await withPool(async (pool, source) => {
      const held = await pool.connect()
      const abort = new AbortController()
      const waiting = errorOf(drain(source.query('SELECT 1 AS one', { signal: abort.signal })))
      abort.abort()
      expect(await waiting).to.include({ name: 'AbortError' })
      const released = once(pool, 'release')
      held.release()
      await released
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { max: 1 })
  })

  it('reads ahead by at most one batch', async () => {
    await withPool(async (_pool, source) => {
      await admin.query('CREATE SEQUENCE seen')
      const batches = source.query("SELECT nextval('seen') AS n FROM generate_series(1, 100000)")[Symbol.asyncIterator]()
      await batches.next()
      await admin.query('SELECT pg_sleep(0.1)')
      const { rows } = await admin.query('SELECT last_value::int AS n FROM seen')
      expect((rows[0] as { n: number }).n).to.be.at.most(300)
      await batches.return!()
    })
  })
})
