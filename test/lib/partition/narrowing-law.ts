import { expect } from 'chai'
import pg from 'pg'
import { applyCache, type ApplyOptions, type ApplyStats } from '../../../lib/partition/apply.js'
import { memoryBackend } from '../../../lib/partition/backends/memory.js'
import { partitionCache, type PartitionCache } from '../../../lib/partition/cache.js'
import type { Datatype } from '../../../lib/partition/key-types.js'
import { populate, type PopulateOptions, type PopulateReport } from '../../../lib/partition/populate.js'
import { KeyTypeError, UnsupportedQueryError } from '../../../lib/errors.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { testDatabase } from '../../support/postgres.js'

/** What the tests of one suite ask: a database of their own, and a source of it. */
export interface LawDatabase {
  pool: pg.Pool
  client: pg.Client
  source: Source
  end(): Promise<void>
}

/** A new database with these tables. */
export async function lawDatabase(tables = ''): Promise<LawDatabase> {
  const database = await testDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: 3 })
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  await client.query(tables)
  const source = postgresSource({ pool })
  return { pool, client, source, async end() {
    await source.close()
    await client.end()
    await pool.end()
    await database.drop()
  } }
}

/** Values as the server prints them, so that nothing of a driver can hide a difference. */
const AS_TEXT = { getTypeParser: () => (value: string) => value }

/** A query's rows, sorted: a multiset that can be compared. */
export async function rowsOf(client: pg.ClientBase, sql: string, params: readonly unknown[] = []): Promise<string[]> {
  const { rows } = await client.query({ text: sql, values: params.length > 0 ? [...params] : undefined, rowMode: 'array', types: AS_TEXT } as pg.QueryArrayConfig)
  return (rows as unknown[]).map(row => JSON.stringify(row)).sort()
}

/** A question to the law: fill a cache with some queries' fragments, narrow another query, compare the rows. */
export interface LawCase {
  readonly partitionKey?: string
  readonly datatype?: Datatype
  /** Queries that are populated, one after the other. Those that are refused are left aside. */
  readonly populate: readonly string[]
  readonly query: string
  readonly params?: readonly unknown[]
  readonly options?: Partial<ApplyOptions & PopulateOptions>
  /** Whether the narrowing is told the source (default: both ways are tried). */
  readonly withSource?: boolean
  /** What the query must come out as (default: narrowed). */
  readonly outcome?: 'narrowed' | 'left alone' | 'either'
  /** Changes the session that the queries run in. */
  readonly session?: readonly string[]
}

/** What became of a case. */
export interface LawOutcome {
  readonly stats: ApplyStats
  readonly sql: string
  readonly reports: readonly PopulateReport[]
  readonly cache: PartitionCache
}

async function fill(cache: PartitionCache, source: Source, { populate: queries, params, options }: LawCase): Promise<PopulateReport[]> {
  const reports: PopulateReport[] = []
  for (const sql of queries) {
    try {
      reports.push(await populate(sql, { source, cache, params, ...options }))
    } catch (error) {
      if (!(error instanceof UnsupportedQueryError || error instanceof KeyTypeError)) throw error
    }
  }
  return reports
}

/** Runs a case on a database whose tables are there, and fails where a row is lost or won. */
export async function expectSameRows(client: pg.ClientBase, source: Source, law: LawCase): Promise<LawOutcome> {
  const { partitionKey = 'region_id', datatype, query, params, options, outcome = 'narrowed', session = [] } = law
  const cache = await partitionCache({ backend: memoryBackend(), partitionKey, datatype })
  const reports = await fill(cache, source, law)
  for (const statement of session) await client.query(statement)
  const expected = await rowsOf(client, query, params)
  let last: LawOutcome | undefined
  for (const withSource of law.withSource === undefined ? [true, false] : [law.withSource]) {
    const { sql, statements, stats } = await applyCache(query, { cache, params, ...options, ...(withSource ? { source } : {}) })
    for (const statement of statements) await client.query(statement)
    const found = await rowsOf(client, sql, params)
    expect(found, `with${withSource ? '' : 'out'} the source: ${sql}`).to.deep.equal(expected)
    if (outcome !== 'either') expect(stats.narrowed, `with${withSource ? '' : 'out'} the source: ${stats.reason ?? ''} ${sql}`).to.equal(outcome === 'narrowed')
    last = { stats, sql, reports, cache }
  }
  return last!
}
