// needs: postgres
import { join } from 'node:path'
import { expect } from 'chai'
import pg from 'pg'
import { openCache } from '../../lib/store/open-cache.js'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import type { IncrementalOptions } from '../../pipelines/query-options.js'
import { freshFolder } from '../support/cache.js'
import { testDatabase } from '../support/postgres.js'

describe('rows that move from below an overlap into it', function () {
  this.timeout(60_000)
  const folder = freshFolder()
  const sql = 'SELECT * FROM events'
  const options: IncrementalOptions = { orderColumn: 'at', keyColumn: 'id', overlap: 10 }
  let database: Awaited<ReturnType<typeof testDatabase>>
  let client: pg.Client
  let db: Database
  let clock: number

  before(async () => {
    database = await testDatabase()
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })
  after(async () => {
    await client.end()
    await database.drop()
  })
  beforeEach(async () => {
    clock = 50_000
    await client.query(`DROP TABLE IF EXISTS events; CREATE TABLE events (id int PRIMARY KEY, at bigint, name text);
      INSERT INTO events SELECT i, i, 'name ' || i FROM generate_series(1, ${clock}) i`)
    db = await openDatabase({ connectionString: database.url, cacheDir: folder() })
    await db.queryIncremental(sql, options)
  })
  afterEach(async () => { await db.close() })

  /** Give some rows the next order values. */
  const move = async (where: string): Promise<number> => {
    const { rowCount } = await client.query(`UPDATE events SET at = ${clock} + n, name = name || '!' FROM
      (SELECT id AS moved, row_number() OVER (ORDER BY id) AS n FROM events WHERE ${where}) AS m WHERE id = moved`)
    clock += rowCount!
    return rowCount!
  }
  const check = async (more: Partial<IncrementalOptions> = {}): Promise<{ hits: number, fetched: number }> => {
    const table = await db.queryIncremental(sql, { ...options, ...more })
    expect(table.toRows()).to.deep.equal((await client.query<{ id: number, at: string, name: string }>(`${sql} ORDER BY at, id`)).rows.map(row => ({ ...row, at: Number(row.at) })))
    expect((await db.cacheStats()).perQuery[0]!.rows).to.equal(table.length)
    return table.report
  }

  it('leave no older version behind, and the other rows where they are', async () => {
    await move('id IN (1, 2, 30000, 49999)')
    // row 49990 to 50000 are the window, of which 49999 moved
    expect(await check()).to.include({ hits: 49_989 - 3, fetched: 11 + 3 })
    await move('id IN (1, 3)')
    await check()
    const { bytes } = (await db.cacheStats()).perQuery[0]!
    // nothing happened: nothing is written
    await check()
    expect((await db.cacheStats()).perQuery[0]!.bytes).to.equal(bytes)
  })

  it('are looked for below a wider overlap too, where earlier ones had left', async () => {
    await move('id % 1000 = 0')
    await check()
    await move('id % 7000 = 1')
    await check({ overlap: 10_000 })
    await check({ overlap: 20_000 })
    await check({ overlap: 60_000 })
    expect(await check()).to.include({ fetched: 11 })
  })

  it('are found after an increment without an overlap had let them in', async () => {
    await move('id = 17')
    const table = await db.queryIncremental(sql, { ...options, overlap: undefined })
    expect(table.length).to.equal(50_001)
    await check()
  })

  it('are written out of the cache where they are many, and read anew where they are most', async () => {
    await move('id % 10 = 0')
    expect(await check()).to.include({ hits: 44_991, fetched: 5009 })
    await move('id % 2 = 1')
    expect(await check()).to.include({ hits: 0, fetched: 50_000 })
    expect(await check()).to.include({ fetched: 11 })
  })

  it('go with reconcile, which finds what else changed', async () => {
    await check({ reconcile: true })
    await move('id IN (5, 20000, 40000)')
    await client.query("UPDATE events SET name = 'changed' WHERE id = 20001")
    await client.query('DELETE FROM events WHERE id = 6')
    await check({ reconcile: true })
    await move('id IN (7, 8)')
    await check()
    const { fetched } = await check({ reconcile: true })
    expect(fetched).to.equal(11)
  })

  it('are found by keys of any type', async () => {
    const keys = { 'int[]': ["'{1}'", "'{1,2}'", "'{}'"], 'int8[]': ["'{1}'", "'{9007199254740993}'", "'{NULL}'"], 'text[]': ["'{a}'", "'{\"a,b\"}'", "'{NULL}'"], 'numeric[]': ["'{1.50}'", "'{2}'", "'{NaN}'"],
      'date[]': ["'{2024-01-01}'", "'{2024-01-02}'", "'{infinity}'"], 'timestamp[]': ["'{2024-01-01 00:00:00.000001}'", "'{2024-01-01}'", "'{NULL}'"], 'bytea[]': ["'{\\\\x01}'", "'{\\\\x0102}'", "'{\"\"}'"],
      'bool[]': ["'{t}'", "'{f}'", "'{NULL}'"], 'jsonb[]': ["'{1}'", "'{2}'", "'{null}'"], int8: ['9007199254740993', '1', '2'], bytea: ["'\\x01'", "'\\x0102'", "''"], bool: ['true', 'false', 'NULL'] }
    for (const [type, [first, second, third]] of Object.entries(keys)) {
      await client.query(`DROP TABLE IF EXISTS keyed; CREATE TABLE keyed (k ${type}, n int); INSERT INTO keyed VALUES (${first}, 0), (${second}, 10), (${third}, 20)`)
      const ask = async (): Promise<unknown[]> => Array.from((await db.queryIncremental(`SELECT n, k FROM keyed -- ${type}`, { orderColumn: 'n', keyColumn: 'k', overlap: 3 })).column('n') as ArrayLike<unknown>)
      expect(await ask(), type).to.deep.equal([0, 10, 20])
      for (const [from, to, now] of [[0, 100, [10, 20, 100]], [10, 200, [20, 100, 200]]] as const) {
        await client.query(`UPDATE keyed SET n = ${to} WHERE n = ${from}`)
        expect(await ask(), `${type}, ${to}`).to.deep.equal(now)
      }
    }
  })

  it('are not in an export either, and a compaction keeps it so', async () => {
    await move('id IN (1, 2)')
    const { length } = await db.queryIncremental(sql, options)
    const { table } = (await db.cacheStats()).perQuery[0]!
    const { cacheDir } = await db.cacheStats()
    const cache = await openCache({ dir: cacheDir })
    expect(await cache.export({ table, file: join(folder(), 'out.parquet') })).to.include({ rows: length })
    await cache.compact()
    expect(await cache.export({ table, file: join(folder(), 'out.parquet') })).to.include({ rows: length })
    expect((await cache.stats()).totalRecords).to.equal(length)
    await cache.close()
    await check()
  })
  it('are told apart by keys of every fixed length, cut nowhere', async () => {
    for (const type of ['char(3)', 'bit(3)']) {
      await client.query(`DROP TABLE IF EXISTS fixed; CREATE TABLE fixed (k ${type}, at int);
        INSERT INTO fixed SELECT unnest(ARRAY['101', '110', '111'])::${type}, n FROM generate_series(1, 10) n`)
      for (let run = 0; run < 3; run++) expect((await db.queryIncremental('SELECT * FROM fixed', { ...options, keyColumn: 'k', overlap: 2, refresh: run === 0 ? 'full' : undefined })).length, type).to.equal(30)
    }
  })
})
