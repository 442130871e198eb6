import { onClient, runSql, type ProcessorPool } from './connection.js'
import { cronJobName, cronJobs } from './cron-jobs.js'
import type { ProcessorNames } from './names.js'
import type { ProcessorConfig } from './settings.js'

/** pg_cron and the jobs it has for a processor. */
export interface CronState {
  readonly version: string
  readonly jobs: readonly {
    readonly jobname: string
    readonly schedule: string
    readonly command: string
    readonly role: string
    /** How its last run ended, as pg_cron says it; undefined before the first. */
    readonly lastStatus: string | undefined
    readonly lastMessage: string | undefined
  }[]
}

/** Who works. */
export interface ScheduleOptions {
  /** The role that pg_cron runs workers as (default: who schedules); naming another one takes a superuser. */
  readonly role?: string | undefined
}

async function cronVersion(pool: ProcessorPool): Promise<string | undefined> {
  const [row] = await runSql(pool, 'look for pg_cron', "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'")
  return row?.['extversion'] ?? undefined
}

const OWN_JOBS = 'pg_catalog.starts_with(jobname, $1)'

/** What pg_cron has scheduled; undefined where it is not installed. */
export async function cronStatus(pool: ProcessorPool, names: ProcessorNames): Promise<CronState | undefined> {
  const version = await cronVersion(pool)
  if (version === undefined) return undefined
  const rows = await runSql(pool, "read pg_cron's jobs", `SELECT jobname, schedule, command, username, last.status, last.return_message FROM cron.job AS j
    LEFT JOIN LATERAL (SELECT status, return_message FROM cron.job_run_details AS d WHERE d.jobid = j.jobid ORDER BY runid DESC LIMIT 1) AS last ON true
    WHERE ${OWN_JOBS} ORDER BY jobname`, [cronJobName(names, '')])
  return { version, jobs: rows.map(row => ({ jobname: row['jobname']!, schedule: row['schedule']!, command: row['command']!, role: row['username']!,
    lastStatus: row['status'] ?? undefined, lastMessage: row['return_message'] ?? undefined })) }
}

/** Take a processor's jobs off pg_cron's list. */
export async function unschedule(pool: ProcessorPool, names: ProcessorNames): Promise<void> {
  if (await cronVersion(pool) === undefined) return
  await runSql(pool, 'unschedule it', `SELECT cron.unschedule(jobid) FROM cron.job WHERE ${OWN_JOBS}`, [cronJobName(names, '')])
}

/** Put the jobs of a configuration on pg_cron's list, in place of those that were there; all or nothing. undefined where it is not installed. */
export async function schedule(cronPool: ProcessorPool, pool: ProcessorPool, names: ProcessorNames, config: ProcessorConfig, { role }: ScheduleOptions = {}): Promise<CronState | undefined> {
  const version = await cronVersion(cronPool)
  if (version === undefined) return undefined
  const [here] = await runSql(pool, 'know its database', 'SELECT pg_catalog.current_database() AS database')
  const before = await cronStatus(cronPool, names)
  // a schedule that is renewed keeps its role
  const user = role ?? before?.jobs[0]?.role ?? null
  await onClient(cronPool, async client => {
    await runSql(client, 'begin', 'BEGIN')
    await runSql(client, 'unschedule it', `SELECT cron.unschedule(jobid) FROM cron.job WHERE ${OWN_JOBS}`, [cronJobName(names, '')])
    for (const { jobname, schedule: when, command } of cronJobs(names, version, config)) {
      await runSql(client, 'schedule it', `SELECT CASE WHEN $4 = pg_catalog.current_database() AND coalesce($5, current_user) = current_user THEN cron.schedule($1, $2, $3)
        ELSE cron.schedule_in_database($1, $2, $3, $4, $5) END`, [jobname, when, command, here!['database'], user])
    }
    await runSql(client, 'commit', 'COMMIT')
  })
  return cronStatus(cronPool, names)
}
