/**
 * How long until 1M rows by id are with the caller, from PostgreSQL? millrace cold against its own fetch alone, against the same fetch
 * into DuckDB and Polars, against `psql COPY` as the floor; then warm. `fetch-cursor` and `cold-cursor` fetch by cursor where the others
 * fetch by COPY. One job per process: `--job fetch|cold|warm|duckdb|polars|copy|…`.
 *
 * Without `--url` it starts a server, makes the table, and runs every job `--runs` times, interleaved, each in a process of its own.
 */
import { fork, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { getHeapStatistics } from 'node:v8'
import pg from 'pg'
import { getData, postgresSource, streamData, type Fetcher, type RowBatch } from '../index.js'
import { startPostgres } from '../test/support/postgres.js'
import { appendRows, openDuckdb, writeFresh } from './engines/duckdb.js'
import { cacheByPolars } from './engines/polars.js'
import { printResult } from './support/result.js'
import { COLUMNS, deliveredRow, shuffled, TABLE, tableIds, type SourceRow } from './support/rows.js'

const { values: options } = parseArgs({ options: {
  job: { type: 'string' }, url: { type: 'string' }, cache: { type: 'string' }, rows: { type: 'string', default: '1000000' }, runs: { type: 'string', default: '3' },
  /** V8's heap limit for the cold and warm jobs, in MB. */
  heap: { type: 'string' },
  /** Only these jobs, with commas between. */
  jobs: { type: 'string', default: 'copy,fetch,fetch-cursor,cold-cursor,cold,warm,duckdb,polars,stream' }
} })
const count = Number(options.rows)
if (options.url === undefined) await runAll()
else await runJob(options.job!, options.url)

async function runAll(): Promise<void> {
  const server = await startPostgres()
  const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const client = new pg.Client({ connectionString: server.url })
    await client.connect()
    await client.query(`CREATE TABLE users AS SELECT i::int8 AS id,
      CASE WHEN i % 20 = 3 THEN NULL WHEN i % 5 = 0 THEN 'üs€🜁' || lpad(i::text, 7, '0') ELSE 'user_' || lpad(i::text, 7, '0') END AS name,
      CASE WHEN i % 20 <> 7 THEN (18 + 7919::int8 * i % 60)::int4 END AS age, CASE WHEN i % 20 <> 13 THEN (104729::int8 * i % 1000000)::float8 / 100 END AS amount,
      jsonb_build_object('address', jsonb_build_object('city', CASE WHEN i % 20 <> 11 THEN 'city_' || (31::int8 * i % 1000) END, 'zip', i), 'tags', jsonb_build_array(i, 'x')) AS profile
      FROM generate_series(1, ${count}) i`)
    await client.query('ALTER TABLE users ADD PRIMARY KEY (id)')
    await client.query('VACUUM ANALYZE users')
    await client.end()
    for (let run = 0; run < Number(options.runs); run++) {
      for (const job of options.jobs.split(',')) {
        const isPeer = job === 'duckdb' || job === 'polars'
        const cache = join(dir, isPeer ? job : 'millrace')
        if (job !== 'warm' && job !== 'stream') rmSync(cache, { recursive: true, force: true })
        if (isPeer) mkdirSync(cache)
        const heap = options.heap && ['cold', 'warm', 'stream'].includes(job) ? [`--max-old-space-size=${options.heap}`] : []
        if (job === 'stream' && run === 0 || job !== 'stream') {
          const child = fork(fileURLToPath(import.meta.url), ['--job', job, '--url', server.url, '--cache', cache, '--rows', String(count)],
            { execArgv: [...process.execArgv, ...heap] })
          const code = await new Promise(resolve => child.once('exit', resolve))
          if (code !== 0) throw new Error(`${job} failed (${String(code)})`)
        }
      }
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
    await server.stop()
  }
}

async function runJob(job: string, url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  const source = postgresSource({ pool, copy: job.endsWith('-cursor') ? false : 'auto' })
  const all = tableIds(count, 'dense')
  const ids = shuffled(all)
  await pool.query('SELECT 1')
  globalThis.gc?.()
  const start = performance.now()
  let calls = 0
  let rows = 0
  const request = { ids, columns: COLUMNS, table: TABLE, cacheDir: options.cache!, fetcher: source.fetch }
  switch (job.replace('-cursor', '')) {
    case 'copy': {
      const psql = spawn('psql', [url, '-qAtc', `COPY (SELECT id, name, age, amount, profile#>>'{address,city}' FROM users) TO STDOUT`], { stdio: ['ignore', 'ignore', 'inherit'] })
      if (await new Promise(resolve => psql.once('exit', resolve)) !== 0) throw new Error('psql failed')
      rows = count
      break
    }
    case 'fetch':
      await fetchAll(source.fetch, all, batch => { rows += batch.length })
      break
    case 'duckdb': {
      const db = await openDuckdb()
      await appendRows(db, batchesOf(source.fetch, all))
      await writeFresh(db, options.cache!)
      rows = count
      break
    }
    case 'polars':
      await cacheByPolars(options.cache!, batchesOf(source.fetch, all))
      rows = count
      break
    case 'cold': case 'warm':
      await getData(request).then(({ length, report }) => { [rows, calls] = [length, report.batches] })
      break
    default: {
      // every row against what the table was made from
      const stream = streamData(request)
      for await (const batch of stream) {
        for (const row of batch) {
          const expected = deliveredRow(row.id as number)
          for (const name of Object.keys(expected)) if (!Object.is(row[name as 'id'], expected[name])) throw new Error(`id ${row.id}: ${name}`)
          if (row.id !== all[rows]) throw new Error(`row ${rows} has id ${row.id}`)
          rows++
        }
      }
      calls = stream.report!.batches
    }
  }
  const ms = performance.now() - start
  if (rows !== count) throw new Error(`${rows} rows`)
  if ((job === 'warm' || job === 'stream') && calls > 0) throw new Error(`${calls} calls of the fetcher in a warm run`)
  printResult({ name: 'postgres-rows', engine: /^(cold|warm|stream)/.test(job) ? 'millrace' : job, job, rows, ms, calls,
    fsync: job.startsWith('cold'), heapLimitMiB: Math.round(getHeapStatistics().heap_size_limit / 1048576) })
  await pool.end()
}

/** All ids in batches of 1/100th, on as many connections as millrace uses. */
async function fetchAll(fetch: Fetcher, ids: Int32Array, take: (batch: RowBatch) => void): Promise<void> {
  let next = 0
  const size = Math.ceil(ids.length / 100)
  const worker = async (): Promise<void> => {
    while (next < ids.length) {
      const some = ids.subarray(next, next += size)
      const request = { columns: ['name', 'age', 'amount', 'profile'], plain: ['name', 'age', 'amount'], paths: ['profile.address.city'], idColumn: 'id',
        signal: new AbortController().signal, batch: { index: 0 } }
      for await (const batch of await fetch(Array.from(some), TABLE, request) as AsyncIterable<RowBatch>) take(batch)
    }
  }
  await Promise.all(Array.from({ length: Math.min(2, fetch.maxConcurrency ?? 1) }, worker))
}

/** The same fetch as rows, for an engine that takes rows. */
async function * batchesOf(fetch: Fetcher, ids: Int32Array): AsyncGenerator<SourceRow[]> {
  const waiting: RowBatch[] = []
  let [done, wake] = [false, (): void => undefined]
  const fetching = fetchAll(fetch, ids, batch => {
    waiting.push(batch)
    wake()
  }).finally(() => {
    done = true
    wake()
  })
  for (;;) {
    const batch = waiting.shift()
    if (batch) {
      yield batch.toRows().map(row => ({ id: row['id'], name: row['name'], age: row['age'], amount: row['amount'],
        profile: { address: { city: row['profile.address.city'] } } }) as SourceRow)
    } else if (done) break
    else await new Promise<void>(resolve => { wake = resolve })
  }
  await fetching
}
