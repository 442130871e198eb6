/**
 * What does an incremental run cost beside a full one, and do a thousand small increments make reads slower? `bench/incremental.ts --rows N`: a table of N rows in
 * PostgreSQL and 1,000 new ones, delivered as a stream of batches and as a Table of all rows, columns undecoded in both (decoding is the reader's choice, and the
 * same for both runs); then 1,000 increments of 100 rows, against the same rows in one part. One JSON line per case; ratios within one run.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { openDatabase, type Database } from '../pipelines/open-database.js'
import { startPostgres } from '../test/support/postgres.js'
import { median, printResult } from './support/result.js'

const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '1000000' }, increments: { type: 'string', default: '1000' } } })
const ROWS = Number(options.rows)
const INCREMENTS = Number(options.increments)
const SQL = 'SELECT * FROM events'
const QUERY = { orderColumn: 'at', keyColumn: 'id' }

const server = await startPostgres()
const dir = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
const client = new pg.Client({ connectionString: server.url })

const insert = (from: number, to: number): Promise<unknown> => client.query(`INSERT INTO events SELECT i, timestamp '2024-01-01' + i * interval '1 second', 'name ' || i, i % 1000, i * 0.5 FROM generate_series(${from}, ${to}) i`)

type Delivery = 'stream' | 'table'

async function run(db: Database, delivery: Delivery, refresh?: 'full'): Promise<{ rows: number, ms: number, cpuMs: number }> {
  const [cpu, start] = [process.cpuUsage(), performance.now()]
  let rows = 0
  if (delivery === 'table') rows = (await db.queryIncremental(SQL, { ...QUERY, refresh })).length
  else for await (const batch of db.streamIncremental(SQL, { ...QUERY, refresh })) rows += batch.length
  const { user, system } = process.cpuUsage(cpu)
  return { rows, ms: performance.now() - start, cpuMs: Math.round((user + system) / 1000) }
}

const share = (a: readonly number[], b: readonly number[]): number => Math.round(median(a) / median(b) * 1000) / 1000

const open = (name: string): Promise<Database> => openDatabase({ connectionString: server.url, cacheDir: join(dir, name) })

try {
  await client.connect()
  await client.query('CREATE TABLE events (id int PRIMARY KEY, at timestamp NOT NULL, name text, kind int, amount float8); CREATE INDEX ON events (at, id)')
  await insert(1, ROWS)
  await client.query('ANALYZE events')
  const db = await open('million')
  await run(db, 'stream')
  let last = ROWS
  for (const delivery of ['stream', 'table'] as const) {
    const times = { full: [] as number[], increment: [] as number[] }
    for (let round = 0; round < 5; round++) {
      if (round < 3) times.full.push((await run(db, delivery, 'full')).ms)
      await insert(last + 1, last += 1000)
      times.increment.push((await run(db, delivery)).ms)
    }
    printResult({ name: 'incremental', engine: 'millrace', job: `full, ${delivery}`, fsync: true, rows: last, ms: median(times.full) })
    printResult({ name: 'incremental', engine: 'millrace', job: `1,000 new rows, ${delivery}`, fsync: true, rows: last, ms: median(times.increment), shareOfFull: share(times.increment, times.full), target: 0.1 })
  }
  await db.close()

  await client.query('TRUNCATE events')
  const small = await open('small')
  const start = performance.now()
  for (let i = 0; i < INCREMENTS; i++) {
    await insert(i * 100 + 1, (i + 1) * 100)
    await small.queryIncremental(SQL, QUERY)
  }
  printResult({ name: 'incremental', engine: 'millrace', job: 'increments of 100 rows, each', fsync: true, rows: INCREMENTS * 100, ms: (performance.now() - start) / INCREMENTS })
  const one = await open('one')
  await run(one, 'stream')
  const times = { many: [] as number[], one: [] as number[] }
  for (let round = 0; round < 25; round++) {
    times.many.push((await run(small, 'stream')).ms)
    times.one.push((await run(one, 'stream')).ms)
  }
  const parts = (await small.cacheStats()).perQuery[0]!.parts
  printResult({ name: 'incremental', engine: 'millrace', job: 'read after them', fsync: false, rows: INCREMENTS * 100, ms: median(times.many), parts, againstOnePart: share(times.many, times.one), target: 1.5 })
  await small.close()
  await one.close()
} finally {
  await client.end()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
}
