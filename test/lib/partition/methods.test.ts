// needs: postgres
import { expect } from 'chai'
import type pg from 'pg'
import { InvalidArgumentError } from '../../../lib/errors.js'
import { applyCache } from '../../../lib/partition/apply.js'
import { createCache } from '../../../lib/partition/create-cache.js'
import type { PartitionCache } from '../../../lib/partition/cache.js'
import type { Datatype } from '../../../lib/partition/key-types.js'
import { NARROWING_METHODS, narrowQuery } from '../../../lib/partition/narrow.js'
import { populate } from '../../../lib/partition/populate.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { lawDatabase, rowsOf } from './narrowing-law.js'

/** Keys of each type, the awkward ones among them, as SQL. */
const KEYS: readonly (readonly [type: string, datatype: Datatype, keys: readonly string[]])[] = [
  ['int2', 'integer', ['0', '1', '-3', '32767']],
  ['int8', 'integer', ['0', '9007199254740993', '-5', '9223372036854775807']],
  ['float4', 'float', ['0.1', '-2.5', "'NaN'", "'Infinity'", '7']],
  ['float8', 'float', ['0.1', '1e300', "'NaN'", "'-Infinity'", '-0.0']],
  ['numeric', 'float', ['0.10', '1.50', '7', '-2']],
  ['text', 'text', ["''", "'it''s'", "E'back\\\\slash'", "'{a,\"b\"}'", "'NULL'", "E'two\\nlines'", "'é'"]],
  ['char(5)', 'text', ["'n'", "'south'", "'it''s'"]],
  ['timestamp', 'timestamp', ["'2024-01-01'", "'2024-01-01 00:00:00.000001'", "'infinity'", "'0044-03-15 BC'"]],
  ['timestamptz', 'timestamp', ["'2024-01-01 00:00+00'", "'2024-07-01 12:00:00.5+02'", "'-infinity'"]],
  ['date', 'timestamp', ["'2024-02-29'", "'1999-12-31'", "'infinity'", "'0044-03-15 BC'", "'12024-01-01'"]],
]
/** Types that compare, a key that both hold, and one that only the second holds. */
const PAIRS: readonly (readonly [narrow: string, wide: string, datatype: Datatype, shared: string, beyond: string])[] = [
  ['int2', 'int4', 'integer', '7', '40000'], ['int4', 'int8', 'integer', '7', '1099511627776'], ['int4', 'int8', 'text', '7', '1099511627776'],
  ['float4', 'float8', 'float', '1.5', '1e100'], ['float4', 'float8', 'float', '0.1::float4', '1e-60'], ['int4', 'float8', 'float', '2', '2.5'], ['float8', 'float4', 'float', '0.1::float4', '2.5'],
  ['varchar(3)', 'text', 'text', "'abc'", "'abcdef'"], ['char(3)', 'char(6)', 'text', "'abc'", "'abcdef'"], ['numeric(3, 1)', 'numeric', 'float', '1.5', '1000.25'],
  ['date', 'timestamp', 'timestamp', "'2024-01-01'", "'2024-01-01 10:00'"],
]
/** Types that are kept as texts, which PostgreSQL does not compare with the type itself. */
const AS_TEXT: readonly (readonly [type: string, keys: readonly string[]])[] = [['uuid', ["'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"]], ['bool', ['true', 'false']]]

