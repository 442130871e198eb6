import type { Fragment } from '../partition/canonical.js'
import type { PushItem, PushOptions, PushReport, Queues } from './queue.js'
import { withQueues } from './shared-queues.js'

/** Options of the two pushes. */
export interface PushQueryOptions extends PushOptions {
  partitionKey: string
  /** Values of $1, $2, …, for a whole query. */
  params?: readonly unknown[] | undefined
  /** Where to (default: the queues that the environment names). */
  queues?: Queues | undefined
}

/** A fragment as `decompose` makes it; `tables` may be missing. */
export type QueuedFragment = Pick<Fragment, 'sql' | 'hash'> & Partial<Pick<Fragment, 'tables'>>

/**
 * Ask for a query's sets: workers decompose it, run its fragments, and fill the cache.
 *
 * @throws {InvalidArgumentError} names the offender
 * @throws {QueueError} the queue's server did not take it
 */
export async function pushToOriginalQueryQueue(sql: string | readonly string[], { queues, params, ...options }: PushQueryOptions): Promise<PushReport> {
  const items = (typeof sql === 'string' || !Array.isArray(sql) ? [sql as string] : sql as readonly string[]).map((one): PushItem => ({ sql: one, params }))
  return withQueues(queues, ({ incoming }) => incoming.push(items, options))
}

/**
 * Ask for the sets of fragments that `decompose` made. One statement for all of them.
 *
 * @throws {InvalidArgumentError} names the offender
 * @throws {QueueError} the queue's server did not take them
 */
export async function pushToQueryFragmentQueue(fragments: QueuedFragment | readonly QueuedFragment[], { queues, params: _, ...options }: PushQueryOptions): Promise<PushReport> {
  const items = (Array.isArray(fragments) ? fragments as readonly QueuedFragment[] : [fragments as QueuedFragment]).map(({ sql, hash, tables }): PushItem => ({ sql, hash, tables }))
  return withQueues(queues, ({ outgoing }) => outgoing.push(items, options))
}

/** Jobs in the two queues that are not dead, and the dead letters of both. @throws {QueueError} */
export async function getQueueLengths({ queues }: { queues?: Queues | undefined } = {}): Promise<{ incoming: number, outgoing: number, dead: number }> {
  return withQueues(queues, async open => {
    const [incoming, outgoing] = await Promise.all([open.incoming.counts(), open.outgoing.counts()])
    return { incoming: alive(incoming), outgoing: alive(outgoing), dead: incoming.dead + outgoing.dead }
  })
}

function alive({ waiting, delayed, leased }: { waiting: number, delayed: number, leased: number }): number {
  return waiting + delayed + leased
}
