// needs: postgres
import { inspect } from 'node:util'
import { expect } from 'chai'
import pg from 'pg'
import type { RowBatch } from '../../../lib/batch/row-batch.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import type { SourceError } from '../../../lib/source/source-error.js'
import { testDatabase } from '../../support/postgres.js'
import { errorOf, fetchAll, requestOf } from '../../support/fetch-request.js'
import { formatTableName } from '../../../lib/store/table-name.js'

async function collect(batches: AsyncIterable<RowBatch>): Promise<RowBatch[]> {
  const all: RowBatch[] = []
  for await (const batch of batches) all.push(batch)
  return all
}

describe('postgresSource', function () {
  this.timeout(30_000)
  let pool: pg.Pool
  let url: string
  let drop: () => Promise<void>

  before(async () => {
    ({ url, drop } = await testDatabase())
    pool = new pg.Pool({ connectionString: url, max: 3 })
    await pool.query(`CREATE TABLE users (id int PRIMARY KEY, name text);
      INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 120000) i; ANALYZE users`)
  })
  after(async () => {
    await pool.end()
    await drop()
  })

  it('names the server and database, never user and password, without connecting', () => {
    const identity = (options: pg.PoolConfig): string | undefined => postgresSource({ pool: new pg.Pool(options) }).identity
    expect(identity({ connectionString: 'postgres://joe:s3cret@db.example:6543/shop' })).to.equal('postgres://db.example:6543/shop')
    expect(identity({ host: '::1', port: 5433, database: 'a/b', user: 'joe', password: 's3cret' })).to.equal('postgres://[::1]:5433/a%2Fb')
    expect(identity({ host: '/run/pg', port: 5432, database: 'x' })).to.equal('postgres://%2Frun%2Fpg:5432/x')
    expect(postgresSource({ pool: { connect: () => Promise.reject(new Error('no')) } }).identity).to.equal(undefined)
  })

  it('fetches 100,000 sparse ids in one batch, and leaves out what is not there', async () => {
    const source = postgresSource({ pool })
    const ids = Array.from({ length: 100_000 }, (_, i) => (i + 1) * 3).reverse()
    const rows = (await fetchAll(source, ids, 'public.users', requestOf(['name']))).flatMap(batch => batch.toRows())
    expect(rows).to.have.length(40_000)
    expect(new Set(rows.map(row => row['id'])).size).to.equal(40_000)
    expect(rows.every(row => row['name'] === `n${String(row['id'])}`)).to.equal(true)
  })

  it('drops the rows of a dense range that were not asked for', async () => {
    const source = postgresSource({ pool, batchRows: 16 })
    const ids = Array.from({ length: 60 }, (_, i) => i + 10).filter(id => id % 3 !== 0)
    const batches = await fetchAll(source, ids, 'public.users', requestOf(['name']))
    expect(batches.flatMap(batch => batch.toRows()).map(row => row['id'])).to.have.members(ids)
    expect(batches.every(batch => batch.length > 0 && batch.length <= 16)).to.equal(true)
  })

  it('asks for no ids that the column cannot hold', async () => {
    const source = postgresSource({ pool })
    expect(await fetchAll(source, [2 ** 40, 2n ** 62n, -(2n ** 63n)], 'public.users', requestOf(['name']))).to.deep.equal([])
    const [batch] = await fetchAll(source, [1, 2n ** 62n], 'public.users', requestOf(['name']))
    expect(batch!.toRows()).to.deep.equal([{ id: 1, name: 'n1' }])
  })

  it('keeps ids beyond 2^53 exact, dense and sparse', async () => {
    await pool.query(`CREATE TABLE wide (id bigint PRIMARY KEY, v int); INSERT INTO wide SELECT 9007199254740990 + i, i FROM generate_series(0, 9) i;
      INSERT INTO wide VALUES (-9223372036854775808, -1), (9223372036854775807, 99)`)
    const source = postgresSource({ pool })
    const dense = [9007199254740990, 9007199254740991, 9007199254740993n, 9007199254740994n]
    const rows = (await fetchAll(source, dense, 'public.wide', requestOf(['v']))).flatMap(batch => batch.toRows())
    expect(rows).to.deep.equal([{ id: 9007199254740990, v: 0 }, { id: 9007199254740991, v: 1 }, { id: 9007199254740993n, v: 3 }, { id: 9007199254740994n, v: 4 }])
    const far = (await fetchAll(source, [-(2n ** 63n), 2n ** 63n - 1n], 'public.wide', requestOf(['v']))).flatMap(batch => batch.toRows())
    expect(far.map(row => row['v'])).to.have.members([-1, 99])
  })

  it('names every missing column, and a missing table', async () => {
    const source = postgresSource({ pool })
    const columns = await errorOf(fetchAll(source, [1], 'public.users', requestOf(['name', 'nope', 'Name', 'meta.city'])))
    expect(columns).to.include({ code: 'ERR_COLUMN_NOT_FOUND', table: 'public.users' })
    expect((columns as unknown as { columns: string[] }).columns).to.deep.equal(['nope', 'Name', 'meta.city'])
    const table = await errorOf(fetchAll(source, [1], 'public.Users', requestOf(['name'])))
    expect(table.message).to.contain('no public.Users')
    const id = await errorOf(fetchAll(source, [1], 'public.users', requestOf([], { idColumn: 'name' })))
    expect(id).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    expect(id.message).to.contain('name of type text')
  })

  it('quotes hostile names exactly as given', async () => {
    const names = ['a"b', "x'; DROP TABLE users; --", 'SELECT', 'ünï', 'a.b', ' ', '$1', '%s', '\\', 'line\nbreak', 'MiXeD', '😀']
    const source = postgresSource({ pool })
    for (const [i, name] of names.entries()) {
      const quoted = `"${name.replaceAll('"', '""')}"`
      await pool.query(`CREATE SCHEMA IF NOT EXISTS ${quoted}; CREATE TABLE ${quoted}.${quoted} (${quoted} int PRIMARY KEY, "${name.replaceAll('"', '""')}x" text);
        INSERT INTO ${quoted}.${quoted} VALUES (${i}, 'v')`)
      const column = `${name}x`
      const request = { ...requestOf([], { idColumn: name }), columns: [column], plain: [column] }
      const [batch] = await fetchAll(source, [i], formatTableName({ schema: name, table: name }), request)
      expect(batch!.toRows()).to.deep.equal([{ [name]: i, [column]: 'v' }])
    }
    expect((await pool.query('SELECT count(*)::int AS n FROM users')).rows).to.deep.equal([{ n: 120000 }])
  })

  it('follows a table that is altered between fetches', async () => {
    await pool.query("CREATE TABLE moving (id int PRIMARY KEY, v int, w text); INSERT INTO moving VALUES (1, 7, 'w'), (3, 8, 'w')")
    const source = postgresSource({ pool })
    const fetchV = async (...columns: string[]): Promise<RowBatch> => (await fetchAll(source, [1], 'public.moving', requestOf(columns)))[0]!
    expect((await fetchV('v')).schema[1]!.type).to.equal('int32')
    await pool.query("ALTER TABLE moving ALTER v TYPE text USING 'was ' || v")
    expect((await fetchV('v')).toRows()).to.deep.equal([{ id: 1, v: 'was 7' }])
    await pool.query('ALTER TABLE moving ADD fresh int DEFAULT 5')
    expect((await fetchV('fresh')).toRows()).to.deep.equal([{ id: 1, fresh: 5 }])
    await pool.query('ALTER TABLE moving DROP fresh')
    expect(await errorOf(fetchV('fresh'))).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
    await pool.query('ALTER TABLE moving ALTER id TYPE bigint')
    expect((await fetchV('v')).toRows()).to.deep.equal([{ id: 1, v: 'was 7' }])
  })

  it('streams a query in its own order and shape, an empty one with its columns', async () => {
    const source = postgresSource({ pool })
    const batches = await collect(source.query('SELECT name, id FROM users WHERE id <= $1 ORDER BY id DESC', { params: [20], batchRows: 10 }))
    expect(batches.map(batch => batch.length)).to.deep.equal([10, 10])
    expect(batches[0]!.toRows()[0]).to.deep.equal({ name: 'n20', id: 20 })
    const [empty] = await collect(source.query('SELECT id, name FROM users WHERE false'))
    expect(empty!.length).to.equal(0)
    expect(empty!.schema.map(({ name, type }) => [name, type])).to.deep.equal([['id', 'int32'], ['name', 'text']])
  })

  it('refuses duplicate column names and __proto__ before running the query', async () => {
    const source = postgresSource({ pool })
    expect(await errorOf(collect(source.query('SELECT 1 AS a, 2 AS a')))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    expect((await errorOf(collect(source.query('SELECT 1 AS "__proto__"')))).message).to.contain('__proto__')
    expect((await errorOf(collect(source.query('SELECT 1; SELECT 2')))).cause).to.include({ code: '42601' })
  })

  it('executes statements and counts their rows', async () => {
    const source = postgresSource({ pool })
    expect(await source.execute('CREATE TABLE counted (v int)')).to.equal(0)
    expect(await source.execute('INSERT INTO counted SELECT generate_series(1, $1::int)', { params: [7] })).to.equal(7)
    expect(await source.execute('UPDATE counted SET v = 1; SET LOCAL lock_timeout = 0; UPDATE counted SET v = 2')).to.equal(14)
    expect(await collect(source.query('UPDATE counted SET v = 0'))).to.have.length(1)
    const [batch] = await collect(source.query('DELETE FROM counted RETURNING v'))
    expect(batch!.length).to.equal(7)
    const open = await errorOf(collect(source.query('SELECT 1 / 0 AS x')))
    expect(open).to.include({ code: 'ERR_SOURCE', sqlState: '22012', isTransient: false })
  })

  it('never hands a client with an open transaction to the next user', async () => {
    const single = new pg.Pool({ connectionString: url, max: 1 })
    try {
      const source = postgresSource({ pool: single })
      await source.execute('BEGIN')
      expect(single.totalCount).to.equal(0)
      await source.execute('SELECT 1')
      expect(single.idleCount).to.equal(1)
    } finally {
      await single.end()
    }
  })

  it('says where it could not connect, and never with which password', async () => {
    const closed = new pg.Pool({ connectionString: 'postgres://joe:s3cret@127.0.0.1:1/shop' })
    const error = await errorOf(fetchAll(postgresSource({ pool: closed }), [1], 'public.users', requestOf(['name'])))
    expect(error).to.include({ code: 'ERR_SOURCE', isTransient: true })
    expect(error.message).to.contain('127.0.0.1:1/shop')
    expect(inspect(error, { depth: 10, showHidden: true })).not.to.contain('s3cret')
    expect((error as SourceError).cause).to.include({ code: 'ECONNREFUSED' })
  })

  it('works with one connection, and gives it back between calls', async () => {
    const single = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5000 })
    try {
      const source = postgresSource({ pool: single })
      const both = await Promise.all([fetchAll(source, [1, 2], 'public.users', requestOf(['name'])), fetchAll(source, [3, 9], 'public.users', requestOf(['name']))])
      expect(both.flat().flatMap(batch => batch.toRows()).map(row => row['id'])).to.deep.equal([1, 2, 3, 9])
      expect(await collect(source.query("SELECT 'sad'::regtype IS NULL AS x WHERE false"))).to.have.length(1)
    } catch (error) {
      if ((error as SourceError).sqlState !== '42704') throw error
    } finally {
      await single.end()
    }
  })

  it('waits for an exhausted pool as long as the pool says', async () => {
    const single = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 100 })
    const held = await single.connect()
    try {
      const error = await errorOf(fetchAll(postgresSource({ pool: single }), [1], 'public.users', requestOf(['name'])))
      expect(error).to.include({ code: 'ERR_SOURCE', isTransient: true })
    } finally {
      held.release()
      await single.end()
    }
  })

  it('refuses work once it is closed, and leaves the pool open', async () => {
    const source = postgresSource({ pool })
    await source.close()
    expect(await errorOf(source.execute('SELECT 1'))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    expect((await pool.query('SELECT 1 AS one')).rows).to.deep.equal([{ one: 1 }])
  })

  it('pins the session again when a statement of the caller changed it', async () => {
    const single = new pg.Pool({ connectionString: url, max: 1 })
    try {
      const source = postgresSource({ pool: single })
      const values = async () => (await collect(source.query("SELECT 0.1::float8 + 0.2::float8 AS f, '\\x00ff'::bytea AS b"))).flatMap(batch => batch.toRows())
      const expected = [{ f: 0.30000000000000004, b: new Uint8Array([0, 255]) }]
      await source.execute('SET extra_float_digits = -3')
      expect(await values()).to.deep.equal(expected)
      await source.execute("SELECT pg_catalog.set_config('bytea_output', $1, false)", { params: ['escape'] })
      expect(await values()).to.deep.equal(expected)
      await collect(source.query("SELECT pg_catalog.set_config('extra_float_digits', '-3', false)"))
      expect(await values()).to.deep.equal(expected)
      expect(single.totalCount).to.equal(1)
    } finally {
      await single.end()
    }
  })

  it('reads a backslash in a literal as the grammar does that judges the statement', async () => {
    const single = new pg.Pool({ connectionString: url, max: 1, options: '-c standard_conforming_strings=off' })
    try {
      const source = postgresSource({ pool: single })
      const text = async (): Promise<unknown> => (await collect(source.query("SELECT 'a\\' AS x, ' LIMIT 1 -- ' AS y")))[0]!.toRows()[0]
      expect(await text()).to.deep.equal({ x: 'a\\', y: ' LIMIT 1 -- ' })
      await single.query('RESET ALL')
      expect(await text()).to.deep.equal({ x: 'a\\', y: ' LIMIT 1 -- ' })
    } finally {
      await single.end()
    }
  })

  it('pins the session again when someone else changed it', async () => {
    const single = new pg.Pool({ connectionString: url, max: 1 })
    try {
      const source = postgresSource({ pool: single })
      const text = async (): Promise<unknown> => (await collect(source.query("SELECT '1 day'::interval AS i, current_setting('TimeZone') AS zone")))[0]!.toRows()[0]
      expect(await text()).to.deep.equal({ i: 'P1D', zone: 'UTC' })
      await single.query("SET IntervalStyle TO 'postgres'; SET TimeZone TO 'Asia/Tokyo'")
      expect(await text()).to.deep.equal({ i: 'P1D', zone: 'UTC' })
      await single.query('DISCARD ALL')
      expect(await text()).to.deep.equal({ i: 'P1D', zone: 'UTC' })
    } finally {
      await single.end()
    }
  })
})