describe('the ways to narrow', function () {
  this.timeout(60_000)
  let pool: pg.Pool
  let client: pg.Client
  let source: Source
  let end: () => Promise<void>

  before(async () => { ({ pool, client, source, end } = await lawDatabase()) })
  after(() => end())

  async function fill(name: string, type: string, datatype: Datatype, keys: readonly string[]): Promise<PartitionCache> {
    const rows = keys.flatMap((key, i) => [`(${key}, ${i % 2})`, `(${key}, 2)`])
    await client.query(`CREATE TABLE ${name} (k ${type}, x int); INSERT INTO ${name} VALUES ${rows.join(', ')}, (NULL, 1)`)
    const cache = await createCache('postgresql_array', 'k', datatype, { pool, tablePrefix: name })
    await populate(`SELECT * FROM ${name} WHERE x = 1`, { source, cache })
    return cache
  }

  for (const [i, [type, datatype, keys]] of KEYS.entries()) {
    it(`keep the rows of ${type} keys, whatever is in them`, async () => {
      const cache = await fill(`t${i}`, type, datatype, keys)
      const query = `SELECT * FROM t${i} WHERE x = 1`
      const expected = await rowsOf(client, query)
      for (const nullKeys of ['keep', 'none'] as const) {
        const wanted = nullKeys === 'keep' ? expected : await rowsOf(client, `${query} AND k IS NOT NULL`)
        for (const method of NARROWING_METHODS) {
          for (const lazy of method === 'IN_SUBQUERY' ? [true] : method.startsWith('TMP') ? [false, true] : [false]) {
            const { sql, statements, stats } = await applyCache(query, { cache, method, lazy, nullKeys, source })
            expect(stats.narrowed, stats.reason).to.equal(true)
            for (const statement of statements) await client.query(statement)
            expect(await rowsOf(client, sql), `${method}${lazy ? ', lazy' : ''}: ${sql}`).to.deep.equal(wanted)
          }
        }
      }
      await cache.close()
    })
  }

  for (const [type, keys] of AS_TEXT) {
    it(`keep the rows of ${type} keys; what PostgreSQL would not compare is left alone`, async () => {
      const cache = await fill(`t_${type}`, type, 'text', keys)
      const query = `SELECT * FROM t_${type} WHERE x = 1`
      for (const lazy of [false, true]) {
        const { sql, stats } = await applyCache(query, { cache, lazy, source })
        expect(stats.narrowed).to.equal(!lazy)
        expect(await rowsOf(client, sql)).to.deep.equal(await rowsOf(client, query))
      }
      await cache.close()
    })
  }

  for (const [i, [narrow, wide, datatype, shared, beyond]] of PAIRS.entries()) {
    it(`keep the rows of ${narrow} where the set is of ${wide}, kept as ${datatype}: ${beyond}`, async () => {
      const cache = await fill(`wide${i}`, wide, datatype, [shared])
      await client.query(`INSERT INTO wide${i} VALUES (${beyond}, 3), (${shared}, 3); CREATE TABLE narrow${i} (k ${narrow} NOT NULL); INSERT INTO narrow${i} VALUES (${shared})`)
      await populate(`SELECT * FROM wide${i} WHERE x = 3`, { source, cache })
      const query = `SELECT * FROM narrow${i} a, wide${i} b WHERE a.k = b.k AND b.x = 3`
      const expected = await rowsOf(client, query)
      expect(expected).to.have.length(1)
      for (const asked of [{ source }, {}]) {
        for (const method of NARROWING_METHODS) {
          for (const lazy of method === 'IN_SUBQUERY' ? [true] : method.startsWith('TMP') ? [false, true] : [false]) {
            if (lazy && (datatype === 'text' ? narrow === 'int4' : datatype === 'timestamp' && !('source' in asked))) continue
            const { sql, statements, stats } = await applyCache(query, { cache, method, lazy, ...asked })
            expect(stats.narrowed, stats.reason).to.equal(true)
            for (const statement of statements) await client.query(statement)
            expect(await rowsOf(client, sql), `${method}${lazy ? ', lazy' : ''}: ${sql}`).to.deep.equal(expected)
          }
        }
      }
      await cache.close()
    })
  }

  it('keep a row once where two keys are one value of its column', async () => {
    await client.query("CREATE TABLE days (k date NOT NULL, x int); INSERT INTO days VALUES ('2024-01-01', 1)")
    const query = 'SELECT * FROM days WHERE x = 1'
    const keys = [new Date('2024-01-01T00:00:00Z'), new Date('2024-01-01T10:00:00Z')]
    for (const method of NARROWING_METHODS) {
      const { sql, statements } = narrowQuery(query, { partitionKey: 'k', nullKeys: 'none', method, ...(method === 'IN_SUBQUERY' ? { subquery: "VALUES (date '2024-01-01')" } : { keys }) })
      for (const statement of statements) await client.query(statement)
      expect(await rowsOf(client, sql), method).to.deep.equal(await rowsOf(client, query))
    }
  })

  it('leave lazily alone what may be a timestamptz, as another session would take its keys for other moments', async () => {
    const cache = await fill('zoned', 'timestamptz', 'timestamp', ["'2024-01-01 00:00+00'", "'2024-01-02 00:00+00'"])
    await client.query("SET TIME ZONE 'Asia/Tokyo'")
    const query = 'SELECT * FROM zoned WHERE x = 1'
    for (const method of ['IN_SUBQUERY', 'TMP_TABLE_IN', 'TMP_TABLE_JOIN'] as const) {
      for (const known of [{}, { source }]) {
        const { sql, statements, stats } = await applyCache(query, { cache, method, lazy: true, ...known })
        expect(stats.narrowed).to.equal('source' in known)
        for (const statement of statements) await client.query(statement)
        expect(await rowsOf(client, sql), method).to.deep.equal(await rowsOf(client, query))
      }
    }
    await client.query('RESET TIME ZONE')
    await cache.close()
  })

  it('end in an error, and never in fewer rows, where a set is gone that lazy SQL was made for', async () => {
    const cache = await fill('gone', 'int4', 'integer', ['1', '2', '3'])
    const { sql } = await applyCache('SELECT * FROM gone WHERE x = 1', { cache, lazy: true })
    await cache.invalidate({})
    const error: unknown = await client.query(sql).then(() => undefined, (reason: unknown) => reason)
    expect(error).to.have.property('message').that.contains('narrow it again')
    await cache.close()
  })

  it('leave a query alone whose set is too large a share of all', async () => {
    const cache = await fill('shares', 'int4', 'integer', ['1', '2', '3', '4'])
    const query = 'SELECT * FROM shares WHERE x = 1'
    for (const totals of [{ totalKeys: 4 }, { source }]) {
      expect((await applyCache(query, { cache, maxKeyShare: 0.5, ...totals })).stats).to.deep.include({ narrowed: true, keys: 2 })
      const { sql, stats } = await applyCache(query, { cache, maxKeyShare: 0.4, ...totals })
      expect(sql).to.equal(query)
      expect(stats).to.deep.include({ narrowed: false, reason: 'the set holds 2 of 4 partitions, more than a share of 0.4' })
    }
    const error: unknown = await applyCache(query, { cache, maxKeyShare: 0.4, lazy: true }).then(() => undefined, (reason: unknown) => reason)
    expect(error, 'nobody counts a lazy set').to.be.instanceOf(InvalidArgumentError).with.property('message').that.contains('leave out one of the two')
    await cache.close()
  })
})
