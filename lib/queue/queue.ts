import type { Datatype } from '../partition/key-types.js'

/** What a job is to run although the cache knows something of it: what is recorded as unusable, or everything. */
export type Rerun = 'unusable' | 'all'

/** A question for the partition cache: a whole query (incoming) or one fragment (outgoing). */
export interface QueueItem {
  readonly sql: string
  /** Identity of the SQL; a fragment's set is kept under it. */
  readonly hash: string
  /** The partition key whose sets are wanted. */
  readonly partitionKey: string
  /** Its type; undefined: as registered, else as the column is. */
  readonly datatype?: Datatype | undefined
  /** The tables that a fragment reads; undefined where nobody said. */
  readonly tables?: readonly string[] | undefined
  /** Values of $1, $2, … of a whole query. */
  readonly params?: readonly unknown[] | undefined
  readonly rerun?: Rerun | undefined
}

/** An item to be pushed: what is left out of it is worked out or taken from the options. */
export interface PushItem extends Omit<QueueItem, 'hash' | 'partitionKey'> {
  /** Default: the SHA-256 of the SQL (and the parameters, if there are any). */
  readonly hash?: string | undefined
  readonly partitionKey?: string | undefined
  readonly priority?: number | undefined
  readonly delayMs?: number | undefined
}

/** What holds for all items of one push that do not say otherwise. */
export interface PushOptions {
  partitionKey?: string | undefined
  datatype?: Datatype | undefined
  /** -2^31 to 2^31 - 1, larger first (default 1). */
  priority?: number | undefined
  /** Not to be taken before this many ms have passed (default 0). */
  delayMs?: number | undefined
  rerun?: Rerun | undefined
}

/** What became of pushed items. */
export interface PushReport {
  /** New in the queue. */
  readonly queued: number
  /** There already, waiting or being worked on. */
  readonly merged: number
  /** Among the dead letters, where they stay until they are retried. */
  readonly dead: number
}

/** How jobs are taken. */
export interface LeaseOptions {
  /** Jobs at most; given, the answer is an array. */
  count?: number | undefined
  /** Length of the lease without a heartbeat, in ms (default 30,000). */
  leaseMs?: number | undefined
  /** Longest wait for a job, in ms (default 0: no wait). */
  timeoutMs?: number | undefined
  /** Ends a wait: its reason is thrown. */
  signal?: AbortSignal | undefined
}

/** How a job is given back. */
export interface NackOptions {
  /** Why; kept with the job. */
  error?: unknown
  /** Not to be taken before (default 0). */
  delayMs?: number | undefined
  /** Whether the attempt counts (default true): false for what is not the job's fault, such as a worker that stops. */
  counts?: boolean | undefined
  /** To the dead letters at once: another attempt cannot help (default false). */
  dead?: boolean | undefined
}

/** A job in one's hands until `expiresAt`; each method is answered with false once it is in them no longer. */
export interface Lease {
  readonly item: QueueItem
  readonly priority: number
  /** 1 for the first. */
  readonly attempt: number
  /** The fencing token: larger than that of every earlier lease in this queue. */
  readonly token: number
  /** By this process's clock, ms since 1970; moved on by heartbeats. */
  readonly expiresAt: number
  /** Done: the job leaves the queue, unless it was pushed again meanwhile, and then waits once more. */
  ack(): Promise<boolean>
  /** Give it back. Goes to the dead letters once the queue's `maxAttempts` are used up. */
  nack(options?: NackOptions): Promise<boolean>
  /** Keep it for another `leaseMs` (default: the lease's own) from now. */
  heartbeat(leaseMs?: number): Promise<boolean>
}

/** A job that was given up. */
export interface DeadJob extends QueueItem {
  /** The job's own, within its queue. */
  readonly id: string
  readonly priority: number
  readonly attempts: number
  /** Why the last attempt failed. */
  readonly error: string | undefined
  readonly diedAt: Date
}

/** Jobs by state. */
export interface QueueCounts {
  readonly waiting: number
  readonly delayed: number
  readonly leased: number
  readonly dead: number
}

/**
 * A queue of jobs, one for each (hash, partition key).
 *
 * Every pushed job is handed out until somebody acks it: at least once, and once while its workers keep their leases. Larger
 * priorities first, then whoever waits longest. Trouble with the server is a `QueueError`; every call settles.
 */
export interface Queue {
  readonly name: 'incoming' | 'outgoing'
  /** One statement, whatever their number; all or nothing. */
  push(items: PushItem | readonly PushItem[], options?: PushOptions): Promise<PushReport>
  /** The best job that may be taken, or undefined when there is none within `timeoutMs`; with `count` as many as there are, up to it. */
  lease(options: LeaseOptions & { count: number }): Promise<Lease[]>
  lease(options?: LeaseOptions & { count?: undefined }): Promise<Lease | undefined>
  /** Jobs that are not dead: waiting, delayed or leased. */
  size(): Promise<number>
  counts(): Promise<QueueCounts>
  /** Removes all jobs, those being worked on too, and with `dead` the dead letters. Answers how many. */
  clear(options?: { dead?: boolean | undefined }): Promise<number>
  /** The dead letters, oldest jobs first, at most `limit` (default 1000) after the one with the id `after`. */
  dead(options?: { limit?: number | undefined, after?: string | undefined }): Promise<DeadJob[]>
  /** Puts dead jobs (of these hashes, else all) back with fresh attempts, to be run although recorded as unusable. Answers how many. */
  retryDead(hashes?: readonly string[]): Promise<number>
}

/** The two queues of a partition cache. */
export interface Queues {
  readonly provider: string
  /** Whole queries, to be decomposed. */
  readonly incoming: Queue
  /** Fragments, to be run. */
  readonly outgoing: Queue
  /** Ends waits (they answer as if nothing came) and what was opened for the queues; a client that was passed in stays open. Leases run out by themselves. */
  close(): Promise<void>
}
