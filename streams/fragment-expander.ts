import type { Transform } from 'node:stream'
import type { Job } from '../lib/queue/held-jobs.js'
import { expandQueryJob, type ExpandedQuery, type QueryJobOptions } from '../lib/queue/query-jobs.js'
import { stage } from './stage.js'

/** Job of a whole query → the query and its fragments. A query that cannot be decomposed passes with the reason. */
export function fragmentExpander(options: QueryJobOptions = {}): Transform {
  return stage<Job, ExpandedQuery>('fragment-expander', async function * (source) {
    for await (const job of source) yield await expandQueryJob(job, options)
  })
}
