import { checkInteger } from '../../check-number.js'
import { InvalidArgumentError } from '../../errors.js'
import { encodeParameters } from '../../queue/parameters.js'
import { queueStatements } from '../../queue/postgresql-schema.js'
import { postgresqlArrayBackend } from '../backends/postgresql-array.js'
import { postgresqlBitBackend } from '../backends/postgresql-bit.js'
import { runSql, type ProcessorPool } from './connection.js'
import { cronStatus, schedule, unschedule, type CronState, type ScheduleOptions } from './cron.js'
import type { EvictionPolicy } from '../eviction-plan.js'
import { driveJobs, type DriveOptions, type DriveReport } from './drive.js'
import { policies, setPolicy } from './eviction-policies.js'
import { removeSql, setupSql } from './installation.js'
import { processorNames, type ProcessorNames, type ProcessorPlace } from './names.js'
import { registeredQueries, registerQuery, unregisterQuery, type RegisteredQuery, type RegisterOptions } from './registered.js'
import { rolesSql, type ProcessorRoles, type RoleOptions } from './roles.js'
import { changeOf, configOf, type ProcessorChange, type ProcessorConfig } from './settings.js'
import { SCHEMA_VERSION } from './tables.js'

/** Where a processor is, and how to get there. */
export interface ProcessorOptions extends ProcessorPlace {
  /** To the database of queues and cache. */
  pool: ProcessorPool
  /** To the database that pg_cron is installed in (default: the same). */
  cronPool?: ProcessorPool | undefined
}

/** One line of the log. Times are the server's. */
export interface LogLine {
  readonly id: number
  readonly jobId: number | undefined
  readonly hash: string | undefined
  readonly partitionKey: string | undefined
  readonly status: 'success' | 'failed' | 'timeout' | 'skipped'
  readonly error: string | undefined
  readonly keys: number | undefined
  readonly ms: number | undefined
  readonly attempt: number | undefined
  /** It went to the dead letters. */
  readonly isDead: boolean
  readonly source: string | undefined
  readonly at: Date
}

/** What goes on. */
export interface ProcessorStatus {
  readonly config: ProcessorConfig
  readonly schemaVersion: number
  /** What drives it: pg_cron where it is installed, else whoever calls. */
  readonly cron: CronState | undefined
  readonly queue: { readonly waiting: number, readonly delayed: number, readonly leased: number, readonly dead: number }
  readonly active: readonly { readonly slot: number, readonly pid: number, readonly hash: string, readonly partitionKey: string, readonly ms: number }[]
  /** The last hour's jobs. */
  readonly lastHour: { readonly success: number, readonly failed: number, readonly timeout: number, readonly skipped: number, readonly averageMs: number | undefined, readonly maxMs: number | undefined }
}

/** What `evict` did, by partition key. */
export interface DatabaseEviction {
  readonly partitionKey: string
  readonly evicted: number
  readonly evictedBytes: number
  /** Entries whose time was up. */
  readonly expired: number
}

