// needs: postgres
import { deepStrictEqual } from 'node:assert'
import { expect } from 'chai'
import pg from 'pg'
import type { Id } from '../../../lib/batch/ids.js'
import type { RowBatch } from '../../../lib/batch/row-batch.js'
import type { FetchRequest } from '../../../lib/source/fetcher.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { columnsOf, createCases, expectedRows, type Case } from '../../types/postgres-cases.js'
import { fetchAll, requestOf } from '../../support/fetch-request.js'
import { testDatabase } from '../../support/postgres.js'

/** What a batch says and holds, whatever form its vectors have. */
const contentsOf = (batches: readonly RowBatch[]): unknown => batches.map(batch => ({ schema: batch.schema, rows: batch.toRows(),
  columns: batch.schema.map(field => batch.column(field.name)) }))

describe('postgresSource by COPY', function () {
  this.timeout(30_000)
  let pool: pg.Pool
  let drop: () => Promise<void>
  let cases: readonly Case[]

  before(async () => {
    const database = await testDatabase()
    drop = database.drop
    pool = new pg.Pool({ connectionString: database.url, max: 3 })
    // its clients may still be closing when the database is dropped by force
    pool.on('error', () => undefined)
    cases = await createCases(pool)
  })
  after(async () => {
    await pool.end()
    await drop()
  })

  /** The pool, noting what its clients send as simple queries. */
  function spied(sent: string[]): { options: object, connect(): Promise<pg.PoolClient> } {
    return { options: pool.options, connect: async () => {
      const client = await pool.connect()
      const { connection } = client as unknown as { connection: { query(text: string): void } }
      connection.query = text => {
        sent.push(text)
        Object.getPrototypeOf(connection).query.call(connection, text)
      }
      return client
    } }
  }

  /** Both ways, each of which must have been taken. */
  async function both(ids: readonly Id[], table: string, request: FetchRequest, { copies = true, batchRows = 8192 } = {}): Promise<RowBatch[]> {
    const sent: string[] = []
    const copied = await fetchAll(postgresSource({ pool: spied(sent), copy: true, batchRows }), ids, table, request)
    expect(sent.some(text => text.includes('; COPY (')), sent.join('\n')).to.equal(copies)
    deepStrictEqual(contentsOf(copied), contentsOf(await fetchAll(postgresSource({ pool, copy: false, batchRows }), ids, table, request)))
    return copied
  }

  it('gives every type as the cursor does, together and row by row', async () => {
    const rows = expectedRows(cases)
    const ids = rows.map(row => row['id'] as number)
    const columns = columnsOf(cases)
    const batches = await both(ids, 'public.t', requestOf(columns))
    deepStrictEqual(batches.flatMap(batch => batch.toRows()), rows)
    for (const id of ids) await both([id], 'public.t', requestOf(columns))
    // declared types, all of them: then the server's text decides
    const columnTypes = Object.fromEntries(columns.map(name => [name, 'text' as const]))
    await both(ids, 'public.t', { ...requestOf(columns), columnTypes })
  })

  it('reads numbers of every length and scale, and every kind of text', async () => {
    await pool.query(`CREATE TABLE numbers (id int PRIMARY KEY, n numeric, d numeric(38,10), t text, b bytea, f float8, w timestamptz);
      SELECT setseed(0.5);
      INSERT INTO numbers SELECT i, CASE WHEN i % 11 <> 0 THEN round((random() - 0.5)::numeric * (10::numeric ^ (i % 40 - 20)), i % 30) END,
        round((random() - 0.5)::numeric * (10::numeric ^ (i % 28)), 10), CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN repeat('ü😀x', i % 90) ELSE 'a' || i END,
        CASE WHEN i % 3 <> 0 THEN decode(md5(i::text), 'hex') END, random() * 10 ^ (i % 300 - 150), '1970-01-01'::timestamptz + (i - 500) * interval '1.000001 s'
        FROM generate_series(1, 1000) i`)
    const columns = ['n', 'd', 't', 'b', 'f', 'w']
    await both(Array.from({ length: 1000 }, (_, i) => i + 1), 'public.numbers', requestOf(columns), { batchRows: 64 })
    const odd = Array.from({ length: 600 }, (_, i) => i + 1).filter(id => id % 3 !== 0)
    const dense = await both(odd, 'public.numbers', requestOf(columns), { batchRows: 64 })
    expect(dense.flatMap(batch => batch.toRows()).map(row => row['id'])).to.have.members(odd)
    await both([1, 500, 999, 5000], 'public.numbers', requestOf(columns))
    expect(await both([5000], 'public.numbers', requestOf(columns))).to.deep.equal([])
  })

  it('reads paths as the cursor does, and leaves those to it whose keys need a parameter', async () => {
    await pool.query(`CREATE TABLE docs (id int PRIMARY KEY, b jsonb, j json);
      INSERT INTO docs SELECT i, d::jsonb, d::json FROM unnest(ARRAY['{"a":{"c":"x"}}', '{"a":{"c":null}}', NULL, '{"a":{"c":"q\\"\\u00e9"}}', '{"a":{"c":1.50}}', '{"a":{"c":["x"]}}', '{"a":{}}',
        '{"straße":"ü"}', '{"a":{"c":"null"}}', '{"a b":7}']) WITH ORDINALITY AS u (d, i)`)
    const paths = ['b.a.c', 'j.a.c', 'b.straße', 'j.straße', 'b.a', 'b.none']
    const ids = Array.from({ length: 10 }, (_, i) => i + 1)
    await both(ids, 'public.docs', requestOf(paths))
    for (const some of [[1], [1, 2], [1, 3], [2, 3], [1, 9], [1, 4], [5], [1, 5], [6], [8]]) await both(some, 'public.docs', requestOf(paths))
    await both(ids, 'public.docs', requestOf(["b.a b", "b.it's"]), { copies: false })
  })

  it('numbers texts that repeat, and spells out the others', async () => {
    await pool.query(`CREATE TYPE temper AS ENUM ('sad', 'glad');
      CREATE TABLE repeats (id int PRIMARY KEY, few text, mood temper, own text, half text, large text, d jsonb);
      INSERT INTO repeats SELECT i, CASE i % 7 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'ü😀' WHEN 3 THEN repeat('x', 300) ELSE 'few ' || i % 50 END,
        CASE WHEN i % 3 = 0 THEN 'sad'::temper ELSE 'glad' END, 'own ' || i, CASE WHEN i % 2 = 0 THEN 'half' ELSE 'own ' || i END,
        CASE WHEN i % 10 = 0 THEN repeat(i::text, 1500) ELSE 'small' END,
        jsonb_build_object('city', CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN 'null' WHEN 2 THEN '' ELSE 'é' || i % 40 END, 'quoted', CASE WHEN i % 2 = 0 THEN 'a' ELSE 'a"b' END,
          'mixed', CASE WHEN i % 2 = 0 THEN '"a"'::jsonb ELSE '7' END, 'nothing', NULL, 'whole', CASE WHEN i % 4 = 0 THEN '"x"'::jsonb ELSE '"y"' END)
        FROM generate_series(1, 3000) i`)
    const columns = ['few', 'mood', 'own', 'half', 'large', 'd.city', 'd.quoted', 'd.mixed', 'd.nothing', 'd.whole', 'd.none']
    const [first] = await both(Array.from({ length: 3000 }, (_, i) => i + 1), 'public.repeats', requestOf(columns), { batchRows: 2048 })
    expect(first!.vectors.filter(({ type, form }) => type === 'text' && form === 'dictionary')).to.have.length(4)
    for (const [name, form] of Object.entries({ few: 'dictionary', mood: 'dictionary', own: 'bytes', half: 'bytes', large: 'bytes', 'd.city': 'dictionary', 'd.whole': 'dictionary' })) {
      expect(first!.vector(name)?.form, name).to.equal(form)
    }
  })

  it('asks with ids of every integer type, by range and by array', async () => {
    for (const [type, low, high] of [['smallint', -32768n, 32767n], ['integer', -2147483648n, 2147483647n], ['bigint', -(2n ** 63n), 2n ** 63n - 1n], ['oid', 0n, 4294967295n]] as const) {
      await pool.query(`CREATE TABLE ids_${type} (id ${type} PRIMARY KEY, v int); INSERT INTO ids_${type} VALUES ('${low}', 1), ('${low + 1n}', 2), ('${high - 1n}', 3), ('${high}', 4)`)
      const id = (value: bigint): Id => Number.isSafeInteger(Number(value)) ? Number(value) : value
      for (const ids of [[low, low + 1n], [high - 1n, high], [low, high], [low + 1n]]) {
        const batches = await both(ids.map(id), `public.ids_${type}`, requestOf(['v']))
        expect(batches.flatMap(batch => batch.toRows())).to.have.length(ids.length)
      }
    }
  })

  it('reads views, partitions, generated columns, tables with rules and what row security leaves', async () => {
    await pool.query(`CREATE TABLE whole (id int, v text, g int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id);
      CREATE TABLE whole_1 PARTITION OF whole FOR VALUES FROM (0) TO (50); CREATE TABLE whole_2 PARTITION OF whole FOR VALUES FROM (50) TO (1000);
      INSERT INTO whole SELECT i, 'v' || i FROM generate_series(1, 100) i; CREATE INDEX ON whole (id);
      CREATE VIEW evens AS SELECT id, v, g FROM whole WHERE id % 2 = 0; CREATE MATERIALIZED VIEW kept AS SELECT * FROM whole;
      CREATE TABLE ruled (id int PRIMARY KEY, v text, g int); INSERT INTO ruled SELECT * FROM whole;
      CREATE RULE r AS ON INSERT TO ruled DO ALSO UPDATE ruled SET v = 'x';
      CREATE TABLE secret (id int PRIMARY KEY, v text, g int); INSERT INTO secret SELECT * FROM whole; ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
      ALTER TABLE secret FORCE ROW LEVEL SECURITY; CREATE POLICY p ON secret USING (id > 90)`)
    for (const table of ['whole', 'evens', 'kept', 'ruled', 'secret']) {
      for (const ids of [Array.from({ length: 100 }, (_, i) => i + 1), [2, 48, 52, 96]]) expect(await both(ids, `public.${table}`, requestOf(['v', 'g'])), table).to.have.length(1)
    }
  })

  it('follows a table that is altered between fetches, types of equal size included', async () => {
    await pool.query("CREATE TABLE alters (id int PRIMARY KEY, v timestamp, w text); INSERT INTO alters VALUES (1, '2024-01-01 00:00:00', 'ff')")
    const source = postgresSource({ pool, copy: true })
    const types = async (): Promise<string[]> => (await fetchAll(source, [1], 'public.alters', requestOf(['v', 'w'])))[0]!.schema.map(field => field.type)
    expect(await types()).to.deep.equal(['int64', 'timestamp', 'text'])
    await pool.query("ALTER TABLE alters ALTER v TYPE bigint USING 5, ALTER w TYPE bytea USING decode(w, 'hex')")
    expect(await types()).to.deep.equal(['int64', 'int64', 'bytes'])
    await pool.query('ALTER TABLE alters ALTER v TYPE date USING current_date, ALTER id TYPE bigint')
    expect(await types()).to.deep.equal(['int64', 'date', 'bytes'])
    await pool.query('ALTER TABLE alters DROP w')
    expect(await types().then(() => undefined, (error: unknown) => error)).to.include({ code: 'ERR_COLUMN_NOT_FOUND' })
  })

  it('refuses a number that a column cannot hold, in the words of the cursor', async () => {
    await pool.query("CREATE TABLE nan (id int PRIMARY KEY, n numeric(5,2)); INSERT INTO nan VALUES (1, 'NaN')")
    const messages = await Promise.all([true, false].map(copy => fetchAll(postgresSource({ pool, copy }), [1], 'public.nan', requestOf(['n'])).then(() => '', (error: unknown) => (error as Error).message)))
    expect(messages[0]).to.match(/n.*NaN.*decimal\(5,2\).*columnTypes/)
    expect(messages[1]).to.equal(messages[0])
    expect(pool.idleCount).to.equal(pool.totalCount)
  })

  it('refuses a timestamp that a column cannot hold, in the words of the cursor', async () => {
    await pool.query(`CREATE TABLE far (id int PRIMARY KEY, t timestamp, z timestamptz);
      INSERT INTO far VALUES (1, '294247-01-10 04:00:54.775806', 'infinity'), (2, '294247-01-10 04:00:54.775808', NULL), (3, NULL, '294276-12-31 23:59:59.999999+00')`)
    expect((await both([1], 'public.far', requestOf(['t', 'z'])))[0]!.toRows()).to.deep.equal([{ id: 1, t: '294247-01-10 04:00:54.775806', z: 'infinity' }])
    for (const [id, reason] of [[2, /t.*294247-01-10 04:00:54.775808".*timestamp.*columnTypes/], [3, /z.*294276-12-31 23:59:59.999999\+00".*timestamptz.*columnTypes/]] as const) {
      const messages = await Promise.all([true, false].map(copy => fetchAll(postgresSource({ pool, copy }), [id], 'public.far', requestOf(['t', 'z'])).then(() => '', (error: unknown) => (error as Error).message)))
      expect(messages[0]).to.match(reason)
      expect(messages[1]).to.equal(messages[0])
    }
  })

  it('is what dense ids are fetched by unless told otherwise, and scattered ones are not', async () => {
    const sent: string[] = []
    const source = postgresSource({ pool: spied(sent) })
    const copies = async (ids: number[]): Promise<number> => {
      sent.length = 0
      expect(await fetchAll(source, ids, 'public.numbers', requestOf(['t']))).to.have.length(1)
      return sent.filter(text => text.includes('COPY')).length
    }
    expect(await copies([1, 2, 3])).to.equal(1)
    expect(await copies([1, 500])).to.equal(0)
  })

  it('takes no other option than the three', () => {
    expect(() => postgresSource({ pool, copy: 'yes' as never })).to.throw("'auto', true or false")
  })
})
