// needs: postgres
import { fork } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import pg from 'pg'
import { postgresSource } from '../../lib/source/postgres.js'
import { CacheStore } from '../../lib/store/cache.js'
import { Cache } from '../../lib/store/open-cache.js'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import { filesBelow } from '../support/cache.js'
import { refuseUnhandledRejections, rejection } from '../support/collect.js'
import { eventTable } from '../support/event-table.js'

describe('openDatabase', function () {
  this.timeout(60_000)
  const events = eventTable()
  refuseUnhandledRejections()
  const { folder, open, addRows } = events
  let client: pg.Client
  let db: Database
  const SQL = 'SELECT * FROM ev ORDER BY at'
  beforeEach(() => { ({ client, db } = events) })

  describe('query', () => {
    it('asks the database once, then no more, not even for a connection', async () => {
      await addRows(3)
      const first = await db.query('SELECT count(*) AS total, now() AS t FROM ev')
      await addRows(1, 3)
      const again = await db.query('SELECT count(*) AS total, now() AS t FROM ev')
      expect(again.toRows()).to.deep.equal(first.toRows())
      expect(again.schema).to.deep.equal(first.schema)
      expect([first.report.hits, first.report.fetched, again.report.hits, again.report.fetched]).to.deep.equal([0, 1, 1, 0])
      const unreachable = new pg.Pool({ connectionString: events.url })
      unreachable.connect = () => { throw new Error('nobody may connect') }
      const offline = await openDatabase({ pool: unreachable as never, cacheDir: folder() })
      expect((await offline.query('SELECT count(*) AS total, now() AS t FROM ev')).toRows()).to.deep.equal(first.toRows())
      await offline.close()
      await unreachable.end()
    })

    it('tells parameters apart by type and value', async () => {
      const ask = async (...params: unknown[]) => (await db.query('SELECT $1::text AS v', { params })).toRows()[0]
      expect(await ask('1')).to.deep.equal({ v: '1' })
      expect(await ask('2')).to.deep.equal({ v: '2' })
      expect(await ask(null)).to.deep.equal({ v: null })
      expect((await db.cacheStats()).perQuery).to.have.length(3)
    })

    it('gives an empty result with its columns, cold and warm', async () => {
      for (const hits of [0, 1]) {
        const table = await db.query('SELECT id, name FROM ev')
        expect([table.length, table.columnNames, table.schema.map(({ type }) => type)]).to.deep.equal([0, ['id', 'name'], ['int32', 'text']])
        expect((await db.cacheStats()).perQuery[0]!.hits).to.equal(hits)
      }
    })

    it('bypasses the cache with cache: false, and renews with refresh', async () => {
      await addRows(2)
      const count = async (options = {}) => (await db.query<{ n: number }>('SELECT count(*)::int AS n FROM ev', options)).toRows()[0]!.n
      expect(await count({ cache: false })).to.equal(2)
      expect((await db.cacheStats()).perQuery).to.have.length(0)
      expect(await count()).to.equal(2)
      await addRows(2, 2)
      expect([await count(), await count({ cache: false }), await count(), await count({ refresh: 'full' }), await count()]).to.deep.equal([2, 4, 2, 4, 4])
    })

    it('never caches what writes', async () => {
      for (const sql of ["INSERT INTO ev (name) VALUES ('x') RETURNING id", 'WITH d AS (DELETE FROM ev RETURNING id) SELECT * FROM d', 'SELECT id FROM ev FOR UPDATE']) {
        await addRows(1)
        expect(await rejection(db.query(sql))).to.include({ code: 'ERR_UNSUPPORTED_QUERY' })
        await db.query(sql, { cache: false })
      }
      expect((await db.cacheStats()).perQuery).to.have.length(0)
    })

    it('keeps every value as the database has it, cold and warm', async () => {
      const sql = `SELECT 9007199254740993::int8 AS big, 1.10::numeric(10,2) AS d, 'NaN'::numeric AS nan, '2024-01-01 00:00:00.123456'::timestamp AS ts, 'infinity'::timestamptz AS inf,
        '{"a":9007199254740993}'::jsonb AS j, ARRAY[1,NULL,3] AS list, '\\x00ff'::bytea AS b, NULL::uuid AS u, '1 day'::interval AS i, 'a.b' AS "a.b", 1 AS "id", '0044-03-15 BC'::date AS bc`
      const [cold, warm] = [await db.query(sql), await db.query(sql)]
      expect(warm.report.hits).to.equal(1)
      expect(warm.toRows()).to.deep.equal(cold.toRows())
      expect(warm.schema).to.deep.equal(cold.schema)
      expect(warm.column('ts')).to.deep.equal(cold.column('ts'))
    })

    it('refuses two columns of one name, and names that are its own', async () => {
      expect(await rejection(db.query('SELECT 1 AS a, 2 AS a'))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'sql' })
      expect(await rejection(db.query('SELECT 1 AS "#row"'))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      expect(await rejection(db.query('  '))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'sql' })
    })

    it('takes a damaged file for a miss, and says so', async () => {
      await addRows(100)
      const cold = await db.query(SQL)
      const [part] = filesBelow(folder(), '.parquet')
      const bytes = readFileSync(join(folder(), part!))
      bytes[200]! ^= 255
      writeFileSync(join(folder(), part!), bytes)
      const reopened = await open()
      const again = await reopened.query(SQL)
      expect(again.toRows()).to.deep.equal(cold.toRows())
      expect(again.report.warnings.map(({ code }) => code)).to.deep.equal(['CACHE_CORRUPT'])
      expect((await reopened.query(SQL)).report.hits).to.equal(100)
      await reopened.close()
    })
  })

  describe('queryIncremental', () => {
    it('fetches everything once, then what is new', async () => {
      await addRows(1000)
      const first = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id' })
      await addRows(10, 1000)
      const second = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id' })
      expect([first.length, second.length, second.report.hits, second.report.fetched]).to.deep.equal([1000, 1010, 1000, 10])
      expect(second.toRows()).to.deep.equal((await db.query(SQL, { cache: false })).toRows())
      expect((await db.cacheStats()).perQuery[0]).to.include({ rows: 1010, watermark: '2024-01-01 00:16:50' })
    })

    it('writes nothing when nothing is new', async () => {
      await addRows(10)
      await db.queryIncremental(SQL, { orderColumn: 'at' })
      const files = filesBelow(folder())
      const table = await db.queryIncremental(SQL, { orderColumn: 'at' })
      expect([table.length, table.report.bytesWritten]).to.deep.equal([10, 0])
      expect(filesBelow(folder())).to.deep.equal(files)
    })

    it('loses no row that comes late with a lower key at the very watermark', async () => {
      await client.query("INSERT INTO ev (id, at) VALUES (5, '2024-01-01'), (9, '2024-01-01')")
      await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id' })
      await client.query("INSERT INTO ev (id, at) VALUES (7, '2024-01-01'), (11, '2024-01-01')")
      const table = await db.queryIncremental<{ id: number }>(SQL, { orderColumn: 'at', keyColumn: 'id' })
      expect(table.toRows().map(({ id }) => id)).to.deep.equal([5, 7, 9, 11])
    })

    it('reads the rows at the watermark again when the last one left and another took its place', async () => {
      const ids = async (): Promise<number[]> => (await db.queryIncremental<{ id: number }>(SQL, { orderColumn: 'at', keyColumn: 'id' })).toRows().map(({ id }) => id)
      await client.query("INSERT INTO ev (id, at) VALUES (3, '2023-01-01'), (9, '2024-01-01')")
      expect(await ids()).to.deep.equal([3, 9])
      await client.query("DELETE FROM ev WHERE id = 9; INSERT INTO ev (id, at) VALUES (7, '2024-01-01')")
      expect(await ids()).to.deep.equal([3, 7])
      await client.query("INSERT INTO ev (id, at) VALUES (8, '2024-01-01')")
      expect(await ids()).to.deep.equal([3, 7, 8])
    })

    it('loses no row that comes late at the very watermark when another left, or without a key', async () => {
      const ids = async (): Promise<(number | null)[]> => (await db.queryIncremental<{ id: number | null }>('SELECT n AS id, at FROM ev', { orderColumn: 'at', keyColumn: 'id' })).toRows().map(({ id }) => id)
      await client.query("INSERT INTO ev (n, at) VALUES (1, '2024-01-01'), (3, '2024-01-01'), (5, '2024-01-01')")
      expect(await ids()).to.deep.equal([1, 3, 5])
      await client.query("UPDATE ev SET at = '2024-01-02' WHERE n = 1; INSERT INTO ev (n, at) VALUES (2, '2024-01-01')")
      expect(await ids()).to.deep.equal([2, 3, 5, 1])
      await client.query("INSERT INTO ev (n, at) VALUES (NULL, '2024-01-02'), (7, '2024-01-03')")
      expect(await ids()).to.deep.equal([2, 3, 5, 1, null, 7])
      await client.query("DELETE FROM ev WHERE n = 7; INSERT INTO ev (n, at) VALUES (6, '2024-01-03')")
      expect(await ids()).to.deep.equal([2, 3, 5, 1, null, 6])
    })

    it('refuses an overlap that is none in the first run already', async () => {
      await addRows(3)
      for (const options of [{ orderColumn: 'at', overlap: '-5 minutes' }, { orderColumn: 'at', overlap: 'soon' }, { orderColumn: 'at', overlap: 5.5e300 }]) {
        expect((await rejection<Error & { code: string }>(db.queryIncremental(SQL, options))).code).to.be.oneOf(['ERR_INVALID_ARGUMENT', 'ERR_SOURCE'])
      }
      expect((await db.cacheStats()).perQuery).to.deep.equal([])
      expect((await db.queryIncremental(SQL, { orderColumn: 'at', overlap: '0' })).length).to.equal(3)
    })

    it('refuses options that are none', async () => {
      for (const options of [undefined, null, 'id']) expect(await rejection(db.queryIncremental(SQL, options as never))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'options' })
    })

    it('notices a source that ends below the watermark', async () => {
      await addRows(10)
      await db.queryIncremental(SQL, { orderColumn: 'at' })
      await client.query('TRUNCATE ev')
      for (const rows of [0, 3]) {
        if (rows > 0) await addRows(rows)
        const table = await db.queryIncremental(SQL, { orderColumn: 'at' })
        expect([table.length, table.report.warnings.map(({ code }) => code)]).to.deep.equal([rows, rows === 0 ? ['SOURCE_BELOW_WATERMARK'] : []])
      }
    })

    it('reads everything anew when the columns changed', async () => {
      await addRows(5)
      await db.queryIncremental(SQL, { orderColumn: 'at' })
      await client.query('ALTER TABLE ev ADD extra int DEFAULT 7; ALTER TABLE ev ALTER n TYPE bigint')
      const table = await db.queryIncremental<{ extra: number }>(SQL, { orderColumn: 'at' })
      expect(table.report.warnings.map(({ code }) => code)).to.deep.equal(['QUERY_COLUMNS_CHANGED'])
      expect(table.toRows().map(({ extra }) => extra)).to.deep.equal([7, 7, 7, 7, 7])
      expect((await db.queryIncremental(SQL, { orderColumn: 'at' })).schema).to.deep.equal(table.schema)
    })

    it('refuses NULLs in the order column, or reads them anew each time', async () => {
      await addRows(3)
      await client.query("INSERT INTO ev (name) VALUES ('none')")
      expect(await rejection(db.queryIncremental(SQL, { orderColumn: 'at' }))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'orderColumn' })
      for (let run = 0; run < 2; run++) {
        const table = await db.queryIncremental<{ name: string }>(SQL, { orderColumn: 'at', nullOrder: 'refetch' })
        expect(table.toRows().map(({ name }) => name)).to.deep.equal(['n1', 'n2', 'n3', 'none'])
      }
    })

    for (const [type, literal, next] of [['int8', '9007199254740993', '9007199254740994'], ['numeric(20,6)', '1.5', '2.25'], ['numeric', '1.50', '12.5'], ['float8', '0.1', '0.30000000000000004'],
      ['date', "'2024-01-01'", "'2024-02-01'"], ['timestamptz', "'2024-01-01 00:00:00.000001+02'", "'2024-01-01 00:00:00.000002+02'"], ['uuid', "'0192d0c8-0000-7000-8000-000000000001'", "'0192d0c8-0000-7000-8000-000000000002'"],
      ['text', "'it''s'", "'it''s2'"], ['time', "'01:02:03'", "'01:02:04'"]] as const) {
      it(`takes ${type} for an order column`, async () => {
        await client.query(`CREATE TABLE o (v ${type}, w int); INSERT INTO o VALUES (${literal}, 1)`)
        const options = { orderColumn: 'v' }
        await db.queryIncremental('SELECT * FROM o', options)
        await client.query(`INSERT INTO o VALUES (${literal}, 2), (${next}, 3)`)
        const table = await db.queryIncremental<{ w: number }>('SELECT * FROM o ORDER BY v, w', options)
        expect(table.toRows().map(({ w }) => w)).to.deep.equal([1, 2, 3])
        await client.query(`INSERT INTO o VALUES (${next}, 4)`)
        const last = await db.queryIncremental<{ w: number }>('SELECT * FROM o ORDER BY v, w', options)
        expect(last.toRows().map(({ w }) => w)).to.deep.equal([1, 2, 3, 4])
        expect(last.report.hits).to.equal(2)
      })
    }

    it('refuses order columns without an end or without an order', async () => {
      await client.query("CREATE TABLE o (t timestamp, j jsonb, c char(3)); INSERT INTO o VALUES ('infinity', '1', 'a')")
      for (const orderColumn of ['t', 'j', 'c']) expect(await rejection(db.queryIncremental('SELECT * FROM o', { orderColumn }))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'orderColumn' })
      await client.query(`CREATE COLLATION "C i" (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE p (plain text, loose varchar(9) COLLATE "C i"); INSERT INTO p VALUES ('a', 'a')`)
      for (const [column, params] of [['loose', []], ['plain COLLATE "C i"', []], ['loose || $1', ['x']]] as const) {
        const error = await rejection<Error>(db.queryIncremental(`SELECT ${column} AS o FROM p -- o`, { orderColumn: 'o', params }))
        expect(error).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'orderColumn' }).and.to.have.property('message').that.contains('"C i"')
      }
      expect((await db.queryIncremental('SELECT plain, loose COLLATE "C" AS o FROM p WHERE plain > $1', { orderColumn: 'o', keyColumn: 'plain', params: [''] })).length).to.equal(1)
      await addRows(1)
      await db.queryIncremental('SELECT * FROM ev', { orderColumn: 'at' })
      expect(await rejection(db.queryIncremental('SELECT * FROM ev', { orderColumn: 'at', overlap: '-5 minutes' }))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'overlap' })
    })

    it('refuses a view that hides what it refuses, and functions that the catalogue calls volatile', async () => {
      await client.query('CREATE VIEW v AS SELECT id, at FROM ev; CREATE VIEW w AS SELECT id, at FROM v LIMIT 3; CREATE VIEW x AS SELECT * FROM w; CREATE FUNCTION f(int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT $1 $$')
      await client.query('CREATE FUNCTION r(ev) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT 1 $$; CREATE OPERATOR ~~~> (RIGHTARG = int, FUNCTION = f); CREATE VIEW y AS SELECT id, at, ~~~> id AS o FROM ev')
      await addRows(1)
      expect((await db.queryIncremental('SELECT * FROM v', { orderColumn: 'at' })).length).to.equal(1)
      for (const sql of ['SELECT * FROM x', 'SELECT f(id), at FROM ev', 'SELECT id, sum(id), at FROM ev', 'SELECT id, random(), at FROM ev', 'SELECT ev.r, at FROM ev', 'SELECT (ev).r, at FROM ev',
        'SELECT at FROM ev WHERE ~~~> id = 1', 'SELECT at FROM ev WHERE OPERATOR(public.~~~>) id = 1', 'SELECT * FROM y']) {
        expect(await rejection(db.queryIncremental(sql, { orderColumn: 'at' }))).to.include({ code: 'ERR_UNSUPPORTED_QUERY' })
      }
    })

    it('takes parameters, comments and quoted names', async () => {
      await client.query('CREATE TABLE "Öl" ("Wann, wo" int, "x""y" text); INSERT INTO "Öl" VALUES (1, \'a\'), (2, \'b\')')
      const ask = () => db.queryIncremental<{ 'x"y': string }>('SELECT * FROM "Öl" WHERE "Wann, wo" > $1 -- the end', { params: [0], orderColumn: 'Wann, wo', keyColumn: 'x"y' })
      expect((await ask()).length).to.equal(2)
      await client.query('INSERT INTO "Öl" VALUES (3, \'c\')')
      const table = await ask()
      expect([table.toRows().map(row => row['x"y']), table.report.fetched]).to.deep.equal([['a', 'b', 'c'], 1])
    })

    it('lets a part of the cache that was invalidated or cleared be read anew', async () => {
      await addRows(10)
      await db.queryIncremental(SQL, { orderColumn: 'at' })
      const cache = new Cache(new CacheStore({ dir: folder() }))
      const [info] = (await db.cacheStats()).perQuery
      await cache.invalidate({ table: info!.table, idColumn: '#row', ids: [3] })
      expect((await db.queryIncremental(SQL, { orderColumn: 'at' })).report).to.include({ hits: 0, fetched: 10 })
      expect((await db.queryIncremental(SQL, { orderColumn: 'at' })).report.hits).to.equal(9)
      expect((await cache.verify()).ok).to.equal(true)
      await cache.clear()
      expect((await db.cacheStats()).perQuery).to.have.length(0)
      await cache.close()
    })

    it('finds what changed below the watermark when it reconciles, and reads only that', async () => {
      await client.query("INSERT INTO ev (name, at, n) SELECT 'x', timestamp '2024-01-01' + i * interval '1 second', i FROM generate_series(1, 60000) i")
      const options = { orderColumn: 'at', keyColumn: 'id', reconcile: true }
      await db.queryIncremental(SQL, options)
      expect((await db.queryIncremental(SQL, options)).report).to.include({ hits: 59_999, fetched: 1, bytesWritten: 0 })
      await client.query("UPDATE ev SET name = 'y' WHERE n = 20000; DELETE FROM ev WHERE n BETWEEN 20100 AND 20200; INSERT INTO ev (name, at) VALUES ('late', '2024-01-01 00:00:00.5'), ('new', '2025-01-01')")
      const blind = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id' })
      expect(blind.length).to.equal(60_001)
      const table = await db.queryIncremental(SQL, options)
      const source = await db.query(SQL, { cache: false })
      expect(table.toRows()).to.deep.equal(source.toRows())
      expect(table.report.fetched).to.be.lessThan(35_000)
      const warm = await db.queryIncremental(SQL, { orderColumn: 'at', keyColumn: 'id' })
      expect(warm.toRows()).to.deep.equal(source.toRows())
      expect(warm.report.fetched).to.equal(0)
    })

    it('compares whole rows when it reconciles, also those with a column called q', async () => {
      await addRows(10)
      const [sql, options] = ['SELECT id, n AS q, name FROM ev', { orderColumn: 'id', reconcile: true }]
      await db.queryIncremental(sql, options)
      await client.query("UPDATE ev SET name = 'changed' WHERE id = 3")
      expect((await db.queryIncremental(sql, options)).toRows()[2]).to.include({ id: 3, q: 3, name: 'changed' })
    })

    it('shows no duplicates when processes run at once', async () => {
      await addRows(2000)
      const run = (): Promise<number> => new Promise((resolve, reject) => {
        const child = fork(join(import.meta.dirname, '../support/incremental-process.ts'), [events.url, folder()], { execArgv: ['--import=tsx'] })
        child.on('message', message => resolve(message as number))
        child.on('error', reject)
        child.on('exit', code => code === 0 || reject(new Error(`exit ${code}`)))
      })
      for (let round = 0; round < 2; round++) {
        const counts = await Promise.all([run(), run(), run()])
        expect(counts).to.deep.equal([2000 + round * 50, 2000 + round * 50, 2000 + round * 50])
        await addRows(50, 2000 + round * 50)
      }
      const table = await db.queryIncremental<{ id: number }>(SQL, { orderColumn: 'at' })
      expect(table.toRows()).to.deep.equal((await db.query(SQL, { cache: false })).toRows())
    })
  })

  describe('streamIncremental', () => {
    it('delivers cached batches first, then the new ones, and stops when it is left', async () => {
      await client.query("INSERT INTO ev (name, at, n) SELECT 'x', timestamp '2024-01-01' + i * interval '1 second', i FROM generate_series(1, 150000) i")
      await db.queryIncremental(SQL, { orderColumn: 'at' })
      await addRows(10, 150_000)
      const sizes: number[] = []
      const stream = db.streamIncremental(SQL, { orderColumn: 'at' })
      for await (const batch of stream) sizes.push(batch.length)
      expect(sizes).to.deep.equal([65_536, 65_536, 18_927, 11])
      for await (const batch of db.streamIncremental(SQL, { orderColumn: 'at' })) if (batch.length > 0) break
      const controller = new AbortController()
      const error = await rejection((async () => {
        for await (const batch of db.streamIncremental(SQL, { orderColumn: 'at', refresh: 'full', signal: controller.signal })) if (batch.length > 0) controller.abort()
      })())
      expect(error.name).to.equal('AbortError')
      // a backend whose connection was cut takes a moment to notice; the test's time limit is the limit
      const open = "SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
      while ((await client.query(open)).rowCount! > 0);
    })
  })

  describe('the rest', () => {
    it('executes without caching, counts, clears by text, keeps no text where told to', async () => {
      expect(await db.execute('INSERT INTO ev (name) SELECT $1 FROM generate_series(1, 3)', ['João'])).to.equal(3)
      await db.query('SELECT name FROM ev')
      await db.query('SELECT n FROM ev')
      expect(await db.clearCache('name')).to.equal(1)
      expect((await db.cacheStats()).perQuery.map(({ sql }) => sql)).to.deep.equal(['SELECT n FROM ev'])
      expect(await db.clearCache()).to.equal(1)
      const secretive = await open({ storeQueryText: false, namespace: 'other' })
      await secretive.query("SELECT 'hushhush' AS x, $1::text AS p", { params: ['whisper'] })
      expect((await secretive.query("SELECT 'hushhush' AS x, $1::text AS p", { params: ['whisper'] })).report.hits).to.equal(1)
      const { perQuery: [info] } = await secretive.cacheStats()
      expect([info!.sql, info!.params]).to.deep.equal([null, null])
      const manifests = filesBelow(folder(), '.json').map(name => readFileSync(join(folder(), name), 'utf8')).join('')
      expect(manifests).to.not.match(/hushhush|whisper/)
      await secretive.close()
    })

    it('closes once, however often it is told to', async () => {
      const twice = await open()
      await twice.query('SELECT 1 AS x')
      await Promise.all([twice.close(), twice.close()])
      await twice[Symbol.asyncDispose]()
      expect(await rejection(twice.execute('SELECT 1'))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'source' })
    })

    it('waits with close for a stream that was begun, until that is destroyed', async () => {
      const other = await open()
      const stream = other.stream('SELECT generate_series(1, 100000) AS n', { cache: false })
      await stream[Symbol.asyncIterator]().next()
      let isClosed = false
      const closing = other.close().then(() => { isClosed = true })
      await client.query('SELECT pg_sleep(0.1)')
      expect(isClosed).to.equal(false)
      stream.destroy()
      await closing
    })

    it('tells users, databases and search paths apart', async () => {
      await client.query('CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t AS SELECT 1 AS x; CREATE TABLE b.t AS SELECT 2 AS x')
      for (const [schema, x] of [['a', 1], ['b', 2]] as const) {
        const url = new URL(events.url)
        url.searchParams.set('options', `-c search_path=${schema}`)
        const other = await open({ connectionString: url.href })
        expect((await other.query('SELECT x FROM t')).toRows()).to.deep.equal([{ x }])
        expect((await other.queryIncremental('SELECT x FROM t', { orderColumn: 'x' })).toRows()).to.deep.equal([{ x }])
        await other.close()
      }
    })

    it('refuses options that do not go together, and leaves a pool that was passed in open', async () => {
      const pool = new pg.Pool({ connectionString: events.url })
      expect(await rejection(openDatabase({ pool: pool as never, connectionString: events.url }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      const own = await openDatabase({ pool: pool as never, cacheDir: folder() })
      await own.query('SELECT 1 AS x')
      await own.close()
      expect((await pool.query('SELECT 1 AS x')).rows).to.deep.equal([{ x: 1 }])
      const viaSource = await openDatabase({ source: postgresSource({ pool }), cacheDir: folder() })
      expect((await viaSource.query('SELECT 1 AS x')).report.hits).to.equal(1)
      await viaSource.close()
      await pool.end()
      expect(readdirSync(folder()).length).to.equal(1)
      for (const options of [{ orderColumn: '' }, { orderColumn: 'at', overlap: -1 }, { orderColumn: 'at', nullOrder: 'x' }, { orderColumn: 'at', refresh: true }, { orderColumn: 'nope' }, { orderColumn: 'at', keyColumn: 'nope' }, { orderColumn: 'at', overlap: 'a while' }, { orderColumn: 'id', overlap: '5 minutes' }]) {
        await addRows(1)
        const first = await rejection(db.queryIncremental(SQL, options as never).then(() => db.queryIncremental(SQL, options as never)))
        expect(first).to.have.property('code').that.is.oneOf(['ERR_INVALID_ARGUMENT', 'ERR_UNSUPPORTED_QUERY', 'ERR_SOURCE'])
      }
    })
  })
})
