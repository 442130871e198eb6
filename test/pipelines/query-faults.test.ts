// needs: postgres
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'chai'
import pg from 'pg'
import type { Row } from '../../lib/batch/row-factory.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import type { ResultStream } from '../../pipelines/result-stream.js'
import { freshCache, freshFolder } from '../support/cache.js'
import { refuseUnhandledRejections, rejection } from '../support/collect.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'
import { tcpProxy } from '../support/tcp-proxy.js'

const SQL = "SELECT id, at, repeat(md5(id::text), 20) AS filler FROM ev ORDER BY at"
const OPTIONS = { orderColumn: 'at', keyColumn: 'id' }

async function rowsOf(stream: ResultStream): Promise<Row[]> {
  const rows: Row[] = []
  for await (const batch of stream) rows.push(...batch.toRows())
  return rows
}

describe('cached queries under faults', function () {
  this.timeout(60_000)
  const folder = freshFolder()
  refuseUnhandledRejections()
  let server: TestPostgres
  let admin: pg.Pool

  before(async () => {
    server = await startPostgres()
    admin = new pg.Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => undefined)
    await admin.query("DROP TABLE IF EXISTS ev; CREATE TABLE ev (id serial PRIMARY KEY, at timestamp); INSERT INTO ev (at) SELECT timestamp '2024-01-01' + i * interval '1 second' FROM generate_series(1, 24000) i")
  })
  after(async () => {
    await admin.query('DROP TABLE IF EXISTS ev').catch(() => undefined)
    await admin.end()
    await server.stop()
  })

  const open = (url = server.url): Promise<Database> => openDatabase({ connectionString: url, cacheDir: folder() })
  const addRows = (count: number): Promise<unknown> => admin.query("INSERT INTO ev (at) SELECT (SELECT max(at) FROM ev) + i * interval '1 second' FROM generate_series(1, $1::int) i", [count])

  /** Whatever was cut short, the next run has the source's rows, each once. */
  async function expectWhole(db: Database): Promise<void> {
    const table = await db.queryIncremental(SQL, OPTIONS)
    expect(isDeepStrictEqual(table.toRows(), (await db.query(SQL, { cache: false })).toRows())).to.equal(true)
    expect(table.report.warnings).to.deep.equal([])
  }

  const faults: Record<string, (proxy: Awaited<ReturnType<typeof tcpProxy>>) => unknown> = {
    'is terminated': () => admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millrace'"),
    'loses its connection': proxy => proxy.cut(),
    'falls silent': proxy => proxy.stall()
  }
  for (const [name, strike] of Object.entries(faults)) {
    for (const state of ['the first run', 'a later run'] as const) {
      it(`rejects in time when the backend ${name} in ${state}, and the next run is whole`, async () => {
        const proxy = await tcpProxy(Number(new URL(server.url).port))
        const url = new URL(server.url)
        url.port = String(proxy.port)
        const db = await openDatabase({ connectionString: url.href, cacheDir: folder() })
        const direct = await open()
        try {
          if (state === 'a later run') {
            await direct.queryIncremental(SQL, OPTIONS)
            await addRows(20_000)
          }
          const stream = db.streamIncremental(SQL, { ...OPTIONS, fetchTimeoutMs: 800 })
          const error = await rejection<Error & { code?: string }>((async () => {
            let struck = false
            for await (const batch of stream) {
              if (struck || (state === 'a later run' && stream.report.fetched === 0) || batch.length === 0) continue
              struck = true
              await strike(proxy)
            }
          })())
          expect(error.code).to.equal('ERR_SOURCE')
          await expectWhole(direct)
        } finally {
          await proxy.close()
          await db.close()
          await direct.close()
        }
      })
    }
  }

  it('goes on after the server was restarted', async function () {
    if (!server.isolated) return this.skip()
    const db = await open()
    const stream = db.streamIncremental(SQL, OPTIONS)[Symbol.asyncIterator]()
    expect((await stream.next()).done).to.equal(false)
    await server.stop()
    const error = await rejection((async () => { while ((await stream.next()).done !== true); })())
    expect(error).to.have.property('code', 'ERR_SOURCE')
    expect(await rejection(db.queryIncremental(SQL, OPTIONS))).to.have.property('code', 'ERR_SOURCE')
    await db.close()
    await admin.end()
    server = await startPostgres()
    admin = new pg.Pool({ connectionString: server.url, max: 2 })
    admin.on('error', () => undefined)
    await admin.query("CREATE TABLE ev (id serial PRIMARY KEY, at timestamp); INSERT INTO ev (at) SELECT timestamp '2024-01-01' + i * interval '1 second' FROM generate_series(1, 1000) i")
    const again = await open()
    await expectWhole(again)
    await again.close()
  })

  it('fails alone when the statement fails on the server, and keeps what was cached', async () => {
    const db = await open()
    await admin.query('CREATE TABLE d (id int, x int); INSERT INTO d VALUES (1, 1), (2, 1)')
    const sql = 'SELECT id, 10 / x AS q FROM d'
    await db.queryIncremental(sql, { orderColumn: 'id' })
    await admin.query('INSERT INTO d VALUES (3, 0)')
    expect(await rejection(db.queryIncremental(sql, { orderColumn: 'id' }))).to.include({ code: 'ERR_SOURCE', sqlState: '22012' })
    await admin.query('UPDATE d SET x = 2 WHERE id = 3')
    const table = await db.queryIncremental(sql, { orderColumn: 'id' })
    expect(table.toRows().map(({ q }) => q)).to.deep.equal([10, 10, 5])
    expect(table.report.hits).to.equal(1)
    expect(await rowsOf(db.streamIncremental(sql, { orderColumn: 'id' }))).to.have.length(3)
    await admin.query('DROP TABLE d')
    await db.close()
  })

  describe('while the cache is cleared', () => {
    const cache = freshCache()
    // more than a window
    before(() => addRows(70_000))

    /** A database whose queries are cleared before the `nth` read of cached rows from now on. */
    async function clearedAt(nth: number): Promise<Database> {
      const db = await openDatabase({ source: postgresSource({ pool: admin }), cache: cache() })
      await db.query(SQL)
      await db.queryIncremental(SQL, OPTIONS)
      const { reader } = cache().store.settings
      const read = reader.read.bind(reader)
      let reads = 0
      reader.read = async (...given) => {
        if (++reads === nth) await db.clearCache()
        return await read(...given)
      }
      return db
    }

    it('a table has all rows, whenever that happens', async () => {
      for (const nth of [1, 2]) {
        for (const ask of [(db: Database) => db.query(SQL), (db: Database) => db.queryIncremental(SQL, OPTIONS)]) {
          const db = await clearedAt(nth)
          const table = await ask(db)
          expect(isDeepStrictEqual(table.toRows(), (await db.query(SQL, { cache: false })).toRows())).to.equal(true)
        }
      }
    })

    it('a stream has all rows where none was delivered, else it ends with a typed error', async () => {
      expect(await rowsOf((await clearedAt(1)).stream(SQL))).to.have.length.above(70_000)
      expect(await rowsOf((await clearedAt(1)).streamIncremental(SQL, OPTIONS))).to.have.length.above(70_000)
      const error = await rejection(rowsOf((await clearedAt(2)).stream(SQL)))
      expect((error as { code?: string }).code).to.equal('ERR_CACHE_CORRUPTION')
    })
  })
})
