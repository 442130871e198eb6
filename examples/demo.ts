/**
 * Real flights out of a real PostgreSQL: cold, warm, and with one more column.
 *
 *   npm run demo                  200,000 flights
 *   npm run demo -- 20000         fewer
 *   npm run demo -- --keep        leave the cache folder for a look with DuckDB, Polars or pandas
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getData, planData, postgresSource } from '../index.js'
import { startFlightsDatabase, type FlightsDatabase } from './support/flights-database.js'

const args = process.argv.slice(2)
const limit = Math.min(200_000, Number(args.find(arg => /^\d+$/.test(arg)) ?? 200_000))
const say = (text = ''): void => { console.log(text) }
const number = (value: number): string => value.toLocaleString('en-US')

/** One request, told step by step: what it would do, what it did, what came. */
async function show(title: string, database: FlightsDatabase, request: { ids: number[], columns: string[], cacheDir: string }): Promise<void> {
  const { fetch } = postgresSource({ pool: database.pool, maxConcurrency: 1 })
  const table = 'public.flights'
  say(`\n── ${title} ── columns: ${request.columns.join(', ')}`)

  const { ids, hits, misses, batches, batchSize } = await planData({ ...request, table })
  say(`plan:    ${number(ids)} ids, ${number(hits)} cached, ${number(misses)} to fetch` + (misses > 0 ? ` in ${batches} batches of ${number(batchSize)}` : ''))

  const before = database.statements()
  const flights = await getData({ ...request, table, fetcher: fetch, progress: true })
  const asked = database.statements() - before

  const { report } = flights
  say(`report:  ${number(report.rows)} rows, ${number(report.hits)} hits, ${number(report.fetched)} fetched, ${number(report.ms)} ms; ` +
    `the database received ${asked === 0 ? 'no statement' : `${number(asked)} statements`}`)
  say(flights.toString())
}

/** The cache is plain Parquet in a folder per table. */
async function showFiles(folder: string): Promise<void> {
  say('\n── the files ──')
  for (const file of (await readdir(folder, { recursive: true })).sort()) {
    const { size } = await stat(join(folder, file))
    if (/\.(parquet|json)$/.test(file)) say(`${number(size).padStart(10)} bytes  ${join(folder, file)}`)
  }
}

const startedMs = performance.now()
say('starting an embedded PostgreSQL and loading real flights (vega-datasets) …')
const database = await startFlightsDatabase(limit)
const cacheDir = await mkdtemp(join(tmpdir(), 'millrace-demo-'))
try {
  say(`${number(database.flights)} flights are in public.flights (id, delay, details jsonb), after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)

  // every second flight, last one first: the order of the ids does not matter
  const ids = Array.from({ length: Math.floor(database.flights / 2) }, (_, i) => database.flights - 2 * i)
  const columns = ['delay', 'details.route.distance']

  await show('cold', database, { ids, columns, cacheDir })
  await show('warm: the same again', database, { ids, columns, cacheDir })
  await show('one more column', database, { ids, columns: [...columns, 'details.departure.hour'], cacheDir })
  await showFiles(cacheDir)
} finally {
  await database.stop()
  if (args.includes('--keep')) say(`\nkept: ${cacheDir}`)
  else await rm(cacheDir, { recursive: true, force: true })
}
say(`\n${((performance.now() - startedMs) / 1000).toFixed(1)} s in all. Go on with your own database:`)
say('  npx millrace get --pg postgres://me@localhost/shop --table public.users --columns name,meta.city --range 1..1000')
