import { join } from 'node:path'
import type { StoreKind } from './careless-store.js'
import type { MutationResult } from './mutations.js'
import { inLanes, startWorker } from './workers.js'

/** What many damaged caches came to. */
export interface MutationRun {
  results: MutationResult[]
  exits: number
  hangs: number
}

/**
 * Use damaged copies of `<folder>/template`, in worker processes that may hang or die over it.
 *
 * @param hangMs a batch of mutations that takes longer hangs
 */
export async function mutateAll(folder: string, { total, batch = 250, hangMs = 120_000, store }: { total: number, batch?: number, hangMs?: number, store?: StoreKind }): Promise<MutationRun> {
  const run: MutationRun = { results: [], exits: 0, hangs: 0 }
  const seeds = Array.from({ length: Math.ceil(total / batch) }, (_, i) => i * batch)
  await inLanes(seeds, 2, async from => {
    const worker = await startWorker()
    const hung = setTimeout(() => {
      run.hangs++
      void worker.kill()
    }, hangMs)
    const answer = await worker.ask({ dir: folder, store, mutations: { template: join(folder, 'template'), from, count: batch } })
    clearTimeout(hung)
    await worker.kill()
    if (answer) run.results.push(...answer.mutations!)
    else run.exits++
  })
  return run
}
