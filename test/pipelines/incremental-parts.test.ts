// needs: postgres
import { expect } from 'chai'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import { startPostgres, type TestPostgres } from '../support/postgres.js'

describe('queryIncremental over parts of several sizes', () => {
  const SQL = 'SELECT id, id / 10 AS at, \'name \' || id AS name FROM events'
  let server: TestPostgres
  let client: pg.Client
  let db: Database
  let dir: string
  let last = 0

  const insert = async (rows: number): Promise<void> => {
    await client.query('INSERT INTO events SELECT generate_series($1::int, $2::int)', [last + 1, last += rows])
  }
  const ids = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

  before(async () => {
    server = await startPostgres()
    dir = mkdtempSync(join(tmpdir(), 'millrace-test-'))
    client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query('CREATE TABLE events (id int PRIMARY KEY)')
    db = await openDatabase({ connectionString: server.url, cacheDir: join(dir, 'cache') })
  })

  after(async () => {
    await db.close()
    await client.end()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  it('reads every row once and in order, small parts among large ones', async () => {
    for (const rows of [70_000, 5_000, 20, 30, 6_000, 10]) {
      await insert(rows)
      const table = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id' })
      expect(Array.from(table.column('id'))).to.deep.equal(ids(1, last))
      expect(table.report.fetched).to.equal(rows)
      expect(table.toRows().at(-1)).to.deep.equal({ id: last, at: Math.floor(last / 10), name: `name ${last}` })
    }
    expect((await db.cacheStats()).perQuery[0]!.parts).to.equal(6)
  })

  it('finds where an overlap begins in any of the parts', async () => {
    for (const rows of [0, 3, 20, 620, 1_200, 7_500]) {
      const { report, length } = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id', overlap: rows })
      const bound = Math.floor(last / 10) - rows
      expect({ length, hits: report.hits }).to.deep.equal({ length: last, hits: Math.max(0, bound * 10 - 1) })
    }
  })

  it('commits nothing when rows read again, of more than one part, are the cached ones', async () => {
    const before = (await db.cacheStats()).perQuery[0]!
    const { report } = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id', overlap: 900 })
    const after = (await db.cacheStats()).perQuery[0]!
    expect(report.fetched).to.be.greaterThan(6_000)
    expect({ ...after, hits: 0, lastUsed: 0 }).to.deep.equal({ ...before, hits: 0, lastUsed: 0 })
  })
})
