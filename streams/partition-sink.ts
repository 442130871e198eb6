import type { Transform } from 'node:stream'
import { concurrently } from '../lib/queue/concurrently.js'
import { storeFragmentJob, type FragmentJobOptions, type FragmentRun } from '../lib/queue/fragment-jobs.js'
import { stage } from './stage.js'

/** The end of a pipeline of run fragments: stores their sets where the job is still held, then settles it. `concurrency` at once (default 1). */
export function partitionSink({ concurrency = 1, onDone, ...options }: FragmentJobOptions & { concurrency?: number | undefined, onDone?: ((run: FragmentRun) => void) | undefined }): Transform {
  return stage<FragmentRun, never>('partition-sink', async function * (source) {
    for await (const run of concurrently(source, concurrency, async one => {
      await storeFragmentJob(one, options)
      return one
    })) onDone?.(run)
  }).resume()
}
