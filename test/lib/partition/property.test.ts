// needs: postgres
import { expect } from 'chai'
import pg from 'pg'
import { applyCache } from '../../../lib/partition/apply.js'
import { memoryBackend } from '../../../lib/partition/backends/memory.js'
import { partitionCache } from '../../../lib/partition/cache.js'
import { NARROWING_METHODS } from '../../../lib/partition/narrow.js'
import { populate } from '../../../lib/partition/populate.js'
import { UnsupportedQueryError } from '../../../lib/errors.js'
import { openQueues } from '../../../lib/queue/open-queues.js'
import { pushToOriginalQueryQueue } from '../../../lib/queue/push-queries.js'
import { processFragments, type ProcessFragmentsOptions } from '../../../pipelines/process-fragments.js'
import { processQueries } from '../../../pipelines/process-queries.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { testDatabase } from '../../support/postgres.js'
import { seeded, type Random } from '../../support/random.js'
import { narrowerPlan, randomPlan, randomWorld, widerPlan, writeQuery, type RandomQuery, type World } from './random-queries.js'

const isLong = process.env['MILLRACE_FAULTS'] === 'long' || process.argv.includes('--long')
const PAIRS = isLong ? Number(process.env['MILLRACE_PAIRS'] ?? 2500) : 220
const SEED = Number(process.env['MILLRACE_SEED'] ?? 20260101)

/** Values as the server prints them, so that nothing of a driver can hide a difference. */
const AS_TEXT = { getTypeParser: () => (value: string) => value }

interface Count { pairs: number, narrowed: number, refused: number, unknown: number, empty: number, failedFragments: number, fragments: number, hits: number }

async function rowsOf(client: pg.Client, { sql, params }: RandomQuery): Promise<string[]> {
  const { rows } = await client.query({ text: sql, values: params.length > 0 ? [...params] : undefined, rowMode: 'array', types: AS_TEXT } as pg.QueryArrayConfig)
  return (rows as unknown[]).map(row => JSON.stringify(row)).sort()
}

/** Undefined for a query that the generator made and PostgreSQL does not take. */
async function answerOf(client: pg.Client, query: RandomQuery): Promise<string[] | undefined> {
  try {
    return await rowsOf(client, query)
  } catch (error) {
    if (process.env['MILLRACE_SHOW_INVALID']) console.log((error as Error).message, query.sql)
    return undefined
  }
}

describe('narrowing, over random schemas, data and queries', () => {
  let database: Awaited<ReturnType<typeof testDatabase>>
  let pool: pg.Pool
  let client: pg.Client
  const count: Count = { pairs: 0, narrowed: 0, refused: 0, unknown: 0, empty: 0, failedFragments: 0, fragments: 0, hits: 0 }

  before(async function () {
    this.timeout(60_000)
    database = await testDatabase()
    pool = new pg.Pool({ connectionString: database.url, max: 3 })
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
  })
  after(async () => {
    await client.end()
    await pool.end()
    await database.drop()
    const share = (n: number): string => `${(100 * n / Math.max(1, count.pairs)).toFixed(1)} %`
    console.log(`      ${count.pairs} pairs: narrowed ${share(count.narrowed)} (to nothing ${share(count.empty)}), refused ${share(count.refused)}, nothing cached ${share(count.unknown)}; ` +
      `${count.fragments} fragments run, ${count.failedFragments} failed; ${count.hits} sets used`)
  })

  async function makeWorld(world: World): Promise<void> {
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    await client.query("CREATE FUNCTION dist(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT abs(a - b)'; CREATE FUNCTION dist(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT abs(a - b)'")
    for (const statement of world.statements) await client.query(statement)
  }

  async function comparePair(random: Random, world: World, cache: Awaited<ReturnType<typeof partitionCache>>, query: RandomQuery, source: ReturnType<typeof postgresSource>): Promise<void> {
    const expected = await answerOf(client, query)
    if (!expected) return
    count.pairs++
    const { sql, statements, stats } = await applyCache(query.sql, { cache, params: query.params, pureFunctions: ['dist'], method: random.pick(NARROWING_METHODS.slice(0, 5)),
      ...(random.chance(0.6) ? { source } : {}) })
    if (!stats.narrowed) {
      expect(sql).to.equal(query.sql)
      if (stats.reason?.startsWith('no set')) count.unknown++
      else count.refused++
      return
    }
    count.narrowed++
    count.hits += stats.hits
    if (stats.keys === 0) count.empty++
    for (const statement of statements) await client.query(statement)
    let found: string[]
    try {
      found = await rowsOf(client, { sql, params: query.params })
    } catch (error) {
      throw new Error(`the narrowed query fails: ${String(error)}\n${query.sql}\n${sql}`)
    }
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      expect.fail(`${expected.length} rows became ${found.length}, partition key ${world.partitionKey} ${world.keyType}\n${query.sql}\n${JSON.stringify(query.params)}\n${sql}`)
    }
  }

  async function throughQueues({ sql, params }: RandomQuery, { onProgress: _, ...options }: ProcessFragmentsOptions): Promise<{ stored: number, failed: number }> {
    const queues = await openQueues('memory')
    await pushToOriginalQueryQueue(sql, { queues, params, partitionKey: options.cache.partitionKey })
    await processQueries({ ...options, queues, untilEmpty: true })
    const report = await processFragments({ ...options, queues, untilEmpty: true, concurrency: 2 })
    await queues.close()
    return report
  }

  it('answers the same rows as the query itself', async function () {
    this.timeout(isLong ? 3_600_000 : 120_000)
    for (let round = 0; count.pairs < PAIRS; round++) {
      const random = seeded(SEED + round)
      const world = randomWorld(random)
      await makeWorld(world)
      const source = postgresSource({ pool })
      const cache = await partitionCache({ backend: memoryBackend(), partitionKey: world.partitionKey, datatype: world.datatype })
      const plans = Array.from({ length: 4 }, () => randomPlan(random, world))
      for (const plan of plans) {
        for (const one of random.chance(0.5) ? [plan, widerPlan(random, plan)] : [plan]) {
          const query = writeQuery(random, one, world)
          if (!await answerOf(client, query)) continue
          const variants = { pureFunctions: ['dist'], bucketSteps: random.pick([0, 0, 1, 2]), keepAllAttributes: random.chance(0.8), followGraph: random.chance(0.9) }
          try {
            // every other world's sets are made by the workers of the queues
            const report = round % 2 ? await populate(query.sql, { source, cache, params: query.params, ...variants }) : await throughQueues(query, { source, cache, ...variants })
            count.fragments += report.stored + report.failed
            count.failedFragments += report.failed
            if (process.env['MILLRACE_SHOW_FAILED'] && 'outcomes' in report) for (const { outcome, sql, error } of report.outcomes) if (outcome === 'failed') console.log(String(error), '\n', sql, '\n', query.sql)
          } catch (error) {
            if (!(error instanceof UnsupportedQueryError)) throw error
          }
        }
      }
      for (const plan of plans) {
        await comparePair(random, world, cache, writeQuery(random, plan, world), source)
        await comparePair(random, world, cache, writeQuery(random, narrowerPlan(random, world, plan), world), source)
        await comparePair(random, world, cache, writeQuery(random, widerPlan(random, plan), world), source)
      }
      await comparePair(random, world, cache, writeQuery(random, randomPlan(random, world), world), source)
      await source.close()
    }
    expect(count.narrowed / count.pairs).to.be.greaterThan(0.3)
  })
})
