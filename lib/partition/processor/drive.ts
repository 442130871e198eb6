import type { PgClient } from '../../source/postgres-session.js'
import { PartitionBackendError } from '../backend.js'
import { onClient, runSql, type ProcessorPool } from './connection.js'
import type { ProcessorNames } from './names.js'
import type { ProcessorConfig } from './settings.js'

/** How the run of one job ended; 'lost': its lease had run out; 'outdated': an invalidation overtook it, and it is queued again. */
export type JobEnd = 'success' | 'skipped' | 'failed' | 'timeout' | 'lost' | 'outdated'

/** What was worked off. `done` counts all. */
export type DriveReport = { done: number } & Record<JobEnd, number>

/** How far to go. */
export interface DriveOptions {
  /** At most so many (default: until there is nothing more to do now). */
  readonly maxJobs?: number | undefined
  /** Ends the run: the job in the works is cancelled and goes back to the queue as it was. */
  readonly signal?: AbortSignal | undefined
}

/** A moment more than the timeout, so that the job counts as late and not as disturbed. */
const GRACE_MS = 20

async function claimSlot(client: PgClient, { lockClass }: ProcessorNames, slots: number): Promise<number | undefined> {
  for (let slot = 1; slot <= slots; slot++) {
    const [row] = await runSql(client, 'look for a free slot', `SELECT pg_catalog.pg_try_advisory_lock(${lockClass}, $1) AS is_mine`, [slot])
    if (row?.['is_mine'] === 't') return slot
  }
  return undefined
}

/**
 * Work off the queue from here, one job after the other, as pg_cron's workers do: each job in a transaction of its own, bounded by
 * `statement_timeout`. Answers at once with nothing done where every slot is taken.
 */
export async function driveJobs(pool: ProcessorPool, names: ProcessorNames, config: ProcessorConfig, { maxJobs = Infinity, signal }: DriveOptions = {}): Promise<DriveReport> {
  const report: DriveReport = { done: 0, success: 0, skipped: 0, failed: 0, timeout: 0, lost: 0, outdated: 0 }
  signal?.throwIfAborted()
  await onClient(pool, async client => {
    const slot = await claimSlot(client, names, config.maxParallelJobs)
    if (slot === undefined) return
    const [backend] = await runSql(client, 'know its process', 'SELECT pg_catalog.pg_backend_pid() AS pid')
    const cancel = (): void => {
      // the one statement that is running; whatever it is, the job goes back to the queue
      void runSql(pool, 'cancel a job', 'SELECT pg_catalog.pg_cancel_backend($1)', [backend!['pid']]).catch(() => {})
    }
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      while (report.done < maxJobs && !signal?.aborted) {
        const [job] = await runSql(client, 'take a job', `SELECT * FROM ${names.fn('take_job')}($1, 'manual')`, [slot])
        if (job?.['job_id'] == null) break
        if (job['job_lease'] === null) continue
        await runSql(client, 'set a timeout', `SET statement_timeout = ${config.timeoutMs + GRACE_MS}`)
        const [row] = await runSql(client, 'run a job', `SELECT ${names.fn('run_job')}($1, $2, 'manual', true) AS outcome`, [job['job_id'], job['job_lease']])
        await runSql(client, 'end a timeout', 'RESET statement_timeout')
        const outcome = row!['outcome'] as JobEnd | 'cancelled'
        if (outcome === 'cancelled') break
        report.done++
        report[outcome]++
      }
      await runSql(client, 'leave its slot', `SELECT pg_catalog.pg_advisory_unlock(${names.lockClass}, $1)`, [slot])
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }).catch((error: unknown) => {
    // the cancel met another statement than the fragment: the connection is gone, and with it the slot
    if (!(signal?.aborted && error instanceof PartitionBackendError)) throw error
  })
  signal?.throwIfAborted()
  return report
}
