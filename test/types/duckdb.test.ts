// needs: postgres duckdb
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { expect } from 'chai'
import pg from 'pg'
import type { Row } from '../../lib/batch/row-factory.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { testDatabase } from '../support/postgres.js'
import { columnsOf, createCases, expectedRows, type Case } from './postgres-cases.js'
import { ask, rowsOf, same, withCache, type TestCache } from './support.js'

/** Every Parquet file of a cache. */
async function partsOf({ dir }: TestCache): Promise<string[]> {
  const names = await readdir(dir, { recursive: true })
  return names.filter(name => name.endsWith('.parquet')).map(name => join(dir, name))
}

describe('DuckDB as the judge of the cache\'s files', function () {
  this.timeout(60_000)
  let pool: pg.Pool
  let drop: () => Promise<void>
  let cases: readonly Case[]
  let columns: string[]
  let rows: Row[]
  let duckdb: DuckDBConnection

  before(async () => {
    const database = await testDatabase()
    ;({ drop } = database)
    pool = new pg.Pool({ connectionString: database.url, max: 2 })
    cases = await createCases(pool)
    columns = columnsOf(cases)
    rows = expectedRows(cases)
    duckdb = await (await DuckDBInstance.create(':memory:')).connect()
    await duckdb.run("SET TimeZone = 'UTC'")
  })
  after(async () => {
    duckdb.closeSync()
    await pool.end()
    await drop()
  })

  async function query(sql: string): Promise<Record<string, unknown>[]> {
    return (await duckdb.runAndReadAll(sql)).getRowObjectsJS()
  }

  async function typesIn(file: string): Promise<Map<string, string>> {
    const described = await query(`DESCRIBE SELECT * FROM read_parquet('${file}')`)
    return new Map(described.map(column => [column['column_name'] as string, column['column_type'] as string]))
  }

  /** What DuckDB and the server say of a column, in words both have: the text of each value, or its distance from 1970. */
  const TIMES: Record<string, { duckdb: (name: string) => string, server: (name: string) => string }> = {
    date: { duckdb: name => `(${name} - DATE '1970-01-01')::VARCHAR`, server: name => `CASE WHEN isfinite(${name}) THEN (${name} - date '1970-01-01')::text END` },
    timestamp: { duckdb: name => `epoch_us(${name})::VARCHAR`, server: name => `CASE WHEN isfinite(${name}) THEN trunc(extract(epoch FROM ${name}) * 1000000)::text END` },
    timestamptz: { duckdb: name => `epoch_us(${name})::VARCHAR`, server: name => `CASE WHEN isfinite(${name}) THEN trunc(extract(epoch FROM ${name}) * 1000000)::text END` },
  }

  async function judge(file: string): Promise<void> {
    const types = await typesIn(file)
    expect(types.get('id')).to.equal('BIGINT')
    cases.forEach((one, i) => expect(types.get(`c${i}`), one.pg).to.equal(one.duckdb))
    for (const [i, { pg: type, as }] of cases.entries()) {
      const name = columns[i]!
      const times = TIMES[type]
      if (times) {
        const { rows: server } = await pool.query<{ id: string, v: string | null }>(`SELECT id::int, ${times.server(name)} AS v FROM t ORDER BY id`)
        const finite = server.filter(row => row.v !== null)
        const seen = await query(`SELECT id::INTEGER AS id, ${times.duckdb(name)} AS v FROM read_parquet('${file}') WHERE id IN (${finite.map(row => row.id).join(',')}) ORDER BY id`)
        same(seen.map(row => ({ ...row })), finite.map(row => ({ ...row })), type)
        continue
      }
      const isList = as.startsWith('list<')
      const isBytes = as.startsWith('bytes')
      const shown = isBytes ? `hex(${name})` : as === 'list<bytes>' ? `list_transform(${name}, x -> hex(x))` : isList ? `${name}::VARCHAR[]` : `${name}::VARCHAR`
      const seen = await query(`SELECT ${shown} AS v FROM read_parquet('${file}') ORDER BY id`)
      seen.forEach(({ v }, r) => {
        const expected = rows[r]![name]
        // an SQL NULL and the JSON null of a json column look alike in rows
        if (expected === null) return expect(v === null || v === 'null', `${type} ${String(v)}`).to.equal(true)
        if (as.startsWith('json')) return same(JSON.parse(v as string), expected, type)
        if (!isList) return same(isBytes ? v : readText(as, v as string), isBytes ? Buffer.from(expected as Uint8Array).toString('hex').toUpperCase() : expected, type)
        const items = v as (string | null)[]
        const wanted = expected as unknown[]
        expect(items.length, type).to.equal(wanted.length)
        items.forEach((item, at) => {
          const value = wanted[at]
          if (value === null || item === null) return expect(item === value || item === 'null', type).to.equal(true)
          if (as === 'list<json>') same(JSON.parse(item), value, type)
          else if (value instanceof Uint8Array) same(item, Buffer.from(value).toString('hex').toUpperCase(), type)
          else if (value instanceof Date) same(Math.floor(Date.parse(`${item.replace(' ', 'T').replace('+00', '')}Z`)), value.getTime(), type)
          else same(readText(as.slice(5, -1), item), typeof value === 'string' ? value.replace(' BC', ' (BC)') : value, type)
        })
      })
    }
  }

  function readText(type: string, text: string): unknown {
    if (type.startsWith('int')) return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
    if (type === 'float32') return Math.fround(jsNumber(text))
    if (type === 'float64') return jsNumber(text)
    return type === 'bool' ? text === 'true' : text
  }

  function jsNumber(text: string): number {
    return Number(text.replace('inf', 'Infinity').replace('nan', 'NaN'))
  }

  it('sees every PostgreSQL type as what it is and every value as the server has it: fetched, compacted, exported', () => withCache(async cache => {
    const fetcher = postgresSource({ pool }).fetch
    const ids = rows.map(row => row['id'] as number)
    await ask(cache, { ids, columns, fetcher })
    const [first, ...others] = await partsOf(cache)
    expect(others).to.deep.equal([])
    await judge(first!)
    // in pieces, then folded
    await cache.cache.clear()
    for (const id of ids) await ask(cache, { ids: [id], columns, fetcher })
    await cache.cache.compact()
    const exported = join(cache.dir, 'exported.parquet')
    await cache.cache.export({ table: 'public.t', file: exported })
    const newest = (await cache.cache.store.table('public.t').manifest()).parts
    expect(newest).to.have.length(1)
    await judge((await partsOf(cache)).find(file => file.endsWith(newest[0]!.name))!)
    await judge(exported)
  }))

  it('sees the types of fetcher rows, and a dotted column that mixes as JSON', () => withCache(async cache => {
    const when = new Date('2024-01-02T03:04:05.678Z')
    const given = [{ id: 1, i: 5, w: 9007199254740993n, f: -0, b: true, t: 'ü', d: when, y: Uint8Array.of(0, 255), o: { a: [1] }, n: null, 'm.v': 1 },
      { id: 2, i: -7, w: 1n, f: NaN, b: false, t: '', d: new Date(-1), y: new Uint8Array(0), o: [], n: null, 'm.v': 'x' }]
    await ask(cache, { ids: [1, 2], columns: Object.keys(given[0]!).slice(1), fetcher: rowsOf(given) })
    const [file] = await partsOf(cache)
    same(Object.fromEntries(await typesIn(file!)), { id: 'BIGINT', i: 'BIGINT', w: 'BIGINT', f: 'DOUBLE', b: 'BOOLEAN', t: 'VARCHAR', d: 'TIMESTAMP WITH TIME ZONE', y: 'BLOB', o: 'JSON', n: 'INTEGER', 'm.v': 'JSON' })
    same((await query(`SELECT i::VARCHAR AS i, w::VARCHAR AS w, f, b, t, epoch_ms(d)::VARCHAR AS d, hex(y) AS y, o::VARCHAR AS o, n, "m.v"::VARCHAR AS v FROM read_parquet('${file!}') ORDER BY id`)).map(row => ({ ...row })), [
      { i: '5', w: '9007199254740993', f: -0, b: true, t: 'ü', d: String(when.getTime()), y: '00FF', o: '{"a":[1]}', n: null, v: '1' },
      { i: '-7', w: '1', f: NaN, b: false, t: '', d: '-1', y: '', o: '[]', n: null, v: '"x"' }])
  }))
})
