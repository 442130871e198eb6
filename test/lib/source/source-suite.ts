import { join } from 'node:path'
import { expect } from 'chai'
import fc from 'fast-check'
import type { Row } from '../../../lib/batch/row-factory.js'
import type { RowBatch } from '../../../lib/batch/row-batch.js'
import { extractJsonValue } from '../../../lib/json/extract.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { CacheStore } from '../../../lib/store/cache.js'
import { formatTableName } from '../../../lib/store/table-name.js'
import { getData } from '../../../pipelines/get-data.js'
import { freshFolder } from '../../support/cache.js'
import { errorOf, fetchAll, requestOf } from '../../support/fetch-request.js'

/** One column type: what is declared, what is inserted, and what the documentation says comes out. */
export interface TypeCase {
  declared: string
  /** SQL of the value. */
  value: string
  type: string
  origin?: string
  cell: unknown
}

/** A database under test, and how it spells what the suite needs. */
export interface SuiteDatabase {
  source(options?: { batchRows?: number }): Source
  /** Runs a statement past the source. */
  run(sql: string): Promise<unknown>
  /** The schema that unqualified names mean. */
  schema: string
  quote(name: string): string
  /** Create `users (id, name)`, filled with ids from 1 to `rows` and names `n1` …: as statements. */
  fillUsers(rows: number): string[]
  bigint: string
  jsonType: string
  /** `?` or `$1`. */
  placeholder: string
  types: readonly TypeCase[]
  /** A text as a literal. */
  literal(text: string): string
  /** Schemas can be made, one per name. */
  hasSchemas: boolean
  close(): Promise<void>
}

async function rowsOf(batches: AsyncIterable<RowBatch>): Promise<Row[]> {
  const rows: Row[] = []
  for await (const batch of batches) rows.push(...batch.toRows())
  return rows
}

const KEYS = ['a', 'b', 'a.b', '', '0', '1', '-1', '01', '+0', ' 1', '2147483648', '__proto__', 'constructor', 'length', 'é', '"', '\\', '{', ',', 'NULL', '$1', "'", 'A', 'last', '*', '?', '[0]']
const key = fc.constantFrom(...KEYS)
const scalar = fc.oneof(fc.constantFrom(null, true, false, '', 'x', '0', 'é😀', '"q"', '\\', 'a\nb', '2024-01-01', '"a":'), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string())
const document = fc.letrec(tie => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map(entries => Object.fromEntries(entries)))
})).value
const path = fc.array(key, { minLength: 1, maxLength: 3 }).map(keys => keys.map(name => name.replaceAll(/[\\.]/g, match => `\\${match}`)).join('.'))

