import { join } from 'node:path'
import type { StoreKind } from './careless-store.js'
import type { MutationResult } from './mutations.js'
import { inLanes, startWorker, type Worker } from './workers.js'

/** What many damaged caches came to. */
export interface MutationRun {
  results: MutationResult[]
  /** The first seeds of batches over which a worker died, or never answered. */
  exits: number[]
  hangs: number[]
}

/** Mutations asked for in one go: few, so that a busy machine is not taken for a hang. */
const BATCH = 25

/**
 * Use damaged copies of `<folder>/template`, in worker processes that may hang or die over it.
 *
 * @param hangMs a batch of 25 mutations that takes longer hangs (it takes about a second)
 */
export async function mutateAll(folder: string, { total, hangMs = 180_000, store }: { total: number, hangMs?: number, store?: StoreKind }): Promise<MutationRun> {
  const run: MutationRun = { results: [], exits: [], hangs: [] }
  const idle: Worker[] = []
  await inLanes(Array.from({ length: Math.ceil(total / BATCH) }, (_, i) => i * BATCH), 2, async from => {
    const worker = idle.pop() ?? await startWorker()
    let hung = false
    const timer = setTimeout(() => {
      hung = true
      void worker.kill()
    }, hangMs)
    const answer = await worker.ask({ dir: folder, store, mutations: { template: join(folder, 'template'), from, count: BATCH } })
    clearTimeout(timer)
    if (answer) {
      run.results.push(...answer.mutations!)
      idle.push(worker)
    } else (hung ? run.hangs : run.exits).push(from)
  })
  for (const worker of idle) await worker.kill()
  return run
}
