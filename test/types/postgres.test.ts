// needs: postgres
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { deserialize } from 'node:v8'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { expect } from 'chai'
import pg from 'pg'
import type { Field } from '../../lib/batch/column-type.js'
import type { Row } from '../../lib/batch/row-factory.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { testDatabase } from '../support/postgres.js'
import { columnsOf, createCases, expectedRows, NULL_ROW, type Case } from './postgres-cases.js'
import { ask, errorOf, everyWay, nobody, same, typesOf, withCache } from './support.js'

const run = promisify(execFile)
const script = fileURLToPath(new URL('processes/print-rows.ts', import.meta.url))
const ZONES = { UTC: 0, 'America/Sao_Paulo': 180, 'Asia/Kolkata': -330 }

interface Printed { zone: number, rows: Row[], columns: Record<string, unknown>, schema: Field[] }

/** The cell that the server's own text stands for, read by nothing of ours; undefined for types that known values alone judge. */
const READ_TEXT: Record<string, (text: string) => unknown> = {
  smallint: Number, integer: Number, oid: Number, 'double precision': Number, real: text => Math.fround(Number(text)), boolean: text => text === 't',
  bigint: text => Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text), json: JSON.parse, jsonb: JSON.parse,
  bytea: text => new Uint8Array(Buffer.from(text.slice(2), 'hex')), geometry: text => new Uint8Array(Buffer.from(text, 'hex'))
}

/** What the type's own output function prints; a cast to text would drop the blanks of char(n) and add a mask to inet. (A composite of nulls IS NULL, but DISTINCT FROM it.) */
const printedAs = (name: string): string => `CASE WHEN ${name} IS DISTINCT FROM NULL THEN concat(${name}) END AS ${name}`