/** A processor inside PostgreSQL: it works off the fragment queue without any other process. */
export interface Processor {
  readonly names: ProcessorNames
  /** Make everything that is missing, and bring functions up to date. May run again. Answers the version that was there. */
  setup(): Promise<{ schemaVersion: number, before: number | undefined }>
  /** Remove everything but queues and cache. */
  remove(): Promise<void>
  config(): Promise<ProcessorConfig>
  /** Change settings; a schedule follows them. */
  configure(change: ProcessorChange): Promise<ProcessorConfig>
  /** Let it work: by pg_cron where that is installed, else whenever somebody calls. */
  enable(options?: ScheduleOptions): Promise<CronState | undefined>
  disable(): Promise<void>
  status(): Promise<ProcessorStatus>
  /** Newest first. */
  logs(options?: { limit?: number | undefined, status?: LogLine['status'] | undefined }): Promise<LogLine[]>
  /** Work from here until there is nothing to do, enabled or not. */
  runOnce(options?: DriveOptions): Promise<DriveReport>
  /** Evict by the policies in the table `<name>_eviction_config`. */
  evict(options?: { dryRun?: boolean | undefined }): Promise<DatabaseEviction[]>
  /** The policies by partition key; `*` holds for those without one of their own. */
  policies(): Promise<Record<string, EvictionPolicy>>
  setPolicy(partitionKey: string, policy: EvictionPolicy | undefined): Promise<void>
  /** A query that producers may ask for by its id; an earlier one of that id is replaced. */
  register(id: string, sql: string, options: RegisterOptions): Promise<RegisteredQuery>
  /** Answers whether there was one. */
  unregister(id: string): Promise<boolean>
  registered(): Promise<RegisteredQuery[]>
  /** Ask for a registered query with values, as a producer that may do nothing else. Answers 'queued', 'merged' with one that waits, or 'dead'. */
  enqueue(id: string, params?: readonly unknown[], options?: { priority?: number | undefined }): Promise<'queued' | 'merged' | 'dead'>
  /** GRANT statements for roles. */
  rolesSql(roles: ProcessorRoles, options?: RoleOptions): string
}

const COUNTS = ['waiting', 'delayed', 'leased', 'dead'] as const
const number = (text: string | null | undefined): number | undefined => text == null ? undefined : Number(text)

