import { MillraceError, messageOf, type MillraceErrorOptions } from '../errors.js'
import type { Datatype, StoredKey } from './key-types.js'

/** How the computation of a set ended. */
export type EntryStatus = 'ok' | 'timeout' | 'failed'

/** What an entry holds: a set (an empty one included), the mark "unusable, do not use, do not recompute", or neither yet. */
export type EntryState = 'set' | 'null' | 'none'

/** A named key space and the type of its values. */
export interface Partition {
  readonly name: string
  readonly datatype: Datatype
}

/** What is known of an entry beside its keys. Times are ms since 1970. */
export interface EntryInfo {
  readonly hash: string
  readonly state: EntryState
  readonly query: string | undefined
  readonly status: EntryStatus | undefined
  /** The tables that the set was computed from; undefined where nobody said. */
  readonly tables: readonly string[] | undefined
  /** When the set was true; undefined where that was lost, and then it counts as older than anything. */
  readonly storedAt: number | undefined
  readonly expiresAt: number | undefined
}

/**
 * One atomic change of an entry, which it creates where absent. A field left out stays as it is, but for this: keys come with
 * `expiresAt`, whose absence then means "never"; and without keys `storedAt` counts only where the entry has none.
 */
export interface EntryChange {
  /** Distinct values; null is the mark "unusable". Replaces what was there. */
  readonly keys?: readonly StoredKey[] | null
  readonly query?: string | undefined
  readonly status?: EntryStatus | undefined
  readonly tables?: readonly string[] | undefined
  readonly storedAt?: number | undefined
  readonly expiresAt?: number | undefined
}

/** Where a partition key's invalidations stand; see `marks.ts`. */
export interface Marks {
  /** Of the last one. */
  readonly number: number
  /** Of the last one under some scopes; of the count's beginning where there was none. */
  readonly marked: number
}

/** What an intersection found: undefined where none of the hashes had a set. */
export interface Intersection {
  readonly keys: Set<StoredKey> | undefined
  /** The hashes whose sets were used. */
  readonly used: readonly string[]
}

/** An intersection for PostgreSQL to evaluate: one column `key` of rows without duplicates. */
export interface LazyIntersection {
  readonly sql: string
  readonly used: readonly string[]
}

/** Which entries go first when there are too many. */
export type EvictionOrder = 'least-recently-used' | 'oldest' | 'largest'

/** What a backend with `usage` and `touch` can go by. */
export const EVICTION_ORDERS: readonly EvictionOrder[] = ['least-recently-used', 'oldest', 'largest']

/** What eviction goes by. Times are ms since 1970, undefined where nobody knows. */
export interface EntryUsage {
  readonly hash: string
  readonly state: EntryState
  /** What the set takes where it lives; 0 where there is none. */
  readonly bytes: number
  readonly storedAt: number | undefined
  readonly usedAt: number | undefined
}

/** What a backend can do; code asks this, never the backend's name. */
export interface BackendSupport {
  readonly datatypes: readonly Datatype[]
  /** Several processes may use it at once. */
  readonly shared: boolean
  /** Entries outlive the process. */
  readonly persistent: boolean
  /** Integers that it keeps, both ends included; absent: all of 64 bits. */
  readonly integers?: readonly [min: number, max: number]
  /** The orders in which entries can be evicted: 'largest' and 'oldest' take `usage`, 'least-recently-used' also `touch`. */
  readonly evictsBy: readonly EvictionOrder[]
}

/**
 * Where sets live. The cache object above validates; a backend is asked only with values of the partition's datatype.
 *
 * A write is all or nothing, also for readers at the same time and in other processes. What is expired, evicted, of another
 * datatype or damaged reads as absent, never as an empty set. Trouble with the server is a `PartitionBackendError`.
 */
export interface PartitionBackend {
  readonly type: string
  readonly supports: BackendSupport
  /** Claim `name` for `datatype` unless it is claimed; the datatype that holds. Atomic. */
  register(name: string, datatype: Datatype): Promise<Datatype>
  /** The registered partition keys, in no order. */
  partitions(): Promise<Partition[]>
  datatypeOf(name: string): Promise<Datatype | undefined>
  /** `ifNumber`: only while the partition key's number is this one, in one atomic step. Answers whether it was written. */
  write(partition: Partition, hash: string, change: EntryChange, ifNumber?: number): Promise<boolean>
  /** The number of a partition key's last invalidation, of registered ones and others; `begun` names it from now on. */
  begin(name: string): Promise<number>
  /** Names that a count is kept of, in no order. Forgotten partition keys stay among them. */
  begun(): Promise<string[]>
  /** Raise a partition key's number and remember it for each of `scopes`, in one atomic step. Ends after every write that it did not stop. */
  mark(name: string, scopes: readonly string[]): Promise<void>
  /** As of one moment. */
  marks(name: string, scopes: readonly string[]): Promise<Marks>
  info(partition: Partition, hash: string): Promise<EntryInfo | undefined>
  /** The AND of those of `hashes` (distinct, at least one) that are sets. The caller owns the Set. */
  intersect(partition: Partition, hashes: readonly string[]): Promise<Intersection>
  /** One state per hash: 'none' where absent. */
  states(partition: Partition, hashes: readonly string[]): Promise<EntryState[]>
  /** Every entry, in no order, a page at a time; those written or removed meanwhile may or may not be among them. */
  list(partition: Partition): AsyncIterable<readonly EntryInfo[]>
  /** Absent ones are no error. */
  remove(partition: Partition, hashes: readonly string[]): Promise<void>
  /** Drop a partition key: entries, then the registration. */
  forget(partition: Partition): Promise<void>
  /** Bytes that the set takes where it lives; undefined where absent. */
  bytes(partition: Partition, hash: string): Promise<number | undefined>
  /** What eviction goes by, of every entry, as `list` does it. */
  usage?(partition: Partition): AsyncIterable<readonly EntryUsage[]>
  /** Note when sets were last used, ms since 1970 by hash; the later of two times stays. Absent entries are no error, and not made. */
  touch?(partition: Partition, uses: ReadonlyMap<string, number>): Promise<void>
  lazyIntersect?(partition: Partition, hashes: readonly string[], options: LazyOptions): Promise<LazyIntersection | undefined>
  close(): Promise<void>
}

/** How lazy SQL is to be written. */
export interface LazyOptions {
  /** The type that timestamp keys have in the query (default 'timestamp'): 'timestamptz' compares as UTC in every session. */
  readonly timestampsAs?: 'timestamp' | 'timestamptz' | undefined
}

/** The server or the files behind a partition cache failed. `isTransient`: another attempt may help. */
export class PartitionBackendError extends MillraceError {
  readonly backend: string
  readonly isTransient: boolean
  constructor({ backend, action, isTransient = false, ...rest }: { backend: string, action: string, isTransient?: boolean } & MillraceErrorOptions) {
    super('ERR_PARTITION_BACKEND', `${backend}: ${action}${rest.cause === undefined ? '' : `: ${messageOf(rest.cause)}`}`, rest)
    this.backend = backend
    this.isTransient = isTransient
  }
}
