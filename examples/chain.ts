// Both caches in one pipeline: partition keys narrow a query, the ids it answers flow through the row cache.
//   node --import=tsx examples/chain.ts                 on an embedded PostgreSQL
//   PGURL=postgres://… node --import=tsx examples/chain.ts
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { batchFetcher, cacheSplitter, idPartitioner, jsonFlattener, openCache, parquetSink, postgresSource, type RowBatch } from '../index.js'
import { applyCache, createCache, populate } from '../partition.js'
import { startEmptyDatabase } from './support/empty-database.js'

const server = process.env['PGURL'] ? undefined : await startEmptyDatabase()
const pool = new pg.Pool({ connectionString: server?.url ?? process.env['PGURL'], max: 1 })
const source = postgresSource({ pool, maxConcurrency: 1 })
const dir = await mkdtemp(join(tmpdir(), 'millrace-chain-'))
const rowCache = await openCache({ dir })
const regions = await createCache('memory', 'region_id', 'integer')

const table = 'public.chain_poi'
const columns = ['type', 'meta.name']
const query = `SELECT id FROM ${table} WHERE type = 'park' AND size > 90`

/** The narrowed query's ids, as they come. */
async function * idsOf(sql: string): AsyncGenerator<number[]> {
  for await (const batch of source.query(sql)) yield [...batch.column('id')] as number[]
}

/** The end of the line. */
async function count(batches: AsyncIterable<RowBatch>): Promise<string> {
  let rows = 0
  let last = ''
  for await (const batch of batches) for (const row of batch) [rows, last] = [rows + 1, JSON.stringify(row)]
  return `${rows} rows, the last ${last}`
}

let asked = 0
async function run(): Promise<void> {
  const { sql, stats } = await applyCache(query, { cache: regions, source })
  const rows = parquetSink({ cache: rowCache, table, columns, forward: true })
  const [, told] = await Promise.all([
    pipeline(
      Readable.from(idsOf(sql)),
      idPartitioner({ cache: rowCache, table }),
      cacheSplitter({ cache: rowCache, table, columns }),
      batchFetcher({ table, columns, fetcher: (ids, name, request) => {
        asked += ids.length
        return source.fetch(ids, name, request)
      } }),
      jsonFlattener({ columns }),
      rows
    ),
    count(rows)
  ])
  console.log(`${stats.narrowed ? `narrowed to ${stats.keys} of 100 regions` : `not narrowed: ${stats.reason}`}; ${told}; ids fetched so far: ${asked}`)
}

try {
  await source.execute(`CREATE TABLE ${table} (id int PRIMARY KEY, region_id int NOT NULL, type text, size int, meta jsonb)`)
  await source.execute(`INSERT INTO ${table} SELECT i, i % 100, CASE WHEN i % 100 < 3 THEN 'park' ELSE 'cafe' END, i % 97, jsonb_build_object('name', 'place ' || i)
    FROM generate_series(1, 20000) i`)
  await run() // nothing is known: the whole table is searched, and the rows are fetched
  await populate(`SELECT * FROM ${table} WHERE type = 'park'`, { source, cache: regions })
  await run() // three regions are searched, and no row is fetched again
} finally {
  await source.execute(`DROP TABLE IF EXISTS ${table}`)
  await Promise.all([rowCache.close(), regions.close()])
  await pool.end()
  await server?.stop()
  await rm(dir, { recursive: true, force: true })
}
