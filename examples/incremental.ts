/**
 * The seed's complete example: a first run reads everything, rows are inserted, the second run reads only those.
 *
 *   node --import=tsx examples/incremental.ts            on an embedded PostgreSQL
 *   PGURL=postgres://… node --import=tsx examples/incremental.ts
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../index.js'
import { startEmptyDatabase } from './support/empty-database.js'

const server = process.env['PGURL'] ? undefined : await startEmptyDatabase()
const cacheDir = await mkdtemp(join(tmpdir(), 'millrace-incremental-'))
const db = await openDatabase({ connectionString: server?.url ?? process.env['PGURL'], pool: { max: 1 }, cacheDir })
try {
  // statements that write are never cached
  await db.execute('CREATE TABLE IF NOT EXISTS eventos (id serial PRIMARY KEY, nome text, timestamp timestamptz)')
  await db.execute("INSERT INTO eventos (nome, timestamp) SELECT 'evento ' || i, timestamptz '2024-01-01' + i * interval '1 second' FROM generate_series(1, 5000) i")

  // first run: everything is read and kept
  const first = await db.queryIncremental('SELECT * FROM eventos ORDER BY timestamp', { orderColumn: 'timestamp' })
  console.log(`first run: ${first.length} rows, ${first.report.hits} cached, ${first.report.fetched} read`)

  await db.execute("INSERT INTO eventos (nome, timestamp) SELECT 'novo ' || i, timestamptz '2024-02-01' + i * interval '1 second' FROM generate_series(1, $1::int) i", [7])

  // second run: cached rows and new ones; without a key column the rows at the watermark itself are read again
  const second = await db.queryIncremental('SELECT * FROM eventos ORDER BY timestamp', { orderColumn: 'timestamp' })
  console.log(`second run: ${second.length} rows (cache + new), ${second.report.hits} cached, ${second.report.fetched} read`)
  console.log(second.toString())

  // a whole result by its text and parameters: the second call asks nobody
  for (const run of ['first', 'second']) {
    const { report, ...table } = await db.query('SELECT count(*) AS total FROM eventos WHERE nome LIKE $1', { params: ['novo%'] })
    console.log(`count, ${run} time: ${table.batches[0]?.toRows()[0]?.['total'] as number}, ${report.hits} cached, ${report.fetched} read`)
  }

  const { totalFiles, totalRecords, perQuery } = await db.cacheStats()
  console.log(`cache: ${totalFiles} files, ${totalRecords} rows; up to ${perQuery.find(({ kind }) => kind === 'incremental')?.watermark}`)
  console.log(`cleared: ${await db.clearCache('eventos')} queries`)
} finally {
  if (!server) await db.execute('DROP TABLE IF EXISTS eventos')
  await db.close()
  await server?.stop()
  await rm(cacheDir, { recursive: true, force: true })
}
