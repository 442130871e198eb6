import { setTimeout as delay } from 'node:timers/promises'
import { isTransient } from '../errors.js'
import { readCatalogue } from '../partition/catalogue.js'
import { decompose, type DecomposeOptions } from '../partition/decompose.js'
import type { Fragment } from '../partition/canonical.js'
import type { Source } from '../source/fetcher.js'
import type { Job } from './held-jobs.js'
import { emit } from './metrics.js'
import { sourceAnswers, untilAnswers } from './outage.js'
import type { Queue } from './queue.js'

/** How queries of a queue are decomposed. */
export interface QueryJobOptions extends Omit<DecomposeOptions, 'partitionKey' | 'params' | 'catalogue'> {
  /** Whose catalogue tells of functions and tables (default: none is asked, and PostgreSQL's own functions are known). */
  source?: Source | undefined
}

/** A query and its fragments, or why there are none. */
export interface ExpandedQuery {
  readonly job: Job
  readonly fragments: readonly Fragment[]
  readonly error: unknown
  readonly ms: number
}

const RETRY_MS = 500

/** Decomposes a job's query. Never fails: see `error`. */
export async function expandQueryJob(job: Job, { source, ...options }: QueryJobOptions): Promise<ExpandedQuery> {
  const { sql, partitionKey, params } = job.lease.item
  const startedAt = performance.now()
  try {
    const catalogue = source && await readCatalogue(source, sql)
    const fragments = decompose(sql, { ...options, partitionKey, params, catalogue })
    return { job, fragments, error: undefined, ms: performance.now() - startedAt }
  } catch (error) {
    // so that an outage costs a job one attempt
    if (source && isTransient(error)) await untilAnswers('source', () => sourceAnswers(source), job.signal).catch(() => { /* the job is lost */ })
    return { job, fragments: [], error, ms: performance.now() - startedAt }
  }
}

/**
 * Queues a query's fragments, and then lets the query go: however it ends, it is in one of the queues. A query that cannot be decomposed
 * is a dead letter at once.
 *
 * @throws {QueueError} the fragments were refused for good
 */
export async function queueFragments({ job, fragments, error, ms }: ExpandedQuery, outgoing: Queue): Promise<void> {
  const { item: { hash, partitionKey, datatype, rerun }, priority } = job.lease
  const done = (end: 'decomposed' | 'failed', cause?: unknown): void => {
    emit('millrace:queue:query', { hash, partitionKey, end, fragments: fragments.length, ms, ...(cause === undefined ? {} : { error: cause }) })
  }
  if (error !== undefined) {
    done('failed', error)
    await job.nack({ error, dead: !isTransient(error), delayMs: RETRY_MS })
    return
  }
  while (!job.signal.aborted) {
    try {
      await outgoing.push(fragments.map(({ sql, hash: of, tables }) => ({ sql, hash: of, tables })), { partitionKey, datatype, rerun, priority })
      await job.ack()
      done('decomposed')
      return
    } catch (trouble) {
      if (!isTransient(trouble)) throw trouble
      emit('millrace:queue:trouble', { where: 'queueing fragments', error: trouble })
      await delay(RETRY_MS, undefined, { signal: job.signal }).catch(() => { /* given back by whoever stops the worker */ })
    }
  }
}
