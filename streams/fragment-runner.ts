import type { Transform } from 'node:stream'
import { concurrently } from '../lib/queue/concurrently.js'
import { runFragmentJob, type FragmentJobOptions, type FragmentRun } from '../lib/queue/fragment-jobs.js'
import type { Job } from '../lib/queue/held-jobs.js'
import { stage } from './stage.js'

/** Job of a fragment → its keys, as they come. `concurrency` fragments run at once (default 1). */
export function fragmentRunner({ concurrency = 1, ...options }: FragmentJobOptions & { concurrency?: number | undefined }): Transform {
  return stage<Job, FragmentRun>('fragment-runner', source => concurrently(source, concurrency, job => runFragmentJob(job, options)))
}
