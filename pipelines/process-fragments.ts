import { checkInteger, checkNumber } from '../lib/check-number.js'
import { InvalidArgumentError } from '../lib/errors.js'
import type { FragmentJobOptions, FragmentRun, FragmentJobEnd } from '../lib/queue/fragment-jobs.js'
import { fragmentRunner } from '../streams/fragment-runner.js'
import { partitionSink } from '../streams/partition-sink.js'
import { work, type WorkerOptions } from './worker.js'

/** What became of fragments so far. */
export interface FragmentWorkReport {
  readonly stored: number
  readonly cached: number
  readonly skipped: number
  readonly tooLarge: number
  readonly timedOut: number
  readonly failed: number
  /** Given back (its tables were invalidated meanwhile, a server was away, the worker stops), or somebody else's by the time they were done. */
  readonly returned: number
}

/** Options of `processFragments`. */
export interface ProcessFragmentsOptions extends WorkerOptions, FragmentJobOptions {
  /** Fragments run at once (default 2), and jobs held at most. */
  concurrency?: number | undefined
  /** Called after each fragment. */
  onProgress?: ((report: FragmentWorkReport) => void) | undefined
}

const COUNTED = { stored: 'stored', cached: 'cached', skipped: 'skipped', 'too large': 'tooLarge', timeout: 'timedOut', failed: 'failed', outdated: 'returned', lost: 'returned', returned: 'returned' } as const satisfies Record<FragmentJobEnd, keyof FragmentWorkReport>

/**
 * Takes fragments from the outgoing queue, runs them in read-only transactions, and keeps their sets. Only what is about to run is
 * taken. Resolves when the queue is empty (`untilEmpty`) or when stopped by `signal`. Servers that go away are waited for.
 *
 * @throws {QueueError} the queue's server refused for good
 */
export async function processFragments({ onProgress, queues, signal, untilEmpty, leaseMs, stopGraceMs, concurrency = 2, ...options }: ProcessFragmentsOptions): Promise<FragmentWorkReport> {
  checkOptions({ ...options, concurrency })
  let report: FragmentWorkReport = { stored: 0, cached: 0, skipped: 0, tooLarge: 0, timedOut: 0, failed: 0, returned: 0 }
  const onDone = (_: FragmentRun, end: FragmentJobEnd): void => {
    const name = COUNTED[end]
    report = { ...report, [name]: report[name] + 1 }
    onProgress?.(report)
  }
  await work({ queues, signal, untilEmpty, leaseMs, stopGraceMs }, concurrency, ({ outgoing }) => ({
    queue: outgoing, stages: [fragmentRunner({ ...options, concurrency }), partitionSink({ ...options, concurrency, onDone })]
  }))
  return report
}

function checkOptions(options: FragmentJobOptions & { concurrency: number }): void {
  if (typeof (options.source as Partial<FragmentJobOptions['source']> | undefined)?.query !== 'function') throw new InvalidArgumentError({ argument: 'source', expected: 'a source', found: typeof options.source })
  if (typeof (options.cache as Partial<FragmentJobOptions['cache']> | undefined)?.setSet !== 'function') throw new InvalidArgumentError({ argument: 'cache', expected: 'a partition cache', found: typeof options.cache })
  checkInteger('concurrency', options.concurrency, 1)
  for (const name of ['timeoutMs', 'maxKeys', 'ttlMs', 'retryDelayMs'] as const) if (options[name] !== undefined) checkNumber(name, options[name], 0)
}
