import { channel } from 'node:diagnostics_channel'
import type { QueueCounts, Queues } from './queue.js'

type QueueName = 'incoming' | 'outgoing'

/** How the run of a fragment ended; 'lost': its lease ran out, and its result was thrown away; 'outdated': an invalidation overtook it. */
export type FragmentEnd = 'stored' | 'cached' | 'skipped' | 'too large' | 'timeout' | 'failed' | 'lost' | 'outdated'

/** What is published, by the name of its `diagnostics_channel`. */
export interface QueueEvents {
  /** A query's partition keys were looked up; `hits` are the sets that were intersected. */
  'millrace:partition:lookup': { partitionKey: string, fragments: number, hits: number }
  'millrace:queue:push': { queue: QueueName, provider: string, queued: number, merged: number, dead: number }
  'millrace:queue:lease': { queue: QueueName, provider: string, jobs: number }
  /** A job was given back; 'lost': it was no longer held. */
  'millrace:queue:settle': { queue: QueueName, provider: string, end: 'ack' | 'nack' | 'dead' | 'lost', hash: string | undefined, error?: unknown }
  /** A query was decomposed, or refused. */
  'millrace:queue:query': { hash: string, partitionKey: string, end: 'decomposed' | 'failed', fragments: number, ms: number, error?: unknown }
  /** A fragment was run, or not for a reason. */
  'millrace:queue:fragment': { hash: string, partitionKey: string, end: FragmentEnd, keys: number | undefined, ms: number, error?: unknown }
  /** A worker met trouble with a server, or a query with the cache, and goes on. */
  'millrace:queue:trouble': { where: string, error: unknown }
}

/** Upper bounds of the histograms' buckets, in ms. */
export const BUCKETS_MS: readonly number[] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000]

/** Durations: `buckets[i]` counts those of at most `BUCKETS_MS[i]`, all shorter ones included. */
export interface Durations {
  count: number
  totalMs: number
  maxMs: number
  buckets: number[]
}

/** Counts since the process began (or `resetMetrics`). */
export interface Counters {
  lookups: { count: number, fragments: number, hits: number, known: number }
  queues: Record<QueueName, { pushed: number, merged: number, refused: number, leased: number, acked: number, nacked: number, dead: number, lost: number }>
  queries: Record<'decomposed' | 'failed', number> & { fragments: number, durations: Durations }
  fragments: Record<FragmentEnd, number> & { keys: number, durations: Durations }
  troubles: number
}

/** What this process did and what the queues hold. Rates are from 0 to 1, undefined while there is nothing to divide by. */
export interface Metrics extends Counters {
  /** Lookups that found at least one set. */
  hitRate: number | undefined
  /** Cached fragments among those that were asked for; implied sets count, so it is capped at 1. */
  fragmentHitRate: number | undefined
  /** Fragments that failed, timed out or were too large, among those that ran. */
  errorRate: number | undefined
  /** Only with `queues`. */
  depths: Record<QueueName, QueueCounts> | undefined
}

const noDurations = (): Durations => ({ count: 0, totalMs: 0, maxMs: 0, buckets: BUCKETS_MS.map(() => 0) })
const noJobs = (): Counters['queues'][QueueName] => ({ pushed: 0, merged: 0, refused: 0, leased: 0, acked: 0, nacked: 0, dead: 0, lost: 0 })
const noCounts = (): Counters => ({
  lookups: { count: 0, fragments: 0, hits: 0, known: 0 },
  queues: { incoming: noJobs(), outgoing: noJobs() },
  queries: { decomposed: 0, failed: 0, fragments: 0, durations: noDurations() },
  fragments: { stored: 0, cached: 0, skipped: 0, 'too large': 0, timeout: 0, failed: 0, lost: 0, outdated: 0, keys: 0, durations: noDurations() },
  troubles: 0
})

let counters = noCounts()

function add(durations: Durations, ms: number): void {
  durations.count++
  durations.totalMs += ms
  durations.maxMs = Math.max(durations.maxMs, ms)
  for (const [i, bound] of BUCKETS_MS.entries()) if (ms <= bound) durations.buckets[i]!++
}

const COUNT: { readonly [N in keyof QueueEvents]: (event: QueueEvents[N]) => void } = {
  'millrace:partition:lookup'({ fragments, hits }) {
    counters.lookups.count++
    counters.lookups.fragments += fragments
    counters.lookups.hits += hits
    if (hits > 0) counters.lookups.known++
  },
  'millrace:queue:push'({ queue, queued, merged, dead }) {
    const of = counters.queues[queue]
    of.pushed += queued
    of.merged += merged
    of.refused += dead
  },
  'millrace:queue:lease'({ queue, jobs }) { counters.queues[queue].leased += jobs },
  'millrace:queue:settle'({ queue, end }) { counters.queues[queue][SETTLED[end]]++ },
  'millrace:queue:query'({ end, fragments, ms }) {
    counters.queries[end]++
    counters.queries.fragments += fragments
    add(counters.queries.durations, ms)
  },
  'millrace:queue:fragment'({ end, keys = 0, ms }) {
    counters.fragments[end]++
    counters.fragments.keys += keys
    if (end !== 'cached' && end !== 'skipped') add(counters.fragments.durations, ms)
  },
  'millrace:queue:trouble'() { counters.troubles++ }
}
const SETTLED = { ack: 'acked', nack: 'nacked', dead: 'dead', lost: 'lost' } as const

/** Counts an event and publishes it on its channel. */
export function emit<N extends keyof QueueEvents>(name: N, event: QueueEvents[N]): void {
  COUNT[name](event)
  channel(name).publish(event)
}

/** Begin to count anew. */
export function resetMetrics(): void {
  counters = noCounts()
}

const share = (part: number, of: number): number | undefined => of === 0 ? undefined : Math.min(1, part / of)

/**
 * Hit rates, processing times, error rates and counts of this process; with `queues` their depths too.
 *
 * @throws {QueueError} the queues' server does not answer
 */
export async function metrics({ queues }: { queues?: Queues | undefined } = {}): Promise<Metrics> {
  const depths = queues && await Promise.all([queues.incoming.counts(), queues.outgoing.counts()])
  const { lookups, fragments } = counters
  const bad = fragments.failed + fragments.timeout + fragments['too large']
  return {
    ...structuredClone(counters),
    hitRate: share(lookups.known, lookups.count), fragmentHitRate: share(lookups.hits, lookups.fragments), errorRate: share(bad, bad + fragments.stored),
    depths: depths && { incoming: depths[0], outgoing: depths[1] }
  }
}
