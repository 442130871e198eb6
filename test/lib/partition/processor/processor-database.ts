import pg from 'pg'
import { createCache } from '../../../../lib/partition/create-cache.js'
import type { PartitionCache } from '../../../../lib/partition/cache.js'
import { queueStatements } from '../../../../lib/queue/postgresql-schema.js'
import type { ProcessorFamily } from '../../../../lib/partition/processor/names.js'
import { openProcessor, type Processor, type ProcessorOptions } from '../../../../lib/partition/processor/processor.js'
import { testDatabase } from '../../../support/postgres.js'

/** A job as the outgoing queue takes it. */
export interface Job { hash: string, sql: string, pk?: string, datatype?: string, tables?: string[], rerun?: number, priority?: number }

/** A database with a table of points, a processor that was set up, and its cache. */
export interface ProcessorDatabase {
  url: string
  pool: pg.Pool
  processor: Processor
  cache: PartitionCache
  /** Puts fragments into the queue, by the queue's own statement. */
  push(...jobs: Job[]): Promise<void>
  /** A row of the queue. */
  job(hash: string): Promise<Record<string, unknown> | undefined>
  /** Waits until a query finds something: the server says when, we ask again. */
  until(sql: string): Promise<void>
  end(): Promise<void>
}

export const POINTS = `CREATE TABLE poi (id integer, region integer, kind text);
  INSERT INTO poi SELECT i, i % 500, CASE i % 3 WHEN 0 THEN 'park' WHEN 1 THEN 'cafe' ELSE 'bar' END FROM generate_series(1, 3000) AS i`

/** A test's own database on `url` (default: the shared server). */
export async function processorDatabase(family: ProcessorFamily = 'bit', options: Partial<ProcessorOptions> = {}, where?: { url: string, drop(): Promise<void> }): Promise<ProcessorDatabase> {
  const { url, drop } = where ?? await testDatabase()
  const pool = new pg.Pool({ connectionString: url, max: 8 })
  pool.on('error', () => {})
  await pool.query(POINTS)
  const processor = await openProcessor({ pool, family, ...options })
  await processor.setup()
  const cache = await createCache(`postgresql_${family}`, 'region', undefined, { pool, ...(options.tablePrefix === undefined ? {} : { tablePrefix: options.tablePrefix }) })
  const { push } = queueStatements(processor.names.outgoing)
  return {
    url, pool, processor, cache,
    async push(...jobs) {
      await pool.query(push, [JSON.stringify(jobs.map(({ hash, sql, pk = 'region', datatype, tables, rerun, priority }) =>
        ({ hash, partition_key: pk, query: sql, datatype, tables, rerun, priority })))])
    },
    job: async hash => (await pool.query(`SELECT * FROM ${processor.names.outgoing.table} WHERE hash = $1`, [hash])).rows[0] as Record<string, unknown> | undefined,
    async until(sql) {
      while ((await pool.query(sql)).rows.length === 0) await new Promise(resolve => setTimeout(resolve, 20))
    },
    async end() {
      await pool.end()
      await drop()
    },
  }
}