describe('PostgreSQL through the row cache', function () {
  this.timeout(60_000)
  let pool: pg.Pool
  let url: string
  let drop: () => Promise<void>
  let cases: readonly Case[]
  let columns: string[]
  let rows: Row[]
  let ids: number[]

  before(async () => {
    const database = await testDatabase()
    ;({ url, drop } = database)
    pool = new pg.Pool({ connectionString: url, max: 3 })
    cases = await createCases(pool)
    columns = columnsOf(cases)
    rows = expectedRows(cases)
    ids = rows.map(row => row['id'] as number)
  })
  after(async () => {
    await pool.end()
    await drop()
  })

  it('gives every type exactly, cold, warm, reopened and compacted, and says in the schema what it is', () => withCache(async cache => {
    const table = await everyWay(cache, { ids, columns, fetcher: postgresSource({ pool }).fetch }, rows)
    expect(typesOf(table)).to.deep.equal(cases.map((one, i) => {
      const [type, ...origin] = one.as.split(' ')
      return `c${i}: ${type}${origin.length > 0 ? ` (${origin.join(' ')})` : ''}`
    }))
  }))

  it('gives one row the same values as all rows together', () => withCache(async cache => {
    for (const row of rows) await everyWay(cache, { ids: [row['id']], columns, fetcher: postgresSource({ pool }).fetch }, [row])
    same((await ask(cache, { ids, columns, fetcher: nobody })).toRows(), rows)
  }))

  it('holds what the server itself prints', () => withCache(async cache => {
    const client = await pool.connect()
    try {
      await client.query("SET TimeZone = 'UTC'; SET DateStyle = ISO; SET IntervalStyle = iso_8601; SET lc_monetary = 'C'")
      const { rows: printed } = await client.query<Record<string, string | null>>({ text: `SELECT ${columns.map(printedAs).join(', ')} FROM t ORDER BY id` })
      const micros = columns.filter((_, i) => cases[i]!.pg.startsWith('timestamp') && !cases[i]!.pg.endsWith(']'))
      const { rows: exact } = await client.query<Record<string, string | null>>(`SELECT ${micros.map(name => `trunc(CASE WHEN isfinite(${name}) THEN extract(epoch FROM ${name}) * 1000000 END)::text AS ${name}`).join(', ')} FROM t ORDER BY id`)
      await ask(cache, { ids, columns, fetcher: postgresSource({ pool }).fetch })
      const table = await ask(cache, { ids, columns, fetcher: nobody })
      let compared = 0
      table.toRows().forEach((row, r) => columns.forEach((name, i) => {
        const text = printed[r]![name]!
        const { pg: type } = cases[i]!
        if (text === null) return same(row[name], null)
        if (micros.includes(name)) {
          if (exact[r]![name] !== null) same(String(table.column(name)[r]), exact[r]![name], `${type} ${text}`)
        } else if (READ_TEXT[type]) same(row[name], READ_TEXT[type](text), `${type} ${text}`)
        else if (typeof row[name] === 'string') same(row[name], text, `${type} ${text}`)
        else return
        compared++
      }))
      expect(compared).to.be.greaterThan(100)
    } finally {
      client.release(true)
    }
  }))

  it('gives the same under any time zone and any settings, fetched or read from a cache that another zone filled', async function () {
    this.timeout(120_000)
    const folder = await mkdtemp(join(tmpdir(), 'millrace-zones-'))
    const print = async (TZ: string, request: object): Promise<Printed> => {
      const { stdout } = await run(process.execPath, ['--import=tsx', script, JSON.stringify(request)], { maxBuffer: 1 << 26, env: { ...process.env, TZ, PGTZ: TZ,
        PGOPTIONS: `-c DateStyle=German -c IntervalStyle=postgres_verbose -c bytea_output=escape -c extra_float_digits=-5 -c TimeZone=${TZ}` } })
      return deserialize(Buffer.from(stdout, 'base64')) as Printed
    }
    try {
      const zones = Object.keys(ZONES) as (keyof typeof ZONES)[]
      const [first] = await Promise.all(zones.map(async (TZ, z) => {
        const cold = await print(TZ, { dir: join(folder, String(z)), ids, columns, url })
        expect(cold.zone).to.equal(ZONES[TZ])
        same(cold.rows, rows, TZ)
        return cold
      }))
      await Promise.all(zones.map(async (TZ, z) => {
        const warm = await print(zones[(z + 1) % 3]!, { dir: join(folder, String(z)), ids, columns, compact: z > 0 })
        same(warm.rows, rows, `${TZ}, another process`)
        same(warm.columns, first!.columns, `${TZ}, columns`)
        same(warm.schema, first!.schema, `${TZ}, schema`)
      }))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('does not let the database or the role decide how money looks', () => withCache(async cache => {
    const { rows: locales } = await pool.query<{ name: string }>("SELECT collname AS name FROM pg_collation WHERE collprovider = 'c' AND collname ~ '^[a-z]+_[A-Z]+\\.utf8$' LIMIT 1")
    const settings = `-c lc_monetary=${locales[0]?.name ?? 'C.UTF-8'}`
    const own = new pg.Pool({ connectionString: url, options: settings, max: 1 })
    try {
      const column = `c${cases.findIndex(one => one.pg === 'money')}`
      same((await ask(cache, { ids: [0, 1], columns: [column], fetcher: postgresSource({ pool: own }).fetch })).column(column), ['$12.34', '-$1,234.50'])
      expect((await own.query<{ lc_monetary: string }>('SHOW lc_monetary')).rows[0]?.lc_monetary).to.equal('C')
    } finally {
      await own.end()
    }
  }))

  it('depends on nothing that other users of the pool have set, reported by the server or not', () => withCache(async cache => {
    const single = new pg.Pool({ connectionString: url, max: 1 })
    // names that the built-in types and functions must not be mistaken for
    await pool.query(`CREATE SCHEMA odd; CREATE DOMAIN odd.text AS varchar(1); CREATE DOMAIN odd.jsonb AS pg_catalog.int4; CREATE DOMAIN odd.json AS pg_catalog.int4; CREATE DOMAIN odd.int8 AS pg_catalog.bool;
      CREATE FUNCTION odd.strpos(pg_catalog.text, pg_catalog.text) RETURNS int LANGUAGE sql AS 'SELECT 7';
      CREATE TABLE docs (id bigint PRIMARY KEY, j json, b jsonb); INSERT INTO docs SELECT id, '{"a":{"b":1}}', '{"a":{"b":1}}' FROM generate_series(0, 20) id`)
    try {
      const fetcher = postgresSource({ pool: single }).fetch
      await ask(cache, { ids, columns, fetcher })
      for (const setting of ["extra_float_digits TO -15", "bytea_output TO 'escape'", "lc_monetary TO 'C.UTF-8'", "client_encoding TO 'LATIN1'", "standard_conforming_strings TO off", "search_path TO odd, pg_catalog", "TimeZone TO 'Asia/Kolkata'",
        "DateStyle TO 'SQL, DMY'", "IntervalStyle TO 'sql_standard'", "array_nulls TO off", "xmloption TO 'document'", "escape_string_warning TO on", "transform_null_equals TO on", "quote_all_identifiers TO on"]) {
        await single.query(`SET ${setting}`)
        same((await ask(cache, { ids, columns, refresh: true, fetcher })).toRows(), rows, setting)
        for (const some of [[0, 20], [3, 4, 5]]) {
          same((await ask(cache, { ids: some, table: 'public.docs', columns: ['j.a.b', 'b.a.b', 'j.a'], refresh: true, fetcher: postgresSource({ pool: single }).fetch })).toRows(), some.map(id => ({ id, 'j.a.b': 1, 'b.a.b': 1, 'j.a': { b: 1 } })), setting)
        }
        await single.query('RESET ALL')
      }
    } finally {
      await single.end()
      await pool.query('DROP SCHEMA odd CASCADE')
    }
  }))

  it('reads geometries as the bytes that PostGIS has, or where it is missing, that its stand-in prints', () => withCache(async cache => {
    const { rows: [found] } = await pool.query("SELECT 1 FROM pg_extension WHERE extname = 'postgis'")
    const point = (x: number): string => found ? `ST_SetSRID(ST_MakePoint(${x}, 2.5), 4326)` : `'0101000020e6100000000000000000${x === 1 ? 'f03f' : '0040'}0000000000000440'::geometry`
    await pool.query(`CREATE TABLE places (id int PRIMARY KEY, g geometry, many geometry[]);
      INSERT INTO places VALUES (1, ${point(1)}, ARRAY[${point(1)}, NULL, ${point(2)}]), (2, NULL, '{}'), (3, ${point(2)}, NULL)`)
    const { rows: server } = await pool.query<{ g: Buffer | null, many: (Buffer | null)[] | null }>(`SELECT decode(g::text, 'hex') AS g, ARRAY(SELECT decode(one::text, 'hex') FROM unnest(many) one) AS many FROM places ORDER BY id`)
    if (found) same((await pool.query<{ g: Buffer }>('SELECT ST_AsEWKB(g) AS g FROM places ORDER BY id')).rows.map(({ g }) => g), server.map(({ g }) => g))
    const own = (value: Buffer | null): Uint8Array | null => value && new Uint8Array(value)
    const table = await everyWay(cache, { table: 'public.places', ids: [1, 2, 3], columns: ['g', 'many'], fetcher: postgresSource({ pool }).fetch },
      server.map(({ g, many }, i) => ({ id: i + 1, g: own(g), many: i === 2 ? null : many!.map(own) })), 'public.places')
    expect(typesOf(table)).to.deep.equal(['g: bytes (geometry)', 'many: list<bytes> (geometry[])'])
    same((table.toRows()[0]!['g'] as Uint8Array).length, 25)
  }))

  describe('what a column type cannot hold', () => {
    before(() => pool.query(`CREATE TABLE odd (id int PRIMARY KEY, amount numeric(5,2), list int[], doc text);
      INSERT INTO odd VALUES (1, 'NaN', '{1}', '{"a":1}'), (2, 1, '{{1,2},{3,4}}', 'no json')`))

    it('is refused by name, and the declared type of the request is the way out', () => withCache(async cache => {
      const fetcher = postgresSource({ pool }).fetch
      const odd = { table: 'public.odd', ids: [1, 2], fetcher }
      expect((await errorOf(ask(cache, { ...odd, columns: ['amount'] }))).message).to.match(/amount.*NaN.*columnTypes/)
      expect((await errorOf(ask(cache, { ...odd, columns: ['list'] }))).message).to.match(/list.*dimensions.*columnTypes/)
      const columnTypes = { amount: 'text', list: 'json' }
      const expected = [{ id: 1, amount: 'NaN', list: [1] }, { id: 2, amount: '1.00', list: [[1, 2], [3, 4]] }]
      for (const way of [fetcher, nobody]) same((await ask(cache, { ...odd, columns: ['amount', 'list'], columnTypes, fetcher: way })).toRows(), expected)
      same((await ask(cache, { ...odd, columns: ['amount', 'list'], fetcher: nobody })).toRows(), expected)
    }))

    it('is no document either: text declared as json must be JSON', () => withCache(async cache => {
      const fetcher = postgresSource({ pool }).fetch
      const request = { table: 'public.odd', columns: ['doc'], columnTypes: { doc: 'json' } }
      same((await ask(cache, { ...request, ids: [1], fetcher })).toRows(), [{ id: 1, doc: { a: 1 } }])
      const error = await errorOf(ask(cache, { ...request, ids: [1, 2], fetcher }))
      expect(error).to.include({ code: 'ERR_FETCHER_CONTRACT' })
      expect(error.message).to.match(/doc.*no json/)
      same((await ask(cache, { ...request, ids: [1], fetcher: nobody })).toRows(), [{ id: 1, doc: { a: 1 } }])
    }))
  })

  describe('a schema that changes at the source', () => {
    const at = (table: string): { table: string, fetcher: ReturnType<typeof postgresSource>['fetch'] } => ({ table: `public.${table}`, fetcher: postgresSource({ pool }).fetch })

    it('has a new column: cached rows lack it and are fetched again', () => withCache(async cache => {
      await pool.query('CREATE TABLE grows (id int PRIMARY KEY, a int); INSERT INTO grows VALUES (1, 1), (2, 2)')
      const to = at('grows')
      await ask(cache, { ...to, ids: [1, 2], columns: ['a'] })
      expect(await errorOf(ask(cache, { ...to, ids: [1], columns: ['a', 'b'] }))).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
      await pool.query("ALTER TABLE grows ADD b text DEFAULT 'new'")
      same((await ask(cache, { ...to, ids: [1, 2], columns: ['a', 'b'] })).toRows(), [{ id: 1, a: 1, b: 'new' }, { id: 2, a: 2, b: 'new' }])
    }))

    it('has lost a column: what is cached is served, what is not is ColumnNotFoundError', () => withCache(async cache => {
      await pool.query('CREATE TABLE shrinks (id int PRIMARY KEY, a int, b int); INSERT INTO shrinks VALUES (1, 1, 10), (2, 2, 20)')
      const to = at('shrinks')
      await ask(cache, { ...to, ids: [1], columns: ['a', 'b'] })
      await pool.query('ALTER TABLE shrinks DROP b')
      same((await ask(cache, { ...to, ids: [1], columns: ['a', 'b'] })).toRows(), [{ id: 1, a: 1, b: 10 }])
      const error = await errorOf(ask(cache, { ...to, ids: [1, 2], columns: ['a', 'b'] }))
      expect(error).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
      expect(error).to.have.property('columns').deep.equal(['b'])
      same((await ask(cache, { ...to, ids: [1, 2], columns: ['a'] })).toRows(), [{ id: 1, a: 1 }, { id: 2, a: 2 }])
    }))

    it('has turned int into bigint: widened; into text: a conflict that refresh or columnTypes resolve', () => withCache(async cache => {
      await pool.query('CREATE TABLE turns (id int PRIMARY KEY, n int, m int); INSERT INTO turns VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3)')
      const to = at('turns')
      await ask(cache, { ...to, ids: [1], columns: ['n', 'm'] })
      await pool.query('ALTER TABLE turns ALTER n TYPE bigint; UPDATE turns SET n = 9007199254740993 WHERE id = 2')
      same((await ask(cache, { ...to, ids: [1, 2], columns: ['n'] })).toRows(), [{ id: 1, n: 1 }, { id: 2, n: 9007199254740993n }])
      await pool.query("ALTER TABLE turns ALTER n TYPE text USING 'n' || n, ALTER m TYPE text USING 'm' || m")
      const error = await errorOf(ask(cache, { ...to, ids: [1, 3], columns: ['n'] }))
      expect(error).to.include({ code: 'ERR_SCHEMA_CONFLICT', column: 'n', cached: 'int64', seen: 'text' })
      same((await ask(cache, { ...to, ids: [1, 3], columns: ['n'], refresh: true })).toRows(), [{ id: 1, n: 'n1' }, { id: 3, n: 'n3' }])
      same((await ask(cache, { ...to, ids: [1, 2, 3], columns: ['n'] })).toRows(), [{ id: 1, n: 'n1' }, { id: 2, n: 'n9007199254740993' }, { id: 3, n: 'n3' }])
      same((await ask(cache, { ...to, ids: [1, 2, 3], columns: ['m'], columnTypes: { m: 'text' } })).toRows(), [{ id: 1, m: 'm1' }, { id: 2, m: 'm2' }, { id: 3, m: 'm3' }])
    }))

    it('has only nulls at first: the server says what they are, and a fetcher without types finds out later', () => withCache(async cache => {
      await pool.query("CREATE TABLE nulls (id int PRIMARY KEY, d date, j jsonb); INSERT INTO nulls VALUES (1, NULL, NULL), (2, '2024-02-29', '{\"a\": 5}')")
      const to = at('nulls')
      const cold = await ask(cache, { ...to, ids: [1], columns: ['d', 'j.a'] })
      expect(typesOf(cold)).to.deep.equal(['d: date', 'j.a: null'])
      const table = await ask(cache, { ...to, ids: [1, 2], columns: ['d', 'j.a'] })
      same(table.toRows(), [{ id: 1, d: null, 'j.a': null }, { id: 2, d: '2024-02-29', 'j.a': 5 }])
      expect(typesOf(table)).to.deep.equal(['d: date', 'j.a: int64'])
    }))
  })

  it('reads paths on the server as on the client, through the cache, json of 5,000 levels included', () => withCache(async cache => {
    const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`
    const documents = ['{"v":1,"w":{"x":[1,"2"]}}', '{"v":"s","w":{"x":{"y":-0}}}', '{"v":9007199254740993,"w":{"x":1e400}}', '{"v":null}', 'null', '[1]', '"t"', '{"v":"\\ud800","w":{"x":"\\u0000"}}', '{"w":{"x":1.10}}', deep]
    await pool.query('CREATE TABLE paths (id int PRIMARY KEY, j json, t text)')
    await pool.query('INSERT INTO paths SELECT o, d::json, d FROM unnest($1::text[]) WITH ORDINALITY AS u (d, o)', [documents])
    const client = documents.map((d, i) => ({ id: i + 1, j: d }))
    const paths = ['j.v', 'j.w.x', 'j.w.x.0', 'j.w.x.y', 'j.none', 'j.a.a.a.b']
    const request = { table: 'public.paths', ids: client.map(row => row.id), columns: paths }
    const expected = (await ask(cache, { ...request, table: 'public.client', fetcher: () => client })).toRows()
    const server = await ask(cache, { ...request, fetcher: postgresSource({ pool }).fetch })
    same(server.toRows(), expected)
    same((await ask(cache, { ...request, fetcher: nobody })).toRows(), expected)
    // row by row the types differ between requests, the values do not
    await cache.cache.clear('public.paths')
    for (const row of expected) await ask(cache, { ...request, ids: [row['id']], fetcher: postgresSource({ pool }).fetch })
    same((await ask(cache, { ...request, fetcher: nobody })).toRows(), expected)
    expect(ids).to.include(NULL_ROW)
  }))
})
