import { collectIds } from '../batch/id-set.js'
import { concatIds, type Id, type IdArray } from '../batch/ids.js'
import type { RowBatch } from '../batch/row-batch.js'
import type { Fetcher, FetchRequest } from './fetcher.js'

/** How a source fetches: ids ascending and each once, in an array that it leaves as it is. */
export type ArrayFetch = (ids: IdArray, table: string, request: FetchRequest) => AsyncIterable<RowBatch>

/** By the fetcher itself: one that wraps it, and may have taken its properties, is another. */
const arrayFetches = new WeakMap<Fetcher, ArrayFetch>()

/** A source's `fetch`, which takes ids in any order and with repeats. */
export function sourceFetcher(fetch: ArrayFetch, { maxConcurrency, identity }: Pick<Fetcher, 'maxConcurrency' | 'identity'>): Fetcher {
  async function * fetchRows(ids: readonly Id[], table: string, request: FetchRequest): AsyncGenerator<RowBatch> {
    const asked = await collectIds(ids)
    yield * fetch(concatIds([...asked.windows()]), table, request)
  }
  const fetcher = Object.assign(fetchRows, { maxConcurrency, identity, isLeaf: true })
  arrayFetches.set(fetcher, fetch)
  return fetcher
}

/** What a fetcher of `sourceFetcher` was made from: for whoever has its ids in an array, which need not become a list. */
export function arrayFetchOf(fetcher: Fetcher): ArrayFetch | undefined {
  return arrayFetches.get(fetcher)
}
