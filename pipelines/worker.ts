import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { checkNumber } from '../lib/check-number.js'
import { HeldJobs, LeaseLostError } from '../lib/queue/held-jobs.js'
import type { Queue, Queues } from '../lib/queue/queue.js'
import { withQueues } from '../lib/queue/shared-queues.js'
import { timerMs } from '../lib/timers.js'
import { queueSource } from '../streams/queue-source.js'

/** What both workers take. */
export interface WorkerOptions {
  /** The queues to work on (default: those that the environment names). */
  queues?: Queues | undefined
  /** Stops the worker: it takes no more, finishes what it holds or gives it back, and answers its report. */
  signal?: AbortSignal | undefined
  /** End when the queue is empty, jobs in other hands and delayed ones included (default false: work for ever); a promise: not before it has settled. */
  untilEmpty?: boolean | Promise<unknown> | undefined
  /** Length of a lease, in ms (default 30,000): how long the jobs of a worker that died are held back. Kept by heartbeats. */
  leaseMs?: number | undefined
  /** How long a stopped worker may finish what it holds before it gives it back, in ms (default 10,000). */
  stopGraceMs?: number | undefined
}

/** Runs a pipeline of stages on the jobs of a queue until it ends, is stopped, or fails; nothing is held afterwards. */
export async function work({ queues, signal, untilEmpty = false, leaseMs = 30_000, stopGraceMs = 10_000 }: WorkerOptions, maxHeld: number,
  compose: (queues: Queues) => { queue: Queue, stages: readonly Transform[] }): Promise<void> {
  checkNumber('stopGraceMs', stopGraceMs, 0)
  checkNumber('leaseMs', leaseMs, 1)
  await withQueues(queues, async opened => {
    const { queue, stages } = compose(opened)
    const held = new HeldJobs({ leaseMs, maxHeld })
    const stop = new AbortController()
    let grace: NodeJS.Timeout | undefined
    const onAbort = (): void => {
      stop.abort(signal?.reason)
      grace = setTimeout(() => { held.cancel(new LeaseLostError('the worker stops')) }, timerMs(stopGraceMs))
    }
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const source: Readable = queueSource({ queue, held, leaseMs, untilEmpty, signal: stop.signal })
      await pipeline([source, ...stages])
    } finally {
      signal?.removeEventListener('abort', onAbort)
      stop.abort()
      clearTimeout(grace)
      await held.close()
    }
  })
}
