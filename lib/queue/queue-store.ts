import { MillraceError, messageOf, type MillraceErrorOptions } from '../errors.js'
import type { QueueCounts, QueueItem } from './queue.js'

/** A job as a provider keeps it. */
export interface StoredItem extends QueueItem {
  readonly priority: number
}

/** A job on its way in. No two of one push share hash and partition key. */
export interface NewItem extends StoredItem {
  readonly delayMs: number
}

/** A job and the lease it is held by. Both texts are the provider's own. */
export interface HeldJob {
  readonly id: string
  readonly lease: string
}

/** A job that was just taken. */
export interface TakenJob extends HeldJob {
  readonly item: StoredItem
  readonly attempt: number
}

/** What a take found. */
export interface Taken {
  readonly jobs: readonly TakenJob[]
  /** Jobs that went to the dead letters instead: their workers died as often as attempts are allowed. */
  readonly died: number
  /** ms until the next job is due; undefined where none is known. */
  readonly waitMs: number | undefined
}

/** A job on its way back. */
export interface ReturnedJob extends HeldJob {
  readonly delayMs: number
  readonly error: string | undefined
  /** The attempt counts; where it was the last one allowed, the job is dead. */
  readonly counts: boolean
  /** Dead, whatever its attempts. */
  readonly isDead: boolean
}

/** A dead letter as a provider keeps it. */
export interface StoredDead extends StoredItem {
  readonly id: string
  readonly attempts: number
  readonly error: string | undefined
  /** ms since 1970. */
  readonly diedAt: number
}

/**
 * One queue of one provider. The queue object above validates, waits, and makes leases of jobs.
 *
 * Every method is one atomic operation on the server, by the server's clock, safe against all others at the same time; a job's
 * states and what moves it between them are described in `postgresql-schema.ts` and hold for every provider. A lease that ran out
 * or was taken by another is not held: `ack`, `nack` and `extend` leave such a job alone and do not answer its id. Trouble with the
 * server is a `QueueError`.
 */
export interface QueueStore {
  /** Adds or merges, and wakes who listens. */
  push(items: readonly NewItem[]): Promise<{ inserted: number, merged: number }>
  take(count: number, options: { leaseMs: number, maxAttempts: number }): Promise<Taken>
  /** Ids of those that were held. */
  ack(jobs: readonly HeldJob[]): Promise<readonly string[]>
  /** Those that were held, and whether they are dead now. */
  nack(jobs: readonly ReturnedJob[], options: { maxAttempts: number }): Promise<readonly { id: string, isDead: boolean }[]>
  /** Ids of those that are held, for `leaseMs` from now. */
  extend(jobs: readonly HeldJob[], options: { leaseMs: number }): Promise<readonly string[]>
  counts(): Promise<QueueCounts>
  clear(options: { dead: boolean }): Promise<number>
  /** Dead jobs in the order of their ids, after one of them. */
  dead(limit: number, after: string | undefined): Promise<readonly StoredDead[]>
  retry(hashes: readonly string[] | undefined): Promise<number>
  /** Calls `wake` when there may be work, until the answer is called. A lost connection wakes too, and is restored or given up: waits poll as well. */
  listen(wake: () => void): Promise<() => Promise<void>>
}

/** Both queues of a provider. */
export interface QueueProvider {
  readonly name: string
  readonly incoming: QueueStore
  readonly outgoing: QueueStore
  /** Ends what it opened itself. */
  close(): Promise<void>
}

/** The server behind the queues failed. `isTransient`: another attempt may help; a push may be repeated, as jobs are queued once. */
export class QueueError extends MillraceError {
  readonly provider: string
  readonly isTransient: boolean
  constructor({ provider, action, isTransient = false, ...rest }: { provider: string, action: string, isTransient?: boolean } & MillraceErrorOptions) {
    super('ERR_QUEUE', `${provider} queue: ${action}${rest.cause === undefined ? '' : `: ${messageOf(rest.cause)}`}`, rest)
    this.provider = provider
    this.isTransient = isTransient
  }
}
