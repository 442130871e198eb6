import { checkRequest, planRequest, type DataRequest } from './request.js'

/** What a request would do. */
export interface DataPlan {
  /** Distinct ids asked for. */
  ids: number
  hits: number
  misses: number
  /** Ids per fetch, and fetches. */
  batchSize: number
  batches: number
  /** Columns the fetcher would be asked for: the base columns. Empty when nothing is missing. */
  columnsToFetch: readonly string[]
  /** Bytes the fetched rows would add to the cache, guessed from what is cached; 0 when nothing is known. */
  estimatedBytes: number
}

/**
 * Say what a request would do, from the ids and the part indexes alone: no column is decoded, no source touched.
 *
 * @throws {InvalidArgumentError} as `getData`
 */
export async function planData(request: Omit<DataRequest, 'fetcher'> & Partial<Pick<DataRequest, 'fetcher'>>): Promise<DataPlan> {
  const checked = checkRequest(request, { needsFetcher: request.fetcher !== undefined })
  const { plan } = await planRequest(checked)
  const parts = plan.snapshot?.manifest.parts ?? []
  const [bytes, rows] = parts.reduce(([b, r], part) => [b + part.bytes, r + part.rows], [0, 0])
  return { ids: plan.ids.size, hits: plan.hits, misses: plan.misses, batchSize: plan.batchSize, batches: plan.batches,
    columnsToFetch: plan.misses > 0 ? checked.columns.bases : [],
    estimatedBytes: rows > 0 ? Math.round(plan.misses * bytes / rows) : 0 }
}
