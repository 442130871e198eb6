/**
 * What does an incremental run cost beside a full one, and do a thousand small increments make reads slower? `bench/incremental.ts --rows N`: a table of N rows in
 * PostgreSQL and 1,000 new ones; then 1,000 increments of 100 rows, against the same rows in one part. One JSON line per case; ratios within one run.
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

async function drain(db: Database): Promise<{ rows: number, ms: number, cpuMs: number }> {
  const [cpu, start] = [process.cpuUsage(), performance.now()]
  let rows = 0
  for await (const batch of db.streamIncremental(SQL, QUERY)) rows += batch.length
  const { user, system } = process.cpuUsage(cpu)
  return { rows, ms: performance.now() - start, cpuMs: Math.round((user + system) / 1000) }
}

const open = (name: string): Promise<Database> => openDatabase({ connectionString: server.url, cacheDir: join(dir, name) })

try {
  await client.connect()
  await client.query('CREATE TABLE events (id int PRIMARY KEY, at timestamp NOT NULL, name text, kind int, amount float8); CREATE INDEX ON events (at, id)')
  await insert(1, ROWS)
  await client.query('ANALYZE events')
  const db = await open('million')
  const full = await drain(db)
  printResult({ name: 'incremental', engine: 'millrace', case: 'full', fsync: true, ...full })
  const increments: number[] = []
  let last = full
  for (let round = 0; round < 3; round++) {
    await insert(ROWS + round * 1000 + 1, ROWS + (round + 1) * 1000)
    last = await drain(db)
    increments.push(last.ms)
  }
  printResult({ name: 'incremental', engine: 'millrace', case: '1,000 new rows', fsync: true, rows: last.rows, ms: median(increments), shareOfFull: Math.round(median(increments) / full.ms * 1000) / 1000, target: 0.1 })
  await db.close()

  await client.query('TRUNCATE events')
  const small = await open('small')
  const start = performance.now()
  for (let i = 0; i < INCREMENTS; i++) {
    await insert(i * 100 + 1, (i + 1) * 100)
    await small.queryIncremental(SQL, QUERY)
  }
  printResult({ name: 'incremental', engine: 'millrace', case: 'increments of 100 rows, each', fsync: true, rows: INCREMENTS * 100, ms: (performance.now() - start) / INCREMENTS })
  const one = await open('one')
  await drain(one)
  const times = { many: [] as number[], one: [] as number[] }
  for (let round = 0; round < 7; round++) {
    times.many.push((await drain(small)).ms)
    times.one.push((await drain(one)).ms)
  }
  const parts = (await small.cacheStats()).perQuery[0]!.parts
  printResult({ name: 'incremental', engine: 'millrace', case: 'read after them', fsync: false, rows: INCREMENTS * 100, ms: median(times.many), parts, againstOnePart: Math.round(median(times.many) / median(times.one) * 100) / 100, target: 1.5 })
  await small.close()
  await one.close()
} finally {
  await client.end()
  await server.stop()
  rmSync(dir, { recursive: true, force: true })
}
