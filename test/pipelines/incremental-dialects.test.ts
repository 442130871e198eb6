// needs: mariadb sqlite
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import mysql from 'mysql2/promise'
import type { ColumnType } from '../../lib/batch/column-type.js'
import type { Row } from '../../lib/batch/row-factory.js'
import type { UnsupportedQueryError } from '../../lib/errors.js'
import type { Source } from '../../lib/source/fetcher.js'
import { mysqlSource } from '../../lib/source/mysql.js'
import type { BetterSqlite } from '../../lib/source/sqlite-handle.js'
import { sqliteSource } from '../../lib/source/sqlite.js'
import { CacheStore } from '../../lib/store/cache.js'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import type { IncrementalOptions } from '../../pipelines/query-options.js'
import { freshFolder } from '../support/cache.js'
import { testMariaDatabase } from '../support/mariadb.js'
import { seeded } from '../support/random.js'

const Sqlite = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => BetterSqlite
const STEPS = process.env['MILLRACE_FAULTS'] === 'long' ? 1000 : 30

/** A database and what differs from one to the other. */
interface Side {
  source: Source
  declared(columnTypes: Readonly<Record<string, ColumnType>>): Source
  run(sql: string): Promise<unknown>
  /** Types of order columns, and the SQL of their nth value, in order. */
  orders: readonly { type: string, value: (n: number) => string }[]
  /** The type of a time with microseconds, and its literal. */
  time: string
  close(): Promise<void>
}

const micros = (n: number): string =>
  `${new Date(Date.UTC(2024, 0, 1) + Math.floor(n / 1e6) * 1000).toISOString().slice(0, 19).replace('T', ' ')}.${String(n % 1e6).padStart(6, '0')}`

async function mariadb(): Promise<Side> {
  const { url, drop } = await testMariaDatabase()
  const pool = mysql.createPool({ uri: url, connectionLimit: 4 })
  const admin = mysql.createPool({ uri: url, connectionLimit: 1, timezone: 'Z' })
  return {
    source: mysqlSource({ pool, batchRows: 64 }), declared: columnTypes => mysqlSource({ pool, columnTypes }), run: sql => admin.query(sql), time: 'DATETIME(6)',
    orders: [
      { type: 'INT', value: n => String(n - 5) }, { type: 'BIGINT UNSIGNED', value: n => String(9007199254740990n + BigInt(n)) }, { type: 'DECIMAL(38,6)', value: n => `12345678901234567890.00000${n % 10}` },
      { type: 'FLOAT', value: n => String(n + 0.1) }, { type: 'DOUBLE', value: n => String(0.1 + n / 10) }, { type: 'DATE', value: n => `'2024-02-${String(20 + n).padStart(2, '0')}'` },
      { type: 'DATETIME(6)', value: n => `'${micros(n)}'` }, { type: 'TIMESTAMP(6) NULL', value: n => `'${micros(n * 500_000)}'` }
    ],
    close: async () => {
      await pool.end()
      await admin.end()
      await drop()
    }
  }
}

function sqlite(): Promise<Side> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
  const file = join(dir, 'shop.db')
  const admin = new Sqlite(file)
  admin.exec('PRAGMA journal_mode = WAL')
  return Promise.resolve({
    source: sqliteSource({ path: file, batchRows: 64 }), declared: columnTypes => sqliteSource({ path: file, columnTypes }), run: (sql: string) => Promise.resolve(admin.exec(sql)), time: 'DATETIME',
    orders: [
      { type: 'INTEGER', value: n => String(n - 5) }, { type: 'BIGINT', value: n => String(9007199254740990n + BigInt(n)) }, { type: 'REAL', value: n => String(0.1 + n / 10) },
      { type: 'TEXT COLLATE NOCASE', value: n => `'${['B', 'C', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'][n]!}'` }, { type: 'DATE', value: n => `'2024-02-${String(20 + n).padStart(2, '0')}'` },
      { type: 'DATETIME', value: n => `'${n % 2 ? micros(n * 100_000).replace(/0+$/, '') : micros(n * 100_000)}'` },
      { type: 'TIMESTAMP', value: n => `'${micros(n * 500_000).replace(' ', n % 2 ? 'T' : ' ').replace(/\.?0+$/, '')}${n % 2 ? 'Z' : ''}'` }
    ],
    close: () => {
      admin.close()
      rmSync(dir, { recursive: true, force: true })
      return Promise.resolve()
    }
  })
}

