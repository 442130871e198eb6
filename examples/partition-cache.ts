// Whole queries go into a queue, workers break them into fragments and fill the cache, and later queries are narrowed by it.
//   node --import=tsx examples/partition-cache.ts [rows]
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import pg from 'pg'
import { postgresSource } from '../index.js'
import { applyCache, createCache, openQueues, processFragments, processQueries, pushToOriginalQueryQueue } from '../partition.js'
import { freePort } from './support/flights-database.js'

const ROWS = Number(process.argv[2] ?? 400_000)

/** Real flights of vega-datasets as the lines of a COPY. */
async function flightLines(): Promise<string[]> {
  const file = fileURLToPath(new URL('../data/flights-3m.parquet', import.meta.resolve('vega-datasets')))
  const duckdb = await (await DuckDBInstance.create()).connect()
  const reader = await duckdb.runAndReadAll(`SELECT delay, distance, origin, destination FROM '${file.replaceAll("'", "''")}' LIMIT ${ROWS}`)
  return reader.getRows().map((row, i) => `${i + 1}\t${row.map(value => value === null ? '\\N' : String(value)).join('\t')}\n`)
}

const db = await PGlite.create()
await db.exec('CREATE TABLE flights (id integer PRIMARY KEY, delay integer, distance integer, origin text, destination text)')
await db.query("COPY flights FROM '/dev/blob'", [], { blob: new Blob(await flightLines()) })
await db.exec('CREATE INDEX ON flights (origin, distance); ANALYZE flights')
const port = await freePort()
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port })
await server.start()
const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: 1 })
const { rows: [counted] } = await pool.query<{ flights: number, origins: number }>('SELECT count(*)::integer AS flights, count(DISTINCT origin)::integer AS origins FROM flights')
console.log(`${counted!.flights} flights from ${counted!.origins} airports`)

const source = postgresSource({ pool, maxConcurrency: 1 })
const cache = await createCache('memory', 'origin', 'text')
const queues = await openQueues('memory')
const QUERY = 'SELECT f.id, f.origin, f.destination, f.delay FROM flights f WHERE f.distance > 4400 AND f.delay > 30'

// 1. queue  2. workers  3. cache
await pushToOriginalQueryQueue(QUERY, { partitionKey: 'origin', queues })
await processQueries({ queues, source, untilEmpty: true })
await processFragments({ queues, source, cache, untilEmpty: true })
console.log(`in the cache: ${(await cache.getAllKeys()).length} set(s)`)

// 4. the narrowed query
const { sql, stats } = await applyCache(QUERY, { cache, partitionKey: 'origin', source })
console.log(`narrowed to ${stats.keys} of ${counted!.origins} airports`)

/** The fastest of five, in ms, and the rows as text. */
async function run(text: string): Promise<{ ms: number, rows: string }> {
  let ms = Infinity
  let rows = ''
  for (let i = 0; i < 5; i++) {
    const began = performance.now()
    const result = await pool.query<{ id: number }>(text)
    ms = Math.min(ms, performance.now() - began)
    rows = JSON.stringify(result.rows.sort((a, b) => a.id - b.id))
  }
  return { ms, rows }
}

const whole = await run(QUERY)
const narrowed = await run(sql)
console.log(`same rows: ${whole.rows === narrowed.rows} (${(JSON.parse(whole.rows) as unknown[]).length})`)
console.log(`whole query ${whole.ms.toFixed(1)} ms, narrowed ${narrowed.ms.toFixed(1)} ms: ${(whole.ms - narrowed.ms).toFixed(1)} ms saved, ${(whole.ms / narrowed.ms).toFixed(1)} times as fast`)

await queues.close()
await cache.close()
await pool.end()
await server.stop()
await db.close()
