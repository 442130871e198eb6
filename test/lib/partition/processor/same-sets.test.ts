// needs: postgres
import { expect } from 'chai'
import { applyCache } from '../../../../lib/partition/apply.js'
import { createCache } from '../../../../lib/partition/create-cache.js'
import { decompose } from '../../../../lib/partition/decompose.js'
import { readCatalogue } from '../../../../lib/partition/catalogue.js'
import { populate } from '../../../../lib/partition/populate.js'
import { postgresSource } from '../../../../lib/source/postgres.js'
import { processorDatabase } from './processor-database.js'

/** Key columns of a table, and the values they hold. */
const COLUMNS: Readonly<Record<string, string>> = {
  small: 'i % 90', big: '(i % 50)::bigint * 100000000000', num: '(i % 40)::numeric', txt: "'k' || (i % 30)", chr: "('c' || i % 20)::char(9)", day: "date '2024-01-01' + i % 25",
  naive: "timestamp '2024-01-01' + (i % 25) * interval '1.000001 s'", zoned: "timestamptz '2024-03-31 00:30+01' + (i % 25) * interval '1 hour'", dbl: '(i % 7) / 3.0::float8',
}

describe('sets made inside PostgreSQL', function () {
  this.timeout(60_000)
  for (const family of ['bit', 'array'] as const) {
    it(`are stored exactly as those of a worker outside, ${family}`, async () => {
      const db = await processorDatabase(family, { tablePrefix: 'inside' })
      const { pool, processor } = db
      const columns = Object.entries(COLUMNS).filter(([name]) => family === 'array' || name === 'small')
      await pool.query(`CREATE TABLE data AS SELECT i AS id, ${columns.map(([name, sql]) => `${sql} AS ${name}`).join(', ')} FROM generate_series(1, 500) AS i`)
      await pool.query(`INSERT INTO data (id) VALUES (501)`)
      const source = postgresSource({ pool })
      const outside = await createCache(`postgresql_${family}`, 'small', undefined, { pool, tablePrefix: 'outside' })
      for (const [partitionKey] of columns) {
        for (const where of ['d.id < 200', 'd.id % 11 = 0', 'd.id < 0', 'd.id >= 498']) {
          const sql = `SELECT * FROM data d WHERE ${where}`
          await populate(sql, { source, cache: outside, partitionKey })
          const catalogue = await readCatalogue(source, sql)
          const fragments = decompose(sql, { partitionKey, catalogue })
          await db.push(...fragments.map(({ hash, sql: query, tables }) => ({ hash, sql: query, pk: partitionKey, tables: [...tables] })))
        }
      }
      const done = await processor.runOnce()
      expect(done.failed + done.timeout, JSON.stringify((await processor.logs({ status: 'failed' })).map(({ error }) => error))).to.equal(0)
      const arrays = family === 'bit' ? '' : `, (SELECT array_agg(v ORDER BY v) FROM unnest(ints) AS u(v)) AS ints, (SELECT array_agg(v ORDER BY v) FROM unnest(floats) AS u(v)) AS floats,
        (SELECT array_agg(v ORDER BY v) FROM unnest(texts) AS u(v)) AS texts, (SELECT array_agg(v ORDER BY v) FROM unnest(timestamps) AS u(v)) AS timestamps`
      const rows = async (prefix: string): Promise<unknown[]> => (await pool.query(`SELECT partition_key, datatype, hash, is_set, key_count, query, status, expires_at, bits, bit_count${arrays}
        FROM ${prefix}_${family}_entries ORDER BY partition_key, hash`)).rows as unknown[]
      const made = await rows('inside')
      expect(made.length).to.be.at.least(columns.length * 4)
      expect(made).to.deep.equal(await rows('outside'))
      // and a query that they narrow has the rows it had
      const inside = await createCache(`postgresql_${family}`, 'small', undefined, { pool, tablePrefix: 'inside' })
      const rowsOf = async (sql: string): Promise<string[]> => (await pool.query<{ id: number }>(sql)).rows.map(row => JSON.stringify(row)).sort()
      let narrowed = 0
      for (const [partitionKey] of columns) {
        for (const where of ['d.id < 200', 'd.id % 11 = 0', 'd.id < 0', 'd.id >= 498', 'd.id < 200 AND d.id % 11 = 0']) {
          const sql = `SELECT * FROM data d WHERE ${where}`
          const applied = await applyCache(sql, { cache: inside, partitionKey, source })
          expect(await rowsOf(applied.sql), `${partitionKey}: ${applied.sql}`).to.deep.equal(await rowsOf(sql))
          if (applied.stats.narrowed) narrowed++
        }
      }
      expect(narrowed).to.be.greaterThan(columns.length * 3)
      await db.end()
    })
  }
})
