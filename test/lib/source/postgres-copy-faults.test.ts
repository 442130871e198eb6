// needs: postgres
import { once } from 'node:events'
import { expect } from 'chai'
import pg from 'pg'
import type { RowBatch } from '../../../lib/batch/row-batch.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { drain, errorOf, requestOf } from '../../support/fetch-request.js'
import { testDatabase } from '../../support/postgres.js'
import type { Tampering, TcpProxy } from '../../support/tcp-proxy.js'
import { proxyOf, withPostgres, type PoolOptions, type PoolRun } from './with-postgres.js'

const ROWS = 100_000
const ALL = Array.from({ length: ROWS }, (_, i) => i + 1)

type Batches = AsyncIterator<RowBatch>

function fetched(source: Source, table: string, { ids = ALL, signal }: { ids?: readonly number[], signal?: AbortSignal } = {}): Batches {
  const columns = table === 'wide' ? ['name'] : ['v']
  return (source.fetch(ids, `public.${table}`, requestOf(columns, signal ? { signal } : {})) as AsyncIterable<RowBatch>)[Symbol.asyncIterator]()
}

describe('postgresSource fetches under faults', function () {
  this.timeout(20_000)
  let admin: pg.Pool
  let url: string
  let drop: () => Promise<void>

  before(async () => {
    ({ url, drop } = await testDatabase())
    admin = new pg.Pool({ connectionString: url, max: 2 })
    // its clients may still be closing when the database is dropped by force
    admin.on('error', () => undefined)
    await admin.query(`CREATE TABLE wide (id int PRIMARY KEY, name text); INSERT INTO wide SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, ${ROWS}) i; ANALYZE wide;
      CREATE VIEW slow AS SELECT 1 AS id, pg_sleep(100)::text AS v; CREATE VIEW broken AS SELECT id, 1 / (5000 - id) AS v FROM wide;
      CREATE SEQUENCE seen; CREATE VIEW counted AS SELECT id, name, nextval('seen') AS v FROM wide;
      CREATE TABLE few (id int PRIMARY KEY, v int); INSERT INTO few SELECT i, i * 2 FROM generate_series(1, 50) i`)
  })
  after(async () => {
    await admin.end()
    await drop()
  })

  const withPool = (run: PoolRun, options?: PoolOptions): Promise<void> => withPostgres(url, run, options)

  async function untilAsleep(application: string): Promise<void> {
    for (let n = 0; n === 0;) n = (await admin.query("SELECT pg_sleep(0.01)::text FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'", [application])).rowCount ?? 0
  }

  for (const copy of [true, false]) {
    describe(copy ? 'by COPY' : 'by cursor', () => {
      it('rejects when the backend is terminated in the middle, and the pool recovers', () => withPool(async (pool, source) => {
        const batches = fetched(source, 'wide')
        await batches.next()
        await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'terminated'")
        expect(await errorOf(drain(batches))).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect(pool.totalCount).to.equal(0)
        expect(await drain(fetched(source, 'few'))).to.equal(50)
      }, { application: 'terminated', copy }))

      it('rejects when the backend is terminated while the server works', () => withPool(async (_pool, source) => {
        const error = errorOf(drain(fetched(source, 'slow', { ids: [1] })))
        await untilAsleep('working')
        await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'working'")
        expect(await error).to.include({ sqlState: '57P01', isTransient: true })
      }, { application: 'working', copy }))

      it('rejects when the socket is cut, and when the server falls silent', async () => {
        const proxy = await proxyOf(url)
        try {
          await withPool(async (pool, source) => {
            const cut = fetched(source, 'wide')
            await cut.next()
            proxy.cut()
            expect(await errorOf(drain(cut))).to.include({ code: 'ERR_SOURCE', isTransient: true })
            expect(pool.totalCount).to.equal(0)
            const silent = fetched(source, 'wide')
            await silent.next()
            proxy.stall()
            expect((await errorOf(drain(silent))).message).to.contain('no answer from the server for 400 ms')
            expect(pool.totalCount).to.equal(0)
          }, { port: proxy.port, timeoutMs: 400, copy })
        } finally {
          await proxy.close()
        }
      })

      it('settles an abort and a break although the server is silent', async () => {
        const proxy = await proxyOf(url)
        try {
          await withPool(async (pool, source) => {
            const abort = new AbortController()
            const [aborted, broken] = [fetched(source, 'wide', { signal: abort.signal }), fetched(source, 'wide')]
            await aborted.next()
            await broken.next()
            proxy.stall()
            const rest = errorOf(drain(aborted))
            abort.abort()
            expect(await rest).to.include({ name: 'AbortError' })
            await broken.return!()
            expect(pool.totalCount).to.equal(0)
          }, { port: proxy.port, copy })
        } finally {
          await proxy.close()
        }
      })

      it('does not take a slow consumer for a silent server', () => withPool(async (_pool, source) => {
        const batches = fetched(source, 'wide')
        await batches.next()
        await admin.query('SELECT pg_sleep(1)')
        expect(await drain(batches)).to.equal(ROWS - 100)
      }, { timeoutMs: 500, copy }))

      it('passes a statement timeout and an error in the middle on, and keeps the client', () => withPool(async (pool, source) => {
        expect(await errorOf(drain(fetched(source, 'broken')))).to.include({ code: 'ERR_SOURCE', sqlState: '22012' })
        await source.execute('SET statement_timeout TO 50')
        expect(await errorOf(drain(fetched(source, 'slow', { ids: [1] })))).to.include({ code: 'ERR_SOURCE', sqlState: '57014' })
        expect(pool.totalCount).to.equal(1)
        expect(await drain(fetched(source, 'few'))).to.equal(50)
      }, { max: 1, copy }))

      it('leaves nothing behind after early breaks and a consumer that throws', () => withPool(async (pool, source) => {
        let client: pg.PoolClient | undefined
        pool.on('acquire', taken => { client = taken })
        const some = ALL.slice(0, 1000)
        for (let round = 0; round < 30; round++) {
          const batches = fetched(source, 'wide', { ids: some })
          await batches.next()
          await batches.return!()
        }
        const boom = new Error('boom')
        const consume = async (): Promise<void> => {
          for await (const batch of { [Symbol.asyncIterator]: () => fetched(source, 'wide', { ids: some }) }) if (batch.length > 0) throw boom
        }
        expect(await errorOf(consume())).to.equal(boom)
        expect(pool.totalCount).to.equal(1)
        const { connection } = client as unknown as { connection: NodeJS.EventEmitter & { stream: NodeJS.EventEmitter } }
        for (const event of ['end', 'noData', 'rowDescription', 'readyForQuery', 'parameterStatus']) expect(connection.listenerCount(event), event).to.be.at.most(2)
        expect(connection.stream.listenerCount('data')).to.equal(1)
        expect((await pool.query('SELECT 1 AS one')).rows).to.deep.equal([{ one: 1 }])
      }, { max: 1, copy }))

      it('cancels on the server when it is aborted while the server works, and frees the client although nobody reads on', () => withPool(async (pool, source) => {
        const abort = new AbortController()
        let client: pg.PoolClient | undefined
        pool.once('acquire', taken => { client = taken })
        const error = errorOf(drain(fetched(source, 'slow', { ids: [1], signal: abort.signal })))
        await untilAsleep('aborting')
        abort.abort(new Error('enough'))
        expect(await error).to.include({ name: 'AbortError', code: 'ABORT_ERR' })
        // it is closed, and what the server still says to it must reach somebody
        expect((client as unknown as NodeJS.EventEmitter).listenerCount('error')).to.be.at.least(1)
        for (let n = 1; n > 0;) n = (await admin.query("SELECT pg_sleep(0.01)::text FROM pg_stat_activity WHERE application_name = 'aborting' AND state <> 'idle'")).rowCount ?? 0
        const second = new AbortController()
        const batches = fetched(source, 'wide', { signal: second.signal })
        await batches.next()
        const released = once(pool, 'release')
        second.abort()
        await released
        expect(await errorOf(batches.next())).to.include({ name: 'AbortError' })
      }, { application: 'aborting', copy }))

      it('reads ahead by a few batches, and what fits between the sockets, at most', () => withPool(async (_pool, source) => {
        const request = { ...requestOf(['v', 'name']), signal: new AbortController().signal }
        await admin.query("SELECT setval('seen', 1)")
        const batches = (source.fetch(ALL, 'public.counted', request) as AsyncIterable<RowBatch>)[Symbol.asyncIterator]()
        await batches.next()
        await admin.query('SELECT pg_sleep(0.3)')
        const { rows } = await admin.query('SELECT last_value::int AS n FROM seen')
        expect((rows[0] as { n: number }).n).to.be.below(copy ? ROWS * 0.75 : 500)
        expect(await drain(batches)).to.equal(ROWS - 100)
      }, { copy }))
    })
  }

  describe('by COPY where it does not work', () => {
    const few = (source: Source): Promise<number> => drain(fetched(source, 'few'))

    /** Counts what the server is sent. */
    function counting(change: (text: string) => string): { counts: { copies: number }, question: (chunk: Buffer) => Uint8Array } {
      const counts = { copies: 0 }
      return { counts, question: chunk => {
        const text = chunk.toString('latin1')
        if (text.includes('; COPY (')) counts.copies++
        return Buffer.from(change(text), 'latin1')
      } }
    }

    async function behind(tampering: Tampering, run: (source: (copy: 'auto' | boolean) => Source, proxy: TcpProxy, pool: pg.Pool) => Promise<void>): Promise<void> {
      const proxy = await proxyOf(url, tampering)
      try {
        await withPool((pool => run(copy => postgresSource({ pool, copy }), proxy, pool)), { port: proxy.port })
      } finally {
        await proxy.close()
      }
    }

    it('takes the cursor when the server refuses, and does not ask again', async () => {
      const { counts, question } = counting(text => text.replace('; COPY (', '; COPX ('))
      await behind({ question }, async source => {
        const auto = source('auto')
        for (let i = 0; i < 3; i++) expect(await few(auto)).to.equal(50)
        expect(counts.copies).to.equal(1)
        expect(await errorOf(few(source(true)))).to.include({ code: 'ERR_SOURCE', sqlState: '42601' })
      })
    })

    it('does not give up COPY for an error that the cursor has as well', async () => {
      const { counts, question } = counting(text => text)
      await admin.query("CREATE FUNCTION refuses(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '0A000'; END $$; CREATE VIEW refused AS SELECT id, refuses(id) AS v FROM few")
      await behind({ question }, async source => {
        const auto = source('auto')
        expect(await errorOf(drain(fetched(auto, 'refused')))).to.include({ sqlState: '0A000' })
        const before = counts.copies
        expect(await few(auto)).to.equal(50)
        expect(counts.copies).to.equal(before + 1)
      })
    })

    const trailer = Buffer.from([0x64, 0, 0, 0, 6, 0xff, 0xff])
    const without = (bytes: Uint8Array) => (chunk: Buffer): Uint8Array => {
      const at = chunk.indexOf(bytes)
      return at === -1 ? chunk : Buffer.concat([chunk.subarray(0, at), chunk.subarray(at + bytes.length)])
    }
    const replaced = (from: string | Uint8Array, to: string | Uint8Array) => (chunk: Buffer): Uint8Array => {
      const at = chunk.indexOf(from)
      return at === -1 ? chunk : Buffer.concat([chunk.subarray(0, at), Buffer.from(to as Uint8Array), chunk.subarray(at + from.length)])
    }
    for (const [what, answer] of Object.entries({
      'without the end of the rows': without(trailer),
      'without the end of the copy': without(Buffer.from([0x63, 0, 0, 0, 4])),
      'of fewer rows than the server counted': replaced('COPY 50\0', 'COPY 51\0'),
      'in text form': replaced(Buffer.from([0x48, 0, 0, 0, 11, 1]), Buffer.from([0x48, 0, 0, 0, 11, 0])),
      'of values of another size': replaced(Buffer.from([0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 4]), Buffer.from([0, 2, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 3])),
      'of bytes that are none': replaced(trailer, Buffer.from([0x64, 0, 0, 0, 1, 0xff, 0xff])),
    })) {
      it(`is never taken for whole ${what}`, () => behind({ answer }, async (source, _proxy, pool) => {
        expect(await errorOf(few(source(true)))).to.include({ code: 'ERR_SOURCE' })
        const auto = source('auto')
        expect(await few(auto)).to.equal(50)
        expect(await few(auto)).to.equal(50)
        expect((await pool.query('SELECT 1 AS one')).rows).to.deep.equal([{ one: 1 }])
      }))
    }

    it('fetches over another connection where half a notice has arrived, and by COPY again later', async () => {
      const { counts, question } = counting(text => text)
      await behind({ question }, async (source, proxy, pool) => {
        for (const copy of ['auto', true] as const) {
          const one = source(copy)
          expect(await few(one)).to.equal(50)
          // looked at where it rests: a client that was lent to somebody else is set up again first, over this very connection
          const [idle] = (pool as unknown as { _idle: { client: { connection: { stream: NodeJS.EventEmitter } } }[] })._idle
          const arrived = once(idle!.client.connection.stream, 'data')
          proxy.inject(Buffer.from([0x4e, 0, 0]))
          await arrived
          const before = counts.copies
          expect(await few(one)).to.equal(50)
          expect(counts.copies).to.equal(before)
          expect(await few(one)).to.equal(50)
          expect(counts.copies).to.equal(before + 1)
        }
      })
    })
  })
})
