import { Readable } from 'node:stream'
import { takeJobs, type TakeJobsOptions } from '../lib/queue/take-jobs.js'

/** Readable of jobs of a queue, each with its lease held: as many at once as `held` has room for, wherever they are in the pipeline. */
export function queueSource(options: TakeJobsOptions): Readable {
  return Readable.from(takeJobs(options), { objectMode: true, highWaterMark: 1 })
}