/** Open a processor; nothing is made before `setup`. */
export async function openProcessor({ pool, cronPool = pool, ...place }: ProcessorOptions): Promise<Processor> {
  if (typeof (pool as Partial<ProcessorPool> | undefined)?.connect !== 'function') throw new InvalidArgumentError({ argument: 'pool', expected: 'a pg.Pool', found: typeof pool })
  const [where] = await runSql(pool, 'find the current schema', 'SELECT pg_catalog.current_schema() AS schema')
  const names = processorNames({ ...place, schema: place.schema ?? where?.['schema'] ?? undefined })
  const { config: table, log, active, fn } = names

  async function configRow(): Promise<Record<string, string | null>> {
    const [row] = await runSql(pool, 'read its configuration', `SELECT * FROM ${table}`)
    if (row) return row
    throw new InvalidArgumentError({ argument: 'name', expected: 'a processor that was set up', found: 'an empty configuration' })
  }
  const config = async (): Promise<ProcessorConfig> => configOf(await configRow())
  const setEnabled = (enabled: boolean): Promise<unknown> => runSql(pool, 'switch it', `UPDATE ${table} SET enabled = $1, updated_at = pg_catalog.clock_timestamp()`, [enabled])

  return {
    names, config,
    async setup() {
      const [there] = await runSql(pool, 'look for it', 'SELECT pg_catalog.to_regclass($1) AS config', [table])
      const before = there?.['config'] == null ? undefined : number((await configRow())['schema_version'])
      if (before !== undefined && before > SCHEMA_VERSION) {
        throw new InvalidArgumentError({ argument: 'name', expected: `an installation of version ${SCHEMA_VERSION} or older`, found: `version ${before}: a newer millrace made it` })
      }
      const { tablePrefix, cacheSchema = names.schema } = place
      // opening makes the tables; the pool is not the backend's to close
      await (names.family === 'bit' ? postgresqlBitBackend : postgresqlArrayBackend)({ pool, tablePrefix, schema: cacheSchema })
      await runSql(pool, 'set it up', setupSql(names))
      return { schemaVersion: SCHEMA_VERSION, before }
    },
    async remove() {
      await unschedule(cronPool, names)
      await runSql(pool, 'remove it', removeSql(names))
    },
    async configure(change) {
      const { columns, values } = changeOf(change)
      const assignments = [...columns.map((column, i) => `${column} = $${i + 1}`), 'updated_at = pg_catalog.clock_timestamp()']
      await runSql(pool, 'change its configuration', `UPDATE ${table} SET ${assignments.join(', ')}`, values)
      const now = await config()
      if (now.enabled && (await cronStatus(cronPool, names))?.jobs.length) await schedule(cronPool, pool, names, now)
      return now
    },
    async enable(options) {
      const state = await schedule(cronPool, pool, names, await config(), options)
      await setEnabled(true)
      return state
    },
    async disable() {
      await config()
      await setEnabled(false)
      await unschedule(cronPool, names)
    },
    async status() {
      const row = await configRow()
      const [[counts], running, [hour], cron] = await Promise.all([
        runSql(pool, 'count its queue', queueStatements(names.outgoing).counts),
        runSql(pool, 'look at its work', `SELECT slot, pid, query_hash, partition_key, extract(epoch FROM pg_catalog.clock_timestamp() - started_at) * 1000 AS ms FROM ${active} ORDER BY slot`),
        runSql(pool, 'read its log', `SELECT ${(['success', 'failed', 'timeout', 'skipped'] as const).map(status => `count(*) FILTER (WHERE status = '${status}') AS ${status}`).join(', ')},
          avg(execution_time_ms) FILTER (WHERE status = 'success') AS average_ms, max(execution_time_ms) AS max_ms FROM ${log} WHERE created_at > pg_catalog.clock_timestamp() - interval '1 hour'`),
        cronStatus(cronPool, names)])
      return {
        config: configOf(row), schemaVersion: Number(row['schema_version']), cron,
        queue: Object.fromEntries(COUNTS.map(name => [name, Number(counts![name])])) as ProcessorStatus['queue'],
        active: running.map(one => ({ slot: Number(one['slot']), pid: Number(one['pid']), hash: one['query_hash']!, partitionKey: one['partition_key']!, ms: Number(one['ms']) })),
        lastHour: { success: Number(hour!['success']), failed: Number(hour!['failed']), timeout: Number(hour!['timeout']), skipped: Number(hour!['skipped']),
          averageMs: number(hour!['average_ms']), maxMs: number(hour!['max_ms']) },
      }
    },
    async logs({ limit = 20, status } = {}) {
      checkInteger('limit', limit, 1)
      const rows = await runSql(pool, 'read its log', `SELECT *, (extract(epoch FROM created_at) * 1000)::bigint AS at FROM ${log} WHERE $2::text IS NULL OR status = $2 ORDER BY id DESC LIMIT $1`, [limit, status ?? null])
      return rows.map(row => ({
        id: Number(row['id']), jobId: number(row['job_id']), hash: row['query_hash'] ?? undefined, partitionKey: row['partition_key'] ?? undefined, status: row['status'] as LogLine['status'],
        error: row['error_msg'] ?? undefined, keys: number(row['rows_affected']), ms: number(row['execution_time_ms']), attempt: number(row['attempt']), isDead: row['is_dead'] === 't',
        source: row['execution_source'] ?? undefined, at: new Date(Number(row['at']))
      }))
    },
    runOnce: async options => driveJobs(pool, names, await config(), options),
    async evict({ dryRun = false } = {}) {
      const rows = await runSql(pool, 'evict', `SELECT * FROM ${fn('evict')}($1)`, [dryRun])
      return rows.map(row => ({ partitionKey: row['evicted_key']!, evicted: Number(row['evicted']), evictedBytes: Number(row['evicted_bytes']), expired: Number(row['expired']) }))
    },
    policies: () => policies(pool, names),
    setPolicy: (partitionKey, policy) => setPolicy(pool, names, partitionKey, policy),
    register: (id, sql, options) => registerQuery(pool, names, id, sql, options),
    unregister: id => unregisterQuery(pool, names, id),
    registered: () => registeredQueries(pool, names),
    async enqueue(id, params = [], { priority = 1 } = {}) {
      const [row] = await runSql(pool, 'ask for a registered query', `SELECT ${fn('enqueue')}($1, $2::jsonb, $3) AS became`, [id, JSON.stringify(encodeParameters(params)), priority])
      return row!['became'] as 'queued' | 'merged' | 'dead'
    },
    rolesSql: (roles, options) => rolesSql(names, roles, options),
  }
}
