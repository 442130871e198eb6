import { setTimeout as delay } from 'node:timers/promises'
import { isTransient } from '../errors.js'
import type { HeldJobs, Job } from './held-jobs.js'
import { emit } from './metrics.js'
import type { Lease, Queue } from './queue.js'

/** How jobs are taken from a queue. */
export interface TakeJobsOptions {
  queue: Queue
  /** Holds what is taken; no more is taken than it has room for. */
  held: HeldJobs
  leaseMs: number
  /** Ends the taking; what is held stays held. */
  signal: AbortSignal
  /** End when the queue is empty, jobs in other workers' hands and delayed ones included; a promise: not before it has settled. */
  untilEmpty: boolean | Promise<unknown>
}

/** The look for the end of a queue that others empty too. */
const EMPTY_LOOK_MS = 250
const LONGEST_WAIT_MS = 10_000
const TROUBLE_MS = 500

/**
 * Jobs as they can be worked on. Trouble with the queue's server is waited out.
 *
 * @throws {QueueError} the server refused for good
 */
export async function * takeJobs({ queue, held, leaseMs, signal, untilEmpty }: TakeJobsOptions): AsyncGenerator<Job, void, undefined> {
  let mayEnd = untilEmpty === true
  if (typeof untilEmpty === 'object') untilEmpty.then(() => { mayEnd = true }, () => { mayEnd = true })
  let wasEmpty = false
  const isStopped = (): boolean => signal.aborted
  while (!isStopped()) {
    const count = await held.room()
    if (count === 0) return
    try {
      // looked at before the queue: what comes after the promise settled is nobody's promise
      const isLast = mayEnd
      const leases: Lease[] = await queue.lease({ count, leaseMs, signal, timeoutMs: untilEmpty === false ? LONGEST_WAIT_MS : wasEmpty ? EMPTY_LOOK_MS : 0 })
      wasEmpty = leases.length === 0
      if (wasEmpty && isLast && await queue.size() === 0) return
      for (const job of leases.map(lease => held.hold(lease))) yield job
    } catch (error) {
      if (isStopped()) return
      if (!isTransient(error)) throw error
      emit('millrace:queue:trouble', { where: 'taking jobs', error })
      await delay(TROUBLE_MS, undefined, { signal }).catch(() => { /* the loop sees it */ })
    }
  }
}
