import type { Transform } from 'node:stream'
import { concurrently } from '../lib/queue/concurrently.js'
import { storeFragmentJob, type FragmentJobOptions, type FragmentRun, type FragmentJobEnd } from '../lib/queue/fragment-jobs.js'
import { stage } from './stage.js'

/** The end of a pipeline of run fragments: stores their sets where the job is still held, then settles it. `concurrency` at once (default 1); `onDone` is told what became of each job. */
export function partitionSink({ concurrency = 1, onDone, ...options }: FragmentJobOptions & { concurrency?: number | undefined, onDone?: ((run: FragmentRun, end: FragmentJobEnd) => void) | undefined }): Transform {
  return stage<FragmentRun, never>('partition-sink', async function * (source) {
    const done = concurrently(source, concurrency, async run => ({ run, end: await storeFragmentJob(run, options) }))
    for await (const { run, end } of done) onDone?.(run, end)
  }).resume()
}
