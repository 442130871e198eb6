import type { Transform } from 'node:stream'
import { PartitionBackendError } from '../lib/partition/backend.js'
import type { PartitionCache } from '../lib/partition/cache.js'
import type { EvictionReport, EvictOptions } from '../lib/partition/evict.js'
import { checkPolicy, type EvictionPolicy } from '../lib/partition/eviction-plan.js'
import { stage } from './stage.js'

/** What a round did: reports by partition key, or why it could not. */
export interface EvictionRound {
  readonly round: number
  readonly reports: readonly EvictionReport[]
  /** Trouble that another round may not meet. */
  readonly error?: PartitionBackendError | undefined
}

/** What rounds carry out. */
export interface PartitionEvictorOptions extends EvictOptions {
  cache: Pick<PartitionCache, 'evict'>
  policy: EvictionPolicy
}

/**
 * Round numbers → EvictionRound. Carries out the policy once a round; passing trouble with the backend is in the round's `error`.
 *
 * @throws {InvalidArgumentError} at once: the policy
 */
export function partitionEvictor({ cache, policy, ...options }: PartitionEvictorOptions): Transform {
  checkPolicy(policy)
  return stage<number, EvictionRound>('partition-evictor', async function * (source, { signal }) {
    for await (const round of source) {
      try {
        const both = options.signal ? AbortSignal.any([signal, options.signal]) : signal
        yield { round, reports: await cache.evict(policy, { ...options, signal: both }) }
      } catch (error) {
        if (options.signal?.aborted && error === options.signal.reason) continue
        if (!(error instanceof PartitionBackendError && error.isTransient)) throw error
        yield { round, reports: [], error }
      }
    }
  })
}
