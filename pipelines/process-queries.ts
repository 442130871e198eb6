import type { QueryJobOptions } from '../lib/queue/query-jobs.js'
import { fragmentExpander } from '../streams/fragment-expander.js'
import { fragmentQueueSink } from '../streams/fragment-queue-sink.js'
import { work, type WorkerOptions } from './worker.js'

/** What became of whole queries so far. */
export interface QueryWorkReport {
  readonly decomposed: number
  readonly failed: number
  /** Fragments that were queued, or were in the queue already. */
  readonly fragments: number
}

/** Options of `processQueries`: what decomposes, and how. */
export interface ProcessQueriesOptions extends WorkerOptions, QueryJobOptions {
  /** Called after each query. */
  onProgress?: ((report: QueryWorkReport) => void) | undefined
}

/** Queries waiting between the stages, at most. */
const MAX_HELD = 4

/**
 * Takes whole queries from the incoming queue, decomposes them, and queues their fragments. Resolves when the queue is empty
 * (`untilEmpty`) or when stopped by `signal`. Trouble with the queue's server is waited out.
 *
 * @throws {QueueError} the server refused for good
 */
export async function processQueries({ onProgress, queues, signal, untilEmpty, leaseMs, stopGraceMs, ...options }: ProcessQueriesOptions = {}): Promise<QueryWorkReport> {
  let report: QueryWorkReport = { decomposed: 0, failed: 0, fragments: 0 }
  await work({ queues, signal, untilEmpty, leaseMs, stopGraceMs }, MAX_HELD, ({ incoming, outgoing }) => ({
    queue: incoming,
    stages: [fragmentExpander(options), fragmentQueueSink({ queue: outgoing, onDone({ error, fragments }) {
      report = { decomposed: report.decomposed + (error === undefined ? 1 : 0), failed: report.failed + (error === undefined ? 0 : 1), fragments: report.fragments + fragments.length }
      onProgress?.(report)
    } })]
  }))
  return report
}
