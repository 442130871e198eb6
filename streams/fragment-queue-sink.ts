import type { Transform } from 'node:stream'
import { queueFragments, type ExpandedQuery } from '../lib/queue/query-jobs.js'
import type { Queue } from '../lib/queue/queue.js'
import { stage } from './stage.js'

/** The end of a pipeline of expanded queries: queues their fragments, then lets each query go. */
export function fragmentQueueSink({ queue, onDone }: { queue: Queue, onDone?: ((query: ExpandedQuery) => void) | undefined }): Transform {
  return stage<ExpandedQuery, never>('fragment-queue-sink', async function * (source) {
    for await (const query of source) {
      await queueFragments(query, queue)
      onDone?.(query)
    }
  }).resume()
}
