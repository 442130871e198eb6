import { pipeline } from 'node:stream/promises'
import { evictionRounds } from '../streams/eviction-rounds.js'
import { partitionEvictor, type EvictionRound, type PartitionEvictorOptions } from '../streams/partition-evictor.js'

/** A worker that keeps a cache within its limits. */
export interface KeepEvictingOptions extends PartitionEvictorOptions {
  /** Between two rounds, in ms (default 60,000): at least 1, waits of more than 24 days are cut to that. */
  everyMs?: number | undefined
  /** Rounds in all (default: until aborted). */
  rounds?: number | undefined
  /** Told of each round; what it throws ends the worker. */
  onRound?: ((round: EvictionRound) => void) | undefined
}

/** What the rounds did together. */
export interface EvictionTotals {
  rounds: number
  /** Rounds that met trouble with the backend. */
  failed: number
  evicted: number
  evictedBytes: number
}

/**
 * Carry out an eviction policy again and again until `signal` aborts, which is the normal end: the removal in progress is
 * finished, and the totals are the answer. Passing trouble with the backend is left to the next round.
 *
 * @throws {InvalidArgumentError} the policy, `everyMs`, `rounds`, or an order that the backend cannot go by
 * @throws {PartitionBackendError} trouble that does not pass by itself
 */
export async function keepEvicting({ everyMs = 60_000, rounds, onRound, ...options }: KeepEvictingOptions): Promise<EvictionTotals> {
  const totals: EvictionTotals = { rounds: 0, failed: 0, evicted: 0, evictedBytes: 0 }
  await pipeline(
    evictionRounds({ everyMs, rounds, signal: options.signal }),
    partitionEvictor(options),
    async (source: AsyncIterable<EvictionRound>) => {
      for await (const round of source) {
        totals.rounds++
        if (round.error) totals.failed++
        for (const { evicted, evictedBytes } of round.reports) {
          totals.evicted += evicted.total
          totals.evictedBytes += evictedBytes
        }
        onRound?.(round)
      }
    })
  return totals
}