/** What every source must do, whatever database it is for. */
export function sourceSuite(title: string, open: () => Promise<SuiteDatabase>): void {
  describe(`${title} as a source`, function () {
    this.timeout(60_000)
    const ROWS = 15_000
    let database: SuiteDatabase
    let source: Source
    const folder = freshFolder()
    const table = (name: string): string => formatTableName({ schema: database.schema, table: name })

    before(async () => {
      database = await open()
      source = database.source()
      for (const statement of database.fillUsers(ROWS)) await database.run(statement)
    })
    after(() => database.close())

    it('fetches many sparse ids in one batch, and leaves out what is not there', async () => {
      const ids = Array.from({ length: 40_000 }, (_, i) => (i + 1) * 3).reverse()
      const rows = (await fetchAll(source, ids, table('users'), requestOf(['name']))).flatMap(batch => batch.toRows())
      expect(rows).to.have.length(ROWS / 3)
      expect(new Set(rows.map(row => row['id'])).size).to.equal(ROWS / 3)
      expect(rows.every(row => row['name'] === `n${String(row['id'])}`)).to.equal(true)
    })

    it('drops the rows of a dense range that were not asked for', async () => {
      const ids = Array.from({ length: 60 }, (_, i) => i + 10).filter(id => id % 3 !== 0)
      const batches = await fetchAll(database.source({ batchRows: 16 }), ids, table('users'), requestOf(['name']))
      expect(batches.flatMap(batch => batch.toRows()).map(row => row['id'])).to.have.members(ids)
      expect(batches.every(batch => batch.length > 0 && batch.length <= 16)).to.equal(true)
    })

    it('keeps ids beyond 2^53 exact, dense and sparse', async () => {
      await database.run(`CREATE TABLE wide (id ${database.bigint} PRIMARY KEY, v int)`)
      for (let i = 0n; i < 10n; i++) await database.run(`INSERT INTO wide VALUES (${9007199254740990n + i}, ${i})`)
      await database.run('INSERT INTO wide VALUES (-9223372036854775808, -1), (9223372036854775807, 99)')
      const dense = [9007199254740990, 9007199254740991, 9007199254740993n, 9007199254740994n]
      const rows = (await fetchAll(source, dense, table('wide'), requestOf(['v']))).flatMap(batch => batch.toRows())
      expect(rows).to.deep.equal([{ id: 9007199254740990, v: 0 }, { id: 9007199254740991, v: 1 }, { id: 9007199254740993n, v: 3 }, { id: 9007199254740994n, v: 4 }])
      const far = (await fetchAll(source, [-(2n ** 63n), 2n ** 63n - 1n], table('wide'), requestOf(['v']))).flatMap(batch => batch.toRows())
      expect(far.map(row => row['v'])).to.have.members([-1, 99])
      expect(await rowsOf(source.query(`SELECT v FROM wide WHERE id = ${database.placeholder}`, { params: [9007199254740993n] }))).to.deep.equal([{ v: 3 }])
    })

    it('names every missing column, and a missing table, and an id column that holds no integers', async () => {
      const columns = await errorOf(fetchAll(source, [1], table('users'), requestOf(['name', 'nope', 'meta.city'])))
      expect(columns).to.include({ code: 'ERR_COLUMN_NOT_FOUND', table: table('users') })
      expect((columns as unknown as { columns: string[] }).columns).to.deep.equal(['nope', 'meta.city'])
      const missing = await errorOf(fetchAll(source, [1], table('nobody'), requestOf(['name'])))
      expect(missing.message).to.contain(`no ${table('nobody')}`)
      expect((await errorOf(fetchAll(source, [1], table('users'), requestOf([], { idColumn: 'name' })))).message).to.contain('name of type')
    })

    it('quotes hostile names exactly as given', async () => {
      const names = ['a"b', 'a`b', "x'; DROP TABLE users; --", 'SELECT', 'ünï', 'a.b', '$1', '?', ':id', '@x', '[x]', '%s', '\\', 'line\nbreak', 'MiXeD', '/*']
      for (const [i, name] of names.entries()) {
        if (database.hasSchemas) await database.run(`CREATE SCHEMA ${database.quote(name)}`)
        const schema = database.hasSchemas ? name : database.schema
        const quoted = database.quote(name)
        const column = `${name}x`
        await database.run(`CREATE TABLE ${database.quote(schema)}.${quoted} (${quoted} int PRIMARY KEY, ${database.quote(column)} varchar(9))`)
        try {
          await database.run(`INSERT INTO ${database.quote(schema)}.${quoted} VALUES (${i}, 'v')`)
          const request = { ...requestOf([], { idColumn: name }), columns: [column], plain: [column] }
          const [batch] = await fetchAll(source, [i], formatTableName({ schema, table: name }), request)
          expect(batch!.toRows()).to.deep.equal([{ [name]: i, [column]: 'v' }])
          const sparse = await fetchAll(source, [i, i + 1000], formatTableName({ schema, table: name }), request)
          expect(sparse[0]!.toRows()).to.deep.equal([{ [name]: i, [column]: 'v' }])
        } finally {
          await database.run(database.hasSchemas ? `DROP TABLE ${database.quote(schema)}.${quoted}` : `DROP TABLE ${quoted}`)
          if (database.hasSchemas) await database.run(`DROP SCHEMA ${database.quote(schema)}`)
        }
      }
      expect(await rowsOf(source.query('SELECT id FROM users WHERE id < 3 ORDER BY id'))).to.have.length(2)
    })

    it('gives at a path what the client would extract, over random documents and paths', async () => {
      await database.run(`CREATE TABLE docs (id int PRIMARY KEY, j ${database.jsonType})`)
      await fc.assert(fc.asyncProperty(fc.array(document, { minLength: 1, maxLength: 12 }), fc.uniqueArray(path, { minLength: 1, maxLength: 5 }), async (documents, paths) => {
        const texts = documents.map(value => JSON.stringify(value)).filter(text => !/\\u0000|\\ud[89a-f]/i.test(text))
        await database.run('DELETE FROM docs')
        for (const [i, text] of texts.entries()) await database.run(`INSERT INTO docs VALUES (${i}, ${database.literal(text)})`)
        await database.run('INSERT INTO docs VALUES (1000, NULL)')
        await compare([...texts.entries(), [1000, null]], paths)
      }), { numRuns: 60, seed: 7 })
    })

    async function compare(stored: readonly (readonly [number, string | null])[], paths: readonly string[]): Promise<void> {
      const names = [...new Set(paths.map(one => `j.${one}`))]
      const fetched = (await fetchAll(source, stored.map(([id]) => id), table('docs'), requestOf(names))).flatMap(batch => batch.toRows())
      for (const [id, text] of stored) {
        const seen = fetched.find(row => row['id'] === id)!
        for (const name of names) {
          const expected = text === null ? null : extractJsonValue(text, name.slice(2))
          // a base column that came whole is the client's to take apart
          const value = name in seen ? seen[name] : seen['j'] === null ? null : extractJsonValue(JSON.stringify(seen['j']), name.slice(2))
          expect(value, `${name} of ${text}`).to.deep.equal(expected)
        }
      }
    }

    it('follows duplicate keys, escapes and odd spellings in json text as JSON.parse does, and does read paths on the server', async () => {
      const texts = ['{"a":{"b":1},"a":{}}', '{"a":{"b":1},"a":{"b":2}}', '{"a":1,"a":null}', '{"\\u0061":{"b":3}}', '{"a":{"b":4},"c":"\\"b\\""}', '{"a" : [ 1 , {"b":0} ], "n":-0}',
        '[{"b":1},2]', '"ab"', '7', 'null', '{"a":{"b":1.10}}', '{"a":{"b":12345678901234567890}}', '{"0":{"b":5}}', '{"a":{"1":{"b":6}}}', '{"A":{"b":7}}', '{"b":{"a":{"b":8}},"a":{"b":9}}']
      await database.run('DELETE FROM docs')
      for (const [i, text] of texts.entries()) await database.run(`INSERT INTO docs VALUES (${i}, ${database.literal(text)})`)
      await compare([...texts.entries()], ['a', 'a.b', '0', '0.b', 'a.1.b', 'n', 'b.a.b'])
      expect((await fetchAll(source, [1], table('docs'), requestOf(['j.a', 'j.a.b'])))[0]!.columnNames).to.deep.equal(['id', 'j.a', 'j.a.b'])
    })

    it('reads every type as documented, by id and by query, and null in all of them', async () => {
      const columns = database.types.map(({ declared }, i) => `c${i} ${declared}`)
      await database.run(`CREATE TABLE typed (id int PRIMARY KEY, ${columns.join(', ')})`)
      await database.run(`INSERT INTO typed VALUES (1, ${database.types.map(({ value }) => value).join(', ')})`)
      await database.run('INSERT INTO typed (id) VALUES (2)')
      const names = database.types.map((_, i) => `c${i}`)
      const fetched = await fetchAll(source, [1, 2], table('typed'), requestOf(names))
      const queried: RowBatch[] = []
      for await (const batch of source.query('SELECT * FROM typed ORDER BY id')) queried.push(batch)
      for (const [batch] of [fetched, queried]) {
        const rows = batch!.toRows().sort((a, b) => (a['id'] as number) - (b['id'] as number))
        for (const [i, { declared, type, origin, cell }] of database.types.entries()) {
          const field = batch!.schema.find(({ name }) => name === `c${i}`)!
          expect([declared, field.type, field.origin]).to.deep.equal([declared, type, origin])
          expect(rows[0]![`c${i}`], declared).to.deep.equal(cell)
          expect(rows[1]![`c${i}`] ?? null, `${declared} NULL`).to.equal(declared.includes('DEFAULT') || declared.includes('NOT NULL') ? rows[1]![`c${i}`] : null)
        }
      }
    })

    it('gives deeply equal rows from the source and from the cache', async () => {
      const cache = { store: new CacheStore({ dir: folder(), durability: 'none' }) }
      const columns = database.types.map((_, i) => `c${i}`)
      const request = { ids: [1, 2], columns, table: table('typed'), fetcher: source.fetch, cache }
      const cold = await getData(request)
      const warm = await getData(request)
      expect([cold.report.fetched, warm.report.fetched]).to.deep.equal([2, 0])
      expect(warm.toRows()).to.deep.equal(cold.toRows())
      expect(warm.schema).to.deep.equal(cold.schema)
      await cache.store.close()
    })

    it('streams a query in its own order and shape, an empty one with its columns', async () => {
      const lengths: number[] = []
      const rows: Row[] = []
      for await (const batch of source.query(`SELECT name, id FROM users WHERE id <= ${database.placeholder} ORDER BY id DESC`, { params: [20], batchRows: 10 })) {
        lengths.push(batch.length)
        rows.push(...batch.toRows())
      }
      expect(lengths).to.deep.equal([10, 10])
      expect(rows[0]).to.deep.equal({ name: 'n20', id: 20 })
      const empty: RowBatch[] = []
      for await (const batch of source.query('SELECT id, name FROM users WHERE 1 = 0')) empty.push(batch)
      expect(empty.map(batch => [batch.length, batch.columnNames])).to.deep.equal([[0, ['id', 'name']]])
    })

    it('refuses what rows cannot hold, several statements, and nonsense', async () => {
      expect(await errorOf(rowsOf(source.query('SELECT 1 AS a, 2 AS a')))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      expect((await errorOf(rowsOf(source.query(`SELECT 1 AS ${database.quote('__proto__')}`)))).message).to.contain('__proto__')
      await errorOf(rowsOf(source.query('SELECT 1 AS a; SELECT 2 AS b')))
      expect(await errorOf(rowsOf(source.query('SELEC 1')))).to.include({ code: 'ERR_SOURCE', isTransient: false })
      expect(await errorOf(rowsOf(source.query('  ')))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
      await errorOf(rowsOf(source.query(`SELECT id FROM users WHERE id = ${database.placeholder}`)))
      expect(await errorOf(rowsOf(source.query(`SELECT id FROM users WHERE name = ${database.placeholder}`, { params: [new Date(NaN)] })))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    })

    it('executes statements and counts their rows', async () => {
      await source.execute('CREATE TABLE counted (v int)')
      expect(await source.execute(`INSERT INTO counted VALUES (1), (2), (${database.placeholder})`, { params: [3] })).to.equal(3)
      expect(await source.execute('UPDATE counted SET v = v + 1 WHERE v > 1')).to.equal(2)
      expect(await source.execute('SELECT v FROM counted')).to.equal(3)
      expect(await source.execute('DELETE FROM counted')).to.equal(3)
      expect(await errorOf(source.execute('INSERT INTO nowhere VALUES (1)'))).to.include({ code: 'ERR_SOURCE' })
    })

    it('sends views of memory as the bytes they are of', async () => {
      const { declared } = database.types.find(({ type }) => type === 'bytes')!
      await source.execute(`CREATE TABLE viewed (v ${declared})`)
      const memory = Uint8Array.of(9, 1, 2, 3, 4, 9, 9, 9).buffer
      for (const view of [new DataView(memory, 1, 4), Uint16Array.of(258, 772), new Float64Array([1]), new Uint8Array(memory, 1, 4), memory]) {
        await source.execute('DELETE FROM viewed')
        await source.execute(`INSERT INTO viewed VALUES (${database.placeholder})`, { params: [view] })
        const expected = ArrayBuffer.isView(view) ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view)
        expect(await rowsOf(source.query('SELECT v FROM viewed')), view.constructor.name).to.deep.equal([{ v: expected }])
      }
    })

    it('works on after breaks, errors of the reader and aborts, as often as it likes', async () => {
      const narrow = database.source({ batchRows: 100 })
      const boom = new Error('boom')
      for (let round = 0; round < 30; round++) {
        const abort = new AbortController()
        const reading = (async () => {
          for await (const batch of narrow.query('SELECT * FROM users', { signal: abort.signal })) {
            if (round % 3 === 0 && batch.length > 0) break
            if (round % 3 === 1) throw boom
            abort.abort(boom)
          }
        })()
        if (round % 3 === 0) await reading
        else if (round % 3 === 1) expect(await errorOf(reading)).to.equal(boom)
        else expect(await errorOf(reading)).to.include({ name: 'AbortError', cause: boom })
      }
      expect(await rowsOf(narrow.query('SELECT 1 AS one'))).to.deep.equal([{ one: 1 }])
      const early = await errorOf(rowsOf(narrow.query('SELECT 1 AS one', { signal: AbortSignal.abort(boom) })))
      expect(early).to.include({ name: 'AbortError', cause: boom })
      const fetching = fetchAll(narrow, [1, 2], table('users'), requestOf(['name'], { signal: AbortSignal.abort(boom) }))
      expect(await errorOf(fetching)).to.include({ name: 'AbortError' })
    })

    it('shows one unchanging, read-only view in a snapshot', async () => {
      await database.run('CREATE TABLE moving (id int PRIMARY KEY, v int)')
      await database.run('INSERT INTO moving VALUES (1, 1)')
      const snapshot = await source.snapshot!()
      const seen = (): Promise<Row[]> => rowsOf(snapshot.query('SELECT id, v FROM moving ORDER BY id'))
      try {
        expect((await snapshot.describe('SELECT id, v FROM moving', [])).map(({ name }) => name)).to.deep.equal(['id', 'v'])
        expect(await seen()).to.deep.equal([{ id: 1, v: 1 }])
        await database.run('INSERT INTO moving VALUES (2, 2)')
        expect(await seen()).to.deep.equal([{ id: 1, v: 1 }])
        await errorOf(rowsOf(snapshot.query('DELETE FROM moving')))
      } finally {
        await snapshot.close()
      }
      expect(await rowsOf(source.query('SELECT id FROM moving ORDER BY id'))).to.deep.equal([{ id: 1 }, { id: 2 }])
    })

    it('says that its fetch waits for no other call', () => {
      expect(source.fetch.isLeaf).to.equal(true)
    })

    it('gives the same rows to a request, through a fetcher that wraps its own, and to whoever calls it', async () => {
      const ids = [...Array.from({ length: 300 }, (_, i) => i * 2 + 1), 40_000]
      const calls: unknown[] = []
      const wrapped = Object.assign((...given: Parameters<typeof source.fetch>) => {
        calls.push(given[0])
        return source.fetch(...given)
      }, { ...source.fetch })
      const request = { ids, columns: ['name'], table: table('users'), onMissing: 'skip' } as const
      const own = await getData({ ...request, fetcher: source.fetch, cacheDir: join(folder(), 'own') })
      const through = await getData({ ...request, fetcher: wrapped, cacheDir: join(folder(), 'through') })
      expect(own.toRows()).to.deep.equal(through.toRows()).and.to.have.length(300)
      expect(calls).to.deep.equal([0, 100, 200, 300].map(from => ids.slice(from, from + 100)))
      const direct = (await fetchAll(source, [...ids.slice(0, 50), ...ids].reverse(), table('users'), requestOf(['name']))).flatMap(batch => batch.toRows())
      expect(direct.sort((a, b) => (a['id'] as number) - (b['id'] as number))).to.deep.equal(own.toRows())
    })

    it('takes one id as a number and as a bigint for the same', async () => {
      for (const ids of [[3, 3n, 50_000], [1, 1n, 3], [3n, 2, 2n, 3]]) {
        const rows = (await fetchAll(source, ids, table('users'), requestOf(['name']))).flatMap(batch => batch.toRows())
        expect(rows.map(row => row['id']).sort()).to.deep.equal([...new Set(ids.map(Number))].filter(id => id <= ROWS).sort())
      }
    })

    it('names what is no id', async () => {
       
      expect(await errorOf(fetchAll(source, [1, , 3] as number[], table('users'), requestOf(['name'])))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'ids[1]' })
      for (const [bad, shown] of [['7', '"7"'], [1.5, '1.5'], [null, 'null'], [2n ** 63n, String(2n ** 63n)]] as const) {
        const error = await errorOf(fetchAll(source, [1, bad as unknown as number], table('users'), requestOf(['name'])))
        expect(error).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'ids[1]' })
        expect(error.message).to.contain(shown)
      }
    })

    it('refuses work once it is closed', async () => {
      const closing = database.source()
      await closing.close()
      expect(await errorOf(closing.execute('SELECT 1'))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    })
  })
}
