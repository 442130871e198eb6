/**
 * What does the partition cache cost a query, and what does it save?
 *
 * `node --import=tsx bench/partition-queries.ts` starts its own PostgreSQL. One JSON line per case; times are medians. Decomposition: two queries over
 * four tables, read for the first time (each run another text) and again. End to end: a join of three over 400,000 rows in 2,000 regions whose
 * answer is empty, as it is and narrowed, the narrowing included.
 */
import pg from 'pg'
import { postgresSource } from '../index.js'
import { applyCache, createCache, decompose, populate } from '../partition.js'
import { startPostgres } from '../test/support/postgres.js'
import { median } from './support/result.js'

const TIES = ' AND a.region_id = b.region_id AND b.region_id = c.region_id AND c.region_id = d.region_id'
const QUERIES = {
  D1: `SELECT * FROM poi a, poi b, poi c, poi d WHERE a.type='park' AND b.type='cafe' AND c.type='bar' AND DIST(a.geom,b.geom) < 100 AND DIST(b.geom,c.geom) < 200 AND DIST(c.geom,d.geom) < 300${TIES}`,
  D2: `SELECT * FROM poi a, poi b, poi c, poi d WHERE a.type='park' AND a.area>900 AND b.type='cafe' AND c.type='bar' AND d.type='x' AND d.area<100${TIES}`
}
const OPTIONS = { partitionKey: 'region_id', pureFunctions: ['dist'] }

async function timed(runs: number, run: (i: number) => unknown): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < runs; i++) {
    const start = performance.now()
    await run(i)
    times.push(performance.now() - start)
  }
  return Math.round(median(times) * 1000) / 1000
}

for (const [name, sql] of Object.entries(QUERIES)) {
  const fragments = decompose(sql, OPTIONS).length
  // blanks at the end make another text of the same work
  const firstMs = await timed(400, i => decompose(sql + ' '.repeat(i + 1), OPTIONS))
  const memoisedMs = await timed(400, () => decompose(sql, OPTIONS))
  console.log(JSON.stringify({ bench: 'partition-queries', case: `decompose ${name}`, fragments, firstMs, memoisedMs }))
}

const server = await startPostgres()
const pool = new pg.Pool({ connectionString: server.url, max: 2 })
const source = postgresSource({ pool })
try {
  await pool.query(`CREATE TABLE bench_poi (id int, region_id int NOT NULL, type text, x float8, y float8);
    INSERT INTO bench_poi SELECT i, i % 2000, CASE WHEN i % 2000 < 60 AND i % 3 = 0 THEN 'park' WHEN i % 2000 BETWEEN 40 AND 90 AND i % 5 = 1 THEN 'zoo' ELSE 'cafe' END, i % 997, i % 1009
      FROM generate_series(1, 400000) i; CREATE INDEX ON bench_poi (region_id); ANALYZE bench_poi`)
  const query = `SELECT a.id, b.id, c.id FROM bench_poi a, bench_poi b, bench_poi c WHERE a.region_id = b.region_id AND b.region_id = c.region_id AND a.type = 'park' AND b.type = 'zoo'
    AND c.type = 'cafe' AND abs(a.x - b.x) + abs(a.y - b.y) < 0.5 AND abs(b.x - c.x) + abs(b.y - c.y) < 0.5`
  const cache = await createCache('postgresql_array', 'region_id', 'integer', { pool })
  await populate(query, { source, cache })
  const queryMs = await timed(15, () => pool.query(query))
  const narrowedMs = await timed(15, async () => pool.query((await applyCache(query, { cache, source })).sql))
  const { stats } = await applyCache(query, { cache, source })
  const { rows } = await pool.query(query)
  console.log(JSON.stringify({ bench: 'partition-queries', case: 'end to end, empty answer', rows: rows.length, keys: stats.keys, queryMs, narrowedMs }))
} finally {
  await pool.end()
  await server.stop()
}
