// needs: postgres
import { expect } from 'chai'
import fc from 'fast-check'
import pg from 'pg'
import { extractJsonValue } from '../../../lib/json/extract.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { testDatabase } from '../../support/postgres.js'
import { fetchAll, requestOf } from '../../support/fetch-request.js'

const KEYS = ['a', 'b', 'a.b', '', '0', '1', '-1', '01', '+0', ' 1', '2147483648', '4294967295', '__proto__', 'constructor', 'length', 'é', '"', '\\', '{', ',', 'NULL', '$1', "'"]
const key = fc.constantFrom(...KEYS)
const scalar = fc.oneof(fc.constantFrom(null, true, false, '', 'x', '0', 'é😀', '"q"', '\\', 'a\nb', '2024-01-01'), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string())
const document = fc.letrec(tie => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map(entries => Object.fromEntries(entries))),
})).value
const escaped = (name: string): string => name.replaceAll(/[\\.]/g, match => `\\${match}`)
const path = fc.array(key, { minLength: 1, maxLength: 3 }).map(keys => keys.map(escaped).join('.'))

/** What the client would find in the whole document, as the server stores it. */
const clientSide = (text: string | null, name: string): unknown => text === null ? null : extractJsonValue(text, name.slice(name.indexOf('.') + 1))

describe('postgresSource JSON projection', function () {
  this.timeout(60_000)
  let pool: pg.Pool
  let drop: () => Promise<void>

  before(async () => {
    const database = await testDatabase()
    drop = database.drop
    pool = new pg.Pool({ connectionString: database.url, max: 2 })
    await pool.query('CREATE TABLE docs (id int PRIMARY KEY, b jsonb, j json, t text)')
  })
  after(async () => {
    await pool.end()
    await drop()
  })

  async function compare(paths: readonly string[]): Promise<void> {
    const source = postgresSource({ pool })
    const names = paths.flatMap(one => ['b', 'j'].map(column => `${column}.${one}`))
    const { rows } = await pool.query('SELECT id, b::text AS b, j::text AS j FROM docs ORDER BY id')
    const stored = rows as { id: number, b: string | null, j: string | null }[]
    const fetched = (await fetchAll(source, stored.map(row => row.id), 'public.docs', requestOf([...new Set(names)]))).flatMap(batch => batch.toRows())
    for (const row of stored) {
      const seen = fetched.find(one => one['id'] === row.id)!
      for (const name of names) {
        const column = name[0] as 'b' | 'j'
        // a base column that came whole is the client's to take apart
        const value = name in seen ? seen[name] : clientSide(row[column], name)
        expect(value, `${name} of ${row[column]}`).to.deep.equal(clientSide(row[column], name))
        if (!(name in seen)) expect(seen).to.have.property(column)
      }
    }
  }

  it('gives what the client would extract, over random documents and paths', async () => {
    await fc.assert(fc.asyncProperty(fc.array(document, { minLength: 1, maxLength: 12 }), fc.uniqueArray(path, { minLength: 1, maxLength: 5 }), async (documents, paths) => {
      // jsonb refuses NUL and lone surrogates; both are tested below
      const texts = documents.map(value => JSON.stringify(value)).filter(text => !/\\u0000|\\ud[89a-f]/i.test(text))
      await pool.query('TRUNCATE docs')
      await pool.query('INSERT INTO docs SELECT o, d::jsonb, d::json FROM unnest($1::text[]) WITH ORDINALITY AS u (d, o)', [texts])
      await compare(paths)
    }), { numRuns: 120, seed: 7 })
  })

  it('follows duplicate keys, escapes, NUL characters and lone surrogates in json text as JSON.parse does', async () => {
    await pool.query('TRUNCATE docs')
    const texts = ['{"a":{"b":1},"a":{}}', '{"a":{"b":1},"a":{"b":2}}', '{"a":1,"a":null}', '{"\\u0061":{"b":3}}', '{"a":{"b":"x\\u0000y"},"c":1}',
      '{"a":{"b":4},"c":"\\ud800"}', '{"a" : [ 1 , {"b":0} ], "n":-0}', '[{"b":1},2]', '"ab"', '7', 'null', '{"a":{"b":12345678901234567890}}', '{"a":{"b":1e400}}', '{"a":{"b":1.10}}']
    await pool.query('INSERT INTO docs (id, j) SELECT o, d::json FROM unnest($1::text[]) WITH ORDINALITY AS u (d, o)', [texts])
    await pool.query('INSERT INTO docs (id) VALUES (1000)')
    await compare(['a', 'a.b', 'c.d', '0', '0.b', 'a.1.b', 'n', 'length'])
  })

  it('does not fetch the base column that only carries paths, and fetches it where the server would read the path otherwise', async () => {
    await pool.query('TRUNCATE docs')
    await pool.query(`INSERT INTO docs VALUES (1, '{"a":[1,2]}', '{"a":[1,2]}', '{"a":[1,2]}')`)
    const source = postgresSource({ pool })
    const columns = async (...names: string[]): Promise<string[]> => (await fetchAll(source, [1], 'public.docs', requestOf(names)))[0]!.columnNames
    expect(await columns('b.a', 'j.a')).to.deep.equal(['id', 'b.a', 'j.a'])
    expect(await columns('b', 'b.a')).to.deep.equal(['id', 'b'])
    expect(await columns('b.a.-1', 'b.a')).to.deep.equal(['id', 'b'])
    expect(await columns('t.a')).to.deep.equal(['id', 't'])
  })

  it('types a dotted column by its values, and as json once they differ', async () => {
    await pool.query('TRUNCATE docs')
    await pool.query(`INSERT INTO docs (id, b) VALUES (1, '{"n":1,"m":1,"f":1,"s":"x"}'), (2, '{"n":2,"m":"x","f":1.5}'), (3, '{"n":null,"m":[1]}')`)
    const source = postgresSource({ pool })
    const [batch] = await fetchAll(source, [1, 2, 3], 'public.docs', requestOf(['b.n', 'b.m', 'b.f', 'b.s', 'b.none']))
    expect(batch!.schema.map(field => field.type)).to.deep.equal(['int64', 'int64', 'json', 'float64', 'text', 'null'])
    expect(batch!.toRows()).to.deep.equal([{ id: 1, 'b.n': 1, 'b.m': 1, 'b.f': 1, 'b.s': 'x', 'b.none': null },
      { id: 2, 'b.n': 2, 'b.m': 'x', 'b.f': 1.5, 'b.s': null, 'b.none': null }, { id: 3, 'b.n': null, 'b.m': [1], 'b.f': null, 'b.s': null, 'b.none': null }])
  })
})
