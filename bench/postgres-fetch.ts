/**
 * How long do a million rows by id take from PostgreSQL, dense and sparse, by batch and connection, by cursor and by COPY?
 * `node --import=tsx bench/postgres-fetch.ts [rows] [part of a case's name]`: one JSON line per case.
 */
import pg from 'pg'
import type { RowBatch } from '../lib/batch/row-batch.js'
import { postgresSource } from '../lib/source/postgres.js'
import { requestOf } from '../test/support/fetch-request.js'
import { startPostgres } from '../test/support/postgres.js'

const ROWS = Number(process.argv[2] ?? 1_000_000)
const COLUMNS = ['name', 'age', 'amount', 'meta.address.city']

const server = await startPostgres()
const pool = new pg.Pool({ connectionString: server.url, max: 4 })
await pool.query(`CREATE TABLE bench_users AS SELECT i AS id, 'user ' || i AS name, (i % 1000 * 7919) % 90 AS age, (i % 100000)::numeric(10,2) / 7 AS amount,
  jsonb_build_object('address', jsonb_build_object('city', 'city ' || i % 1000, 'zip', i), 'tags', jsonb_build_array(i, 'x')) AS meta FROM generate_series(1, ${ROWS}) i`)
await pool.query('ALTER TABLE bench_users ALTER amount TYPE numeric(12,2)')
await pool.query('ALTER TABLE bench_users ADD PRIMARY KEY (id)')
await pool.query('VACUUM ANALYZE bench_users')

interface Case { name: string, ids: (window: number) => number[], windows: number, columns?: string[], connections?: number, batchRows?: number, prepare?: boolean, copy?: boolean }

/** Every id of the window, or the third that leaves it sparse (then a window spans three times the range). */
const dense = (size: number) => (window: number): number[] => Array.from({ length: size }, (_, i) => window * size + i + 1)
const sparse = (size: number) => (window: number): number[] => Array.from({ length: size }, (_, i) => (window * size + i) * 3 % ROWS + Math.floor((window * size + i) * 3 / ROWS) + 1)

/** By cursor and by COPY: with and without the path, on one connection and on two. */
function bothWays(name: string, ids: Case['ids']): Case[] {
  return [1, 2].flatMap(connections => [COLUMNS, COLUMNS.slice(0, 3)].flatMap(columns => [false, true].map(copy =>
    ({ name: `${name}, ${columns.length === 4 ? 'with' : 'no'} path`, ids, windows: per10k, connections, columns, copy }))))
}

const per10k = Math.floor(ROWS / 10_000)
const cases: Case[] = [
  ...bothWays('dense 10k BETWEEN', dense(10_000)),
  ...bothWays('sparse 10k ANY', sparse(10_000)),
  ...[1000, 4096, 8192, 16384].map(batchRows => ({ name: 'dense 10k BETWEEN', ids: dense(10_000), windows: per10k, batchRows })),
  { name: 'dense 10k BETWEEN', ids: dense(10_000), windows: per10k, connections: 2 },
  { name: 'dense 10k BETWEEN', ids: dense(10_000), windows: per10k, prepare: false },
  { name: 'dense 10k BETWEEN, id and age', ids: dense(10_000), windows: per10k, columns: ['age'] },
  { name: 'dense 10k BETWEEN, whole meta', ids: dense(10_000), windows: per10k, columns: ['name', 'age', 'amount', 'meta'] },
  { name: 'sparse 10k ANY', ids: sparse(10_000), windows: per10k },
  { name: 'sparse 10k ANY', ids: sparse(10_000), windows: per10k, prepare: false },
  { name: 'sparse 10k ANY', ids: sparse(10_000), windows: per10k, connections: 2 },
  { name: 'sparse 1k ANY', ids: sparse(1000), windows: Math.floor(ROWS / 1000) },
  { name: 'sparse 100k ANY', ids: sparse(100_000), windows: Math.floor(ROWS / 100_000) },
]

async function run({ name, ids, windows, columns = COLUMNS, connections = 1, batchRows = 8192, prepare = true, copy = false }: Case): Promise<void> {
  const source = postgresSource({ pool, batchRows, prepare, copy })
  const startCpu = process.cpuUsage()
  const start = performance.now()
  let next = 0
  let rows = 0
  const worker = async (): Promise<void> => {
    while (next < windows) {
      const window = next++
      for await (const batch of source.fetch(ids(window), 'public.bench_users', requestOf(columns, { index: window })) as AsyncIterable<RowBatch>) rows += batch.length
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  const ms = Math.round(performance.now() - start)
  const { maxRSS } = process.resourceUsage()
  const cpu = process.cpuUsage(startCpu)
  console.log(JSON.stringify({ name, connections, batchRows, prepare, copy, rows, ms, cpuMs: Math.round((cpu.user + cpu.system) / 1000), rowsPerSec: Math.round(rows / ms * 1000), peakRssMiB: Math.round(maxRSS / 1024) }))
}

try {
  await run({ ...cases[2]!, name: 'warm-up' })
  const wanted = process.argv[3] ?? ''
  for (const one of cases) if (one.name.includes(wanted)) await run(one)
} finally {
  await pool.end()
  await server.stop()
}