for (const [title, open] of [['MariaDB', mariadb], ['SQLite', sqlite]] as const) {
  describe(`queries on ${title}`, function () {
    this.timeout(STEPS * 3000)
    const folder = freshFolder()
    let side: Side
    let db: Database
    before(async () => { side = await open() })
    after(() => side.close())
    let store: CacheStore
    beforeEach(async () => {
      store = new CacheStore({ dir: folder(), durability: 'none' })
      db = await openDatabase({ source: side.source, cache: { store } })
    })
    afterEach(async () => {
      await db.close()
      await store.close()
    })

    async function errorOf(promise: Promise<unknown>): Promise<UnsupportedQueryError> {
      const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
      expect(error).to.be.instanceOf(Error)
      return error as UnsupportedQueryError
    }

    it('are cached whole, with their types, and do not write', async () => {
      await side.run('CREATE TABLE plain (id int PRIMARY KEY, v int)')
      await side.run('INSERT INTO plain VALUES (1, 10), (2, 20)')
      const sql = 'SELECT count(*) AS n, max(v) AS most FROM plain WHERE id > ?'
      const first = await db.query(sql, { params: [0] })
      await side.run('INSERT INTO plain VALUES (3, 30)')
      const again = await db.query(sql, { params: [0] })
      expect([first.toRows(), again.toRows(), again.schema]).to.deep.equal([[{ n: 2, most: 20 }], [{ n: 2, most: 20 }], first.schema])
      expect((await db.query(sql, { params: [1] })).toRows()).to.deep.equal([{ n: 2, most: 30 }])
      expect((await db.query(sql, { params: [0], cache: false })).toRows()).to.deep.equal([{ n: 3, most: 30 }])
      expect((await errorOf(db.query('DELETE FROM plain'))).code).to.be.oneOf(['ERR_INVALID_ARGUMENT', 'ERR_UNSUPPORTED_QUERY'])
      expect(await errorOf(db.query('DELETE FROM plain RETURNING id'))).to.include({ code: 'ERR_UNSUPPORTED_QUERY' })
      expect(await db.execute('UPDATE plain SET v = ? WHERE id = ?', [1, 3])).to.equal(1)
      expect((await db.query('SELECT * FROM plain ORDER BY id')).length).to.equal(3)
    })

    it('are extended by what is new, for every type of order column', async () => {
      for (const [i, { type, value }] of side.orders.entries()) {
        for (const options of [{ orderColumn: 'o' }, { orderColumn: 'o', keyColumn: 'id' }, { orderColumn: 'o', keyColumn: 'name' }] as IncrementalOptions[]) {
          const sql = `SELECT id, o, name FROM orders${i}`
          await side.run(`DROP TABLE IF EXISTS orders${i}`)
          await side.run(`CREATE TABLE orders${i} (id int PRIMARY KEY, o ${type}, name varchar(9))`)
          let n = 0
          for (let round = 0; round < 3; round++) {
            for (const at of [round * 2, round * 2, round * 2 + 1]) await side.run(`INSERT INTO orders${i} VALUES (${++n}, ${value(at)}, 'n${String(n).padStart(3, '0')}')`)
            const table = await db.queryIncremental(sql, options)
            expect(table.toRows(), `${type} ${JSON.stringify(options)}`).to.have.deep.members((await db.query(sql, { cache: false })).toRows())
            expect(table.report.warnings).to.deep.equal([])
            if (round > 0) expect(table.report.fetched, type).to.be.below(n)
          }
          // nothing new is nothing lost
          expect((await db.queryIncremental(sql, options)).length).to.equal(n)
        }
      }
    })

    it('re-read an overlap, and refuse one that is none', async () => {
      await side.run(`CREATE TABLE late (id int PRIMARY KEY, at ${side.time}, n int)`)
      await side.run(`INSERT INTO late VALUES (1, '2024-01-01 00:00:00.5', 1), (2, '2024-01-01 00:10:00', 100)`)
      const sql = 'SELECT * FROM late'
      const ids = async (options: IncrementalOptions): Promise<unknown[]> => (await db.queryIncremental(sql, options)).toRows().map(row => row['id'])
      const byTime = { orderColumn: 'at', overlap: '5 minutes' }
      const byNumber = { orderColumn: 'n', overlap: 50 }
      expect([await ids(byTime), await ids(byNumber)]).to.deep.equal([[1, 2], [1, 2]])
      await side.run(`INSERT INTO late VALUES (3, '2024-01-01 00:05:00', 50), (4, '2024-01-01 00:04:59', 49)`)
      expect([await ids(byTime), await ids(byNumber)]).to.deep.equal([[1, 3, 2], [1, 3, 2]])
      for (const overlap of ['5 months', 'soon', '-1 second', '']) expect(await errorOf(db.queryIncremental(sql, { orderColumn: 'at', overlap })), overlap).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      for (const overlap of ['x', '1.5']) expect(await errorOf(db.queryIncremental(sql, { orderColumn: 'n', overlap })), overlap).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      expect(await errorOf(db.queryIncremental(sql, { orderColumn: 'n', reconcile: true }))).to.include({ code: 'ERR_UNSUPPORTED_QUERY' })
    })

    it('lose no row that comes late at the very watermark, whatever its key and whatever left', async () => {
      await side.run(`CREATE TABLE tied (id int, at ${side.time}, name varchar(9))`)
      const sql = 'SELECT * FROM tied'
      const steps = [["(1, '2024-01-01 00:00:00', 'a'), (3, '2024-01-01 00:00:00', 'b'), (5, '2024-01-01 00:00:00', 'c')"], ['id = 1', "(2, '2024-01-01 00:00:00', 'aa')"],
        ["(NULL, '2024-01-01 00:00:00', NULL)"], ['id IS NULL', "(NULL, '2024-01-01 00:00:00', NULL), (4, '2024-01-03 00:00:00', 'd')"]]
      for (const step of steps) {
        for (const part of step) await side.run(part.startsWith('(') ? `INSERT INTO tied VALUES ${part}` : `DELETE FROM tied WHERE ${part}`)
        for (const keyColumn of ['id', 'name']) {
          const table = await db.queryIncremental(sql, { orderColumn: 'at', keyColumn })
          expect(table.toRows(), `${keyColumn}, ${step.join('; ')}`).to.have.deep.members((await db.query(sql, { cache: false })).toRows())
        }
      }
    })

    it('keep comments, parameters, joins and names as they are', async () => {
      await side.run('CREATE TABLE a (id int PRIMARY KEY, v varchar(30))')
      await side.run('CREATE TABLE b (id int PRIMARY KEY, w int)')
      await side.run(`INSERT INTO a VALUES (1, 'it''s ; -- "no" comment /*'), (2, 'é ? x')`)
      await side.run('INSERT INTO b VALUES (1, 10), (2, 20)')
      const sql = "SELECT a.id, a.v, b.w AS `the w` -- é ?\nFROM a JOIN b ON b.id = a.id /* ? ' */ WHERE b.w > ? AND a.v <> 'it''s ? /*' AND (SELECT 1) = 1 ORDER BY a.id -- the end"
      const table = await db.queryIncremental(sql, { orderColumn: 'id', params: [5] })
      expect(table.toRows()).to.deep.equal([{ id: 1, v: 'it\'s ; -- "no" comment /*', 'the w': 10 }, { id: 2, v: 'é ? x', 'the w': 20 }])
      await side.run("INSERT INTO a VALUES (3, '')")
      await side.run('INSERT INTO b VALUES (3, 30)')
      expect((await db.queryIncremental(sql, { orderColumn: 'id', params: [5] })).report.hits).to.equal(1)
      expect((await db.queryIncremental('WITH c AS (SELECT id, upper(v) AS u FROM a) SELECT * FROM c;', { orderColumn: 'id' })).length).to.equal(3)
    })

    it('never lose a row to an order column that is declared as a type that rounds it', async () => {
      await side.run('CREATE TABLE rounded (id int, v DECIMAL(30,5))')
      await side.run("INSERT INTO rounded VALUES (1, '9007199254740993.1'), (2, '9007199254740993.2')")
      const declared = await openDatabase({ source: side.declared({ v: 'float64' }), cache: { store } })
      for (let run = 0; run < 2; run++) {
        const asked = declared.queryIncremental('SELECT * FROM rounded', { orderColumn: 'v' })
        if (title === 'MariaDB') expect(await errorOf(asked)).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'orderColumn' })
        else expect(await asked).to.have.length(2)
      }
      await declared.close()
    })

    it('notice a source that was emptied, refuse NULLs or read them each time', async () => {
      await side.run('CREATE TABLE shrinking (id int, v int)')
      await side.run('INSERT INTO shrinking VALUES (1, 1), (NULL, 2), (3, 3)')
      const sql = 'SELECT * FROM shrinking'
      expect(await errorOf(db.queryIncremental(sql, { orderColumn: 'id' }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      const options: IncrementalOptions = { orderColumn: 'id', nullOrder: 'refetch' }
      expect((await db.queryIncremental(sql, options)).toRows().map(row => row['v'])).to.deep.equal([1, 3, 2])
      await side.run('DELETE FROM shrinking WHERE id = 3')
      const table = await db.queryIncremental(sql, options)
      expect([table.toRows().map(row => row['v']), table.report.warnings.map(({ code }) => code)]).to.deep.equal([[1, 2], ['SOURCE_BELOW_WATERMARK']])
    })

    it('are refused where they cannot be extended, with construct and position', async () => {
      await side.run('CREATE TABLE t (id int PRIMARY KEY, v int, name varchar(20))')
      await side.run('CREATE VIEW seen AS SELECT * FROM t')
      const always = ['SELECT * FROM t LIMIT 1', 'SELECT * FROM t LIMIT 1 OFFSET 1', 'SELECT DISTINCT id FROM t', 'SELECT max(id) AS id FROM t', 'SELECT id FROM t GROUP BY id', 'SELECT id FROM t UNION SELECT id FROM t',
        'SELECT id, row_number() OVER () AS n FROM t', 'SELECT id, CURRENT_TIMESTAMP AS c FROM t', "SELECT id FROM t WHERE name > 'now'", 'SELECT * FROM seen', 'SELECT * FROM nothing_there', 'SELECT id, rand() AS r FROM t', 'SELECT id, random() AS r FROM t',
        'SELECT id, total(v) AS s FROM t', 'SELECT id, group_concat(v) AS s FROM t', 'SELECT id, my_function(v) AS f FROM t', 'SELECT 1; SELECT 2', 'SELECT id FROM t ORDER BY id DESC', 'SELECT id FROM t ORDER BY v', 'SELEC 1', 'DELETE FROM t',
        'SELECT id FROM t WHERE id = $1', 'SELECT id FROM t WHERE id = ?1', 'SELECT id FROM t WHERE id = :id', 'SELECT id FROM t WHERE id = @id', "SELECT id FROM t WHERE name = E'\\''", 'SELECT id FROM t /* a /* b */', 'SELECT id FROM t /*', "SELECT id FROM t WHERE name = 'x",
        'SELECT id, (SELECT count(*) FROM t) AS n FROM t', 'SELECT id FROM t WHERE id > (SELECT min(id) FROM t LIMIT 1)', 'SELECT id, date(\'now\') AS d FROM t', 'SELECT id, last_insert_rowid() AS r FROM t', 'SELECT id FROM t WHERE pg_catalog.abs(v) = 1']
      const own = title === 'MariaDB'
        ? ['SELECT DISTINCTROW id FROM t', 'SELECT id, UTC_TIMESTAMP AS u FROM t', 'SELECT id, NOW() AS u FROM t', 'SELECT id, @x := 1 AS x FROM t', 'SELECT id, "a" AS x FROM t', "SELECT id FROM t WHERE name = 'a\\'b'", 'SELECT id FROM t # x',
          'SELECT /*! DISTINCT */ id FROM t', 'SELECT /*+ SET_VAR(x=1) */ id FROM t', 'SELECT id, 1--1 AS x FROM t', 'SELECT id, abs (v) AS x FROM t', 'SELECT id, NEXT VALUE FOR s AS n FROM t', 'SELECT id FROM t LOCK IN SHARE MODE', 'SELECT id FROM t FOR UPDATE',
          'SELECT id, uuid() AS u FROM t', 'SELECT id, sleep(1) AS u FROM t', 'SELECT id, shop.f(v) AS u FROM t', 'SELECT SQL_CALC_FOUND_ROWS id FROM t', 'SELECT id FROM t PARTITION (p0)', 'SELECT id, unix_timestamp() AS u FROM t', 'SELECT id FROM t PROCEDURE ANALYSE()', 'SELECT id FROM information_schema.TABLES',
          'SELECT STRAIGHT_JOIN id FROM t', 'SELECT id, rownum() AS r FROM t', 'SELECT id, last_insert_id() AS r FROM t', 'SELECT id FROM t WHERE id <=> 1 XOR 1']
        : ['SELECT id FROM [t]', 'SELECT id, value FROM t, json_each(v)', 'SELECT id, changes() AS c FROM t', 'SELECT id, datetime() AS c FROM t', "SELECT id, strftime('%s') AS c FROM t", 'SELECT name AS id FROM sqlite_schema, t AS x WHERE x.id = abs (1)', 'SELECT id FROM t WHERE name GLOB \'a*\'',
          "SELECT id FROM pragma_table_info('t')", 'VALUES (1)', 'SELECT id, randomblob(1) AS b FROM t', 'SELECT id, sqlite_version() AS b FROM t']
      for (const sql of [...always, ...own]) {
        const error = await errorOf(db.queryIncremental(sql, { orderColumn: 'id' }))
        expect(['ERR_UNSUPPORTED_QUERY', 'ERR_INVALID_ARGUMENT'], `${sql}: ${error.message}`).to.include(error.code)
      }
      expect(await errorOf(db.queryIncremental('SELECT * FROM t LIMIT 1', { orderColumn: 'id' }))).to.include({ construct: 'LIMIT', position: 16 })
      expect(await errorOf(db.queryIncremental("SELECT 'é', id FROM `t` WHERE id = ? LIMIT ?", { orderColumn: 'id', params: [1, 1] }))).to.include({ construct: 'LIMIT', position: 37 })
      expect(await errorOf(db.queryIncremental('SELECT id, name FROM t', { orderColumn: 'nope' }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      if (title === 'MariaDB') expect(await errorOf(db.queryIncremental('SELECT id, name FROM t', { orderColumn: 'name' }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      // and what stays allowed
      for (const sql of ['SELECT * FROM t', 'SELECT id, upper(name) AS u, coalesce(v, 0) + 1 AS w FROM t WHERE v IS NOT NULL AND name LIKE \'a%\' ORDER BY id', 'SELECT `id` FROM `t`', 'SELECT t.id FROM t LEFT JOIN t AS u ON u.id = t.v', 'SELECT id, CASE WHEN v > 1 THEN \'x\' END AS c FROM t']) {
        expect((await db.queryIncremental(sql, { orderColumn: 'id' })).length).to.equal(0)
      }
    })

    it('drop the older version of a row that moves into the overlap, and only that', async () => {
      const random = seeded(title.length + 1)
      const options: IncrementalOptions = { orderColumn: 'at', keyColumn: 'name', overlap: '1 second' }
      await side.run(`CREATE TABLE moving (name varchar(9) PRIMARY KEY, at ${side.time}, v int)`)
      const sql = 'SELECT * FROM moving'
      let [clock, n] = [0, 0]
      for (let step = 0; step < STEPS / 2; step++) {
        for (let i = random.below(20); i >= 0; i--) await side.run(`INSERT INTO moving VALUES ('n${String(++n).padStart(5, '0')}', '${micros(clock += random.pick([1, 700_000]))}', 0)`)
        for (let i = random.below(3); i > 0; i--) await side.run(`UPDATE moving SET at = '${micros(clock += 1)}', v = v + 1 WHERE name = 'n${String(1 + random.below(n)).padStart(5, '0')}'`)
        const rows = (await db.queryIncremental(sql, options)).toRows()
        expect(rows).to.deep.equal((await db.query(`${sql} ORDER BY at, name`, { cache: false })).toRows())
        expect((await db.cacheStats()).perQuery.find(query => query.sql === sql)!.rows).to.equal(n)
      }
      // a key that only tells rows of one order value apart: nothing is dropped
      await side.run(`CREATE TABLE numbered (day ${side.time}, line int, v int)`)
      const lines = { orderColumn: 'day', keyColumn: 'line', overlap: '1 second' }
      for (let day = 0; day < 4; day++) {
        await side.run(`INSERT INTO numbered VALUES ('${micros(day * 5_000_000)}', 1, 0), ('${micros(day * 5_000_000)}', 2, 0)`)
        expect((await db.queryIncremental('SELECT * FROM numbered', lines)).length).to.equal(2 * day + 2)
      }
    })

    it('tell rows apart by keys of bits', async () => {
      await side.run('CREATE TABLE bits (k BIT(63), n int)')
      const keys = ['10', '11', '9007199254740993', '9223372036854775807']
      for (let n = 1; n <= 6; n++) await side.run(`INSERT INTO bits VALUES ${keys.map(key => `(${key}, ${n})`).join(', ')}`)
      for (const overlap of [undefined, 3]) {
        const options: IncrementalOptions = { orderColumn: 'n', keyColumn: 'k', overlap }
        expect((await db.queryIncremental('SELECT * FROM bits', options)).length).to.equal(24)
        const { length, report } = await db.queryIncremental('SELECT * FROM bits', options)
        expect([length, report.warnings]).to.deep.equal([24, []])
        if (overlap === undefined) expect(report.fetched).to.equal(0)
      }
    })

    it(`equal the source over ${STEPS} random steps`, async () => {
      const random = seeded(title.length)
      await side.run(`CREATE TABLE log (id int PRIMARY KEY, at ${side.time}, v int)`)
      const sql = 'SELECT * FROM log ORDER BY at'
      let [clock, id] = [0, 0]
      let options: IncrementalOptions = { orderColumn: 'at', keyColumn: 'id' }
      const key = (row: Row): number => row['id'] as number
      for (let step = 0; step < STEPS; step++) {
        options = random.pick([{ orderColumn: 'at' }, { orderColumn: 'at', keyColumn: 'id' }, { orderColumn: 'at', keyColumn: 'id', overlap: '1 second' }] as IncrementalOptions[])
        for (let i = random.below(20); i > 0; i--) {
          if (random.chance(0.6)) clock += random.pick([1, 7, 1000, 40_000])
          await side.run(`INSERT INTO log VALUES (${++id}, '${micros(clock)}', ${random.below(100)})`)
        }
        if (random.chance(0.15)) {
          for await (const batch of db.streamIncremental(sql, options)) if (batch.length > 0) break
        }
        if (random.chance(0.1)) {
          await db.close()
          db = await openDatabase({ source: side.source, cache: { store } })
        }
        const rows = (await db.queryIncremental(sql, options)).toRows()
        const now = (await db.query(sql, { cache: false })).toRows()
        expect([...rows].sort((a, b) => key(a) - key(b))).to.deep.equal(now.sort((a, b) => key(a) - key(b)))
        const times = rows.map(row => (row['at'] as Date).getTime())
        expect(times).to.deep.equal([...times].sort((a, b) => a - b))
      }
    })
  })
}
