import { checkNumber } from '../check-number.js'
import { InvalidArgumentError, KeyTypeError } from '../errors.js'
import type { BackendSupport, EntryChange, EntryInfo, EntryState, EntryStatus, EntryUsage, LazyIntersection, LazyOptions, Partition, PartitionBackend } from './backend.js'
import { evictPartition, usageOf, type EvictionReport, type EvictOptions } from './evict.js'
import { checkPolicy, type EvictionPolicy } from './eviction-plan.js'
import { affectedBy } from './invalidation.js'
import { scopesOfInvalidation, writeUnlessMarked } from './marks.js'
import { callerKeys, checkDatatype, inferDatatype, storedKeys, type Datatype, type PartitionKeyValue } from './key-types.js'
import { useTracker } from './recent-use.js'

/** A moment of a partition key, before something is computed for it; see `begin`. */
export interface Beginning {
  readonly at: Date
  readonly number: number
}

/** The options that every method takes last. */
export interface KeyOptions {
  /** The partition key meant (default: the cache's own). */
  partitionKey?: string | undefined
}

/** What can be said of an entry when it is written. */
export interface EntryOptions extends KeyOptions {
  /** The tables the set was computed from, for `invalidate({ table })`; kept from earlier where left out. */
  tables?: readonly string[] | undefined
  /** Forget the entry after this many ms (default: the cache's `ttlMs`; 0 = never). */
  ttlMs?: number | undefined
  /** The query behind the hash. */
  query?: string | undefined
  /** When the set was true: the start of its query (default now). */
  asOf?: Date | undefined
}

/** Options of the calls that can be a partition key's first. */
export interface NewKeyOptions extends KeyOptions {
  /** The type of a new partition key. `setSet` infers it from its keys. */
  datatype?: Datatype | undefined
}

/** Options of `setSet`. */
export interface SetOptions extends EntryOptions, NewKeyOptions {
  /** What `begin` gave before the set was computed: the set is not kept where `invalidate` reached it meanwhile. */
  since?: Beginning | undefined
}

/** Options of `setNull`. */
export interface NullOptions extends EntryOptions, NewKeyOptions {
  /** Why there is no set (default: as it is). */
  status?: EntryStatus | undefined
}

/** What `invalidate` removes: entries that meet everything given. */
export interface InvalidateOptions extends KeyOptions {
  /** Entries from before this time, or older than this many ms. */
  olderThan?: Date | number | undefined
  /** Entries computed from this table (`'users'`, `'public.users'`), and those of which nobody said what they were computed from. */
  table?: string | undefined
}

/** What `lookup` found. */
export interface Lookup {
  /** undefined: none of the hashes has a set; nothing is known. An empty set is an answer. */
  keys: Set<PartitionKeyValue> | undefined
  /** The hashes that were intersected. */
  used: readonly string[]
}

/** All of one entry; `keys` is undefined unless `state` is 'set'. */
export interface Entry extends EntryInfo {
  keys: Set<PartitionKeyValue> | undefined
}

/**
 * Sets of partition keys by fragment hash, for one partition key by default and any number of others by option.
 *
 * A set is a superset filter only as of its time: rows that come later may lie in other partitions (`ttlMs`, `invalidate`).
 * Absent, expired, evicted and damaged entries are `undefined`, never an empty set.
 */
export interface PartitionCache {
  /** The backend's name. */
  readonly type: string
  readonly partitionKey: string
  readonly supports: BackendSupport
  /** The moment before a set is computed, to be given to `setSet`. */
  begin(options?: KeyOptions): Promise<Beginning>
  /**
   * Keep a set under a hash, in place of what was there. All or nothing, for readers too. Answers false where `since` was given and
   * an invalidation of its tables came since: then nothing was kept.
   */
  setSet(hash: string, keys: Iterable<PartitionKeyValue>, options?: SetOptions): Promise<boolean>
  /** A fragment's set; undefined where there is none. An empty set is an answer. */
  get(hash: string, options?: KeyOptions): Promise<Set<PartitionKeyValue> | undefined>
  /** The keys that are in the set of every hash; hashes without a set are left aside. */
  intersect(hashes: Iterable<string>, options?: KeyOptions): Promise<Set<PartitionKeyValue> | undefined>
  /** `intersect`, with the hashes that took part. */
  lookup(hashes: Iterable<string>, options?: KeyOptions): Promise<Lookup>
  /** SQL that PostgreSQL intersects itself, one column `key`; undefined where none of the hashes has a set. Only with backends inside PostgreSQL. */
  lazyIntersect?(hashes: Iterable<string>, options?: KeyOptions & LazyOptions): Promise<LazyIntersection | undefined>
  /** Whether there is a set or the mark of `setNull`. */
  exists(hash: string, options?: KeyOptions): Promise<boolean>
  /** Those of `hashes` that `exists` claims, in their order. */
  filterExisting(hashes: Iterable<string>, options?: KeyOptions): Promise<string[]>
  /** Every hash that `exists` claims. */
  getAllKeys(options?: KeyOptions): Promise<string[]>
  /** The registered partition keys and their types, by name. */
  getPartitionKeys(): Promise<[partitionKey: string, datatype: Datatype][]>
  /** The type of a partition key; undefined where it is not registered. */
  getDatatype(options?: KeyOptions): Promise<Datatype | undefined>
  /** Mark a hash as unusable: not to be used, not to be computed again. Drops its set. */
  setNull(hash: string, options?: NullOptions): Promise<void>
  /** Whether a hash is marked as unusable. */
  isNull(hash: string, options?: KeyOptions): Promise<boolean>
  /** Keep a fragment's text, with a set or without. */
  setQuery(hash: string, query: string, options?: NewKeyOptions & Pick<EntryOptions, 'tables' | 'asOf'>): Promise<void>
  /** A fragment's text, where it was kept. */
  getQuery(hash: string, options?: KeyOptions): Promise<string | undefined>
  /** Say what became of a fragment; its set, if there is one, stays. */
  setStatus(hash: string, status: EntryStatus, options?: NewKeyOptions & Pick<EntryOptions, 'asOf'>): Promise<void>
  /** 'ok' for a set of which nothing else was said; undefined where nothing is known. */
  getStatus(hash: string, options?: KeyOptions): Promise<EntryStatus | undefined>
  /** Everything that is known of a hash; undefined where nothing is. */
  getEntry(hash: string, options?: KeyOptions): Promise<Entry | undefined>
  /** Everything that is known of each entry but its keys; those changed meanwhile may or may not be among them. */
  entries(options?: KeyOptions): AsyncIterable<EntryInfo>
  /** Bytes that a set takes where it lives. */
  bytes(hash: string, options?: KeyOptions): Promise<number | undefined>
  /** Forget a hash: set or mark, query, status. */
  delete(hash: string, options?: KeyOptions): Promise<void>
  /** Remove the entries that meet all that is given, of every partition key unless one is named. Answers how many. */
  invalidate(options: InvalidateOptions): Promise<number>
  /** What eviction goes by, of every entry of a partition key. */
  usage(options?: KeyOptions): Promise<EntryUsage[]>
  /** Remove what exceeds the policy, of each partition key by itself, or of one. Readers see whole sets or misses. One report per partition key, by name. */
  evict(policy: EvictionPolicy, options?: EvictOptions): Promise<EvictionReport[]>
  /** Drop a partition key with its entries and its type. */
  deletePartitionKey(partitionKey: string): Promise<void>
  /** Close what the cache opened itself. */
  close(): Promise<void>
}

/** What a cache object is made of. */
export interface PartitionCacheOptions {
  backend: PartitionBackend
  /** The partition key of calls that name none. */
  partitionKey: string
  /** Its type; undefined: what is registered, or the type of the first set. */
  datatype?: Datatype | undefined
  /** Default life of entries, in ms (default 0 = for ever). */
  ttlMs?: number | undefined
  /** Note when sets are used, for eviction by last use: one write a minute, in the background (default true). */
  trackUse?: boolean | undefined
}

const STATUSES: readonly EntryStatus[] = ['ok', 'timeout', 'failed']
const MAX_NAME = 1024
/** The end of the year 9999; what lives longer lives for ever. */
const LAST_TIME = 253_402_300_799_999

function checkText(value: unknown, argument: string): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME && !value.includes('\0') && value.isWellFormed()) return value
  throw new InvalidArgumentError({ argument, expected: `a text of 1 to ${MAX_NAME} characters, without NUL and lone surrogates`,
    found: typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : typeof value })
}

function checkQuery(query: string): string {
  if (typeof query === 'string' && !query.includes('\0') && query.isWellFormed()) return query
  throw new InvalidArgumentError({ argument: 'query', expected: 'a text without NUL and lone surrogates', found: typeof query })
}

function checkStatus(status: unknown): EntryStatus {
  if (STATUSES.includes(status as EntryStatus)) return status as EntryStatus
  throw new InvalidArgumentError({ argument: 'status', expected: STATUSES.join(', '), found: String(status) })
}

function checkHashes(hashes: Iterable<string>): string[] {
  return [...new Set(hashes)].map((hash, i) => checkText(hash, `hashes[${i}]`))
}

function timeOf(olderThan: Date | number): number {
  const time = olderThan instanceof Date ? olderThan.getTime() : Date.now() - olderThan
  if (Number.isFinite(time)) return time
  throw new InvalidArgumentError({ argument: 'olderThan', expected: 'a Date, or an age in milliseconds', found: String(olderThan) })
}

/**
 * A cache over an opened backend: validates, keeps to the registered types, and says times.
 *
 * @throws {KeyTypeError} the backend does not store `datatype`, or the partition key is registered as another
 */
export async function partitionCache({ backend, partitionKey, datatype, ttlMs = 0, trackUse = true }: PartitionCacheOptions): Promise<PartitionCache> {
  const { type, supports } = backend
  checkText(partitionKey, 'partitionKey')
  checkNumber('ttlMs', ttlMs, 0)
  const known = new Map<string, Datatype>()
  const tracker = trackUse ? useTracker(backend) : undefined

  async function register(name: string, wanted: Datatype): Promise<Partition> {
    if (!supports.datatypes.includes(checkDatatype(wanted))) {
      throw new KeyTypeError({ backend: type, keyType: wanted, reason: `it stores ${supports.datatypes.join(', ')}` })
    }
    const held = await backend.register(name, wanted)
    known.set(name, held)
    if (held !== wanted) throw new KeyTypeError({ backend: type, keyType: wanted, reason: `the partition key ${name} is registered as ${held}` })
    return { name, datatype: held }
  }
  function nameOf({ partitionKey: given }: KeyOptions): string {
    return given === undefined ? partitionKey : checkText(given, 'partitionKey')
  }
  async function find(options: KeyOptions): Promise<Partition | undefined> {
    const name = nameOf(options)
    const held = known.get(name) ?? await backend.datatypeOf(name)
    if (held === undefined) return undefined
    known.set(name, held)
    return { name, datatype: held }
  }
  async function knownPartition({ datatype: given, ...options }: NewKeyOptions): Promise<Partition> {
    const partition = await find(options)
    const wanted = given ?? partition?.datatype
    if (wanted) return register(options.partitionKey ?? partitionKey, wanted)
    throw new InvalidArgumentError({ argument: 'partitionKey', expected: 'a partition key with a registered type (its first set registers it)', found: options.partitionKey ?? partitionKey })
  }
  function changeOf({ tables, query, asOf, ttlMs: life = ttlMs }: EntryOptions): EntryChange {
    const storedAt = asOf?.getTime() ?? Date.now()
    if (!(storedAt >= 0 && storedAt <= LAST_TIME)) throw new InvalidArgumentError({ argument: 'asOf', expected: 'a Date from 1970 to 9999', found: String(asOf) })
    const expiresAt = checkNumber('ttlMs', life, 0) === 0 || storedAt + life > LAST_TIME ? undefined : Math.ceil(storedAt + life)
    return {
      storedAt, expiresAt, tables: tables?.map((table, i) => checkText(table, `tables[${i}]`)),
      query: query === undefined ? undefined : checkQuery(query)
    }
  }
  async function statesOf(hashes: readonly string[], options: KeyOptions): Promise<EntryState[]> {
    const partition = await find(options)
    return partition && hashes.length > 0 ? backend.states(partition, hashes) : hashes.map(() => 'none')
  }
  async function infoOf(hash: string, options: KeyOptions): Promise<EntryInfo | undefined> {
    checkText(hash, 'hash')
    const partition = await find(options)
    return partition && backend.info(partition, hash)
  }
  async function lookup(hashes: Iterable<string>, options: KeyOptions): Promise<Lookup> {
    const wanted = checkHashes(hashes)
    const partition = await find(options)
    if (!partition || wanted.length === 0) return { keys: undefined, used: [] }
    const { keys, used } = await backend.intersect(partition, wanted)
    tracker?.note(partition, used)
    return { keys: keys && callerKeys(keys, partition.datatype), used }
  }
  async function * entries(options: KeyOptions): AsyncGenerator<EntryInfo> {
    const partition = await find(options)
    if (partition) for await (const page of backend.list(partition)) yield * page
  }
  async function invalidatePartition(partition: Partition, isAffected: (entry: EntryInfo) => boolean): Promise<number> {
    let count = 0
    for await (const page of backend.list(partition)) {
      const hashes = page.filter(isAffected).map(({ hash }) => hash)
      if (hashes.length > 0) await backend.remove(partition, hashes)
      count += hashes.length
    }
    return count
  }

  if (datatype !== undefined) await register(partitionKey, datatype)
  return {
    type, partitionKey, supports,
    async begin(options = {}) {
      const at = new Date()
      return { at, number: await backend.begin(nameOf(options)) }
    },
    async setSet(hash, keys, { datatype: given, since, ...options } = {}) {
      checkText(hash, 'hash')
      const change = changeOf({ ...options, asOf: options.asOf ?? since?.at })
      if (typeof (keys as Partial<Iterable<unknown>> | undefined)?.[Symbol.iterator] !== 'function' || typeof keys === 'string') {
        throw new InvalidArgumentError({ argument: 'keys', expected: 'a Set or another iterable of keys', found: typeof keys })
      }
      const values = keys instanceof Set || Array.isArray(keys) ? keys as Set<PartitionKeyValue> | PartitionKeyValue[] : [...keys]
      const held = await find(options)
      const wanted = given === undefined ? held?.datatype ?? inferDatatype(values, type) : checkDatatype(given)
      // validated before anything is registered: a refused set leaves no trace
      const stored = storedKeys(values, wanted, type)
      const partition = await register(held?.name ?? options.partitionKey ?? partitionKey, wanted)
      const entry: EntryChange = { status: 'ok', ...change, keys: stored }
      return since ? writeUnlessMarked(backend, partition, hash, entry, since.number) : backend.write(partition, hash, entry)
    },
    get: async (hash, options = {}) => (await lookup([checkText(hash, 'hash')], options)).keys,
    intersect: async (hashes, options = {}) => (await lookup(hashes, options)).keys,
    lookup: (hashes, options = {}) => lookup(hashes, options),
    ...(backend.lazyIntersect && {
      async lazyIntersect(hashes: Iterable<string>, options: KeyOptions & LazyOptions = {}) {
        const wanted = checkHashes(hashes)
        const partition = await find(options)
        const lazy = partition && wanted.length > 0 ? await backend.lazyIntersect!(partition, wanted, options) : undefined
        if (lazy) tracker?.note(partition!, lazy.used)
        return lazy
      }
    }),
    exists: async (hash, options = {}) => (await statesOf([checkText(hash, 'hash')], options))[0] !== 'none',
    async filterExisting(hashes, options = {}) {
      const wanted = checkHashes(hashes)
      const states = await statesOf(wanted, options)
      return wanted.filter((_, i) => states[i] !== 'none')
    },
    async getAllKeys(options = {}) {
      const hashes: string[] = []
      for await (const { hash, state } of entries(options)) if (state !== 'none') hashes.push(hash)
      return hashes
    },
    async getPartitionKeys() {
      const partitions = await backend.partitions()
      return partitions.map(({ name, datatype: held }): [string, Datatype] => [name, held]).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
    },
    getDatatype: async (options = {}) => (await find(options))?.datatype,
    async setNull(hash, { status, ...options } = {}) {
      const change = { ...changeOf(options), ...(status === undefined ? {} : { status: checkStatus(status) }) }
      await backend.write(await knownPartition(options), checkText(hash, 'hash'), { ...change, keys: null })
    },
    isNull: async (hash, options = {}) => (await statesOf([checkText(hash, 'hash')], options))[0] === 'null',
    async setQuery(hash, query, options = {}) {
      const { tables, storedAt } = changeOf(options)
      await backend.write(await knownPartition(options), checkText(hash, 'hash'), { query: checkQuery(query), tables, storedAt })
    },
    getQuery: async (hash, options = {}) => (await infoOf(hash, options))?.query,
    async setStatus(hash, status, options = {}) {
      checkStatus(status)
      await backend.write(await knownPartition(options), checkText(hash, 'hash'), { status, storedAt: changeOf(options).storedAt })
    },
    getStatus: async (hash, options = {}) => {
      const info = await infoOf(hash, options)
      return info?.status ?? (info?.state === 'set' ? 'ok' : undefined)
    },
    async getEntry(hash, options = {}) {
      const info = await infoOf(hash, options)
      if (!info) return undefined
      const keys = info.state === 'set' ? (await lookup([hash], options)).keys : undefined
      return { ...info, state: info.state === 'set' && !keys ? 'none' : info.state, keys }
    },
    entries: (options = {}) => entries(options),
    async bytes(hash, options = {}) {
      const partition = await find(options)
      return partition && backend.bytes(partition, checkText(hash, 'hash'))
    },
    async delete(hash, options = {}) {
      checkText(hash, 'hash')
      const partition = await find(options)
      if (partition) await backend.remove(partition, [hash])
    },
    async invalidate(options) {
      const isMeant = (name: string): boolean => options.partitionKey === undefined || name === options.partitionKey
      if (options.partitionKey !== undefined) checkText(options.partitionKey, 'partitionKey')
      // sets that are being computed are stopped first: what they come to is older than this
      const scopes = scopesOfInvalidation(options.table)
      const startedMs = Date.now()
      let before = options.olderThan === undefined ? undefined : timeOf(options.olderThan)
      let count = 0
      let removed: number
      // again, until none goes: what was restricted meanwhile by a set that was still there is as old as that set
      do {
        for (const name of new Set([...await backend.begun(), ...(await backend.partitions()).map(partition => partition.name)].filter(isMeant))) await backend.mark(name, scopes)
        const isAffected = affectedBy({ before, table: options.table })
        removed = 0
        for (const partition of await backend.partitions()) if (isMeant(partition.name)) removed += await invalidatePartition(partition, isAffected)
        count += removed
        before = Math.min(before ?? startedMs, startedMs)
      } while (removed > 0)
      return count
    },
    async usage(options = {}) {
      await tracker?.flush()
      const partition = await find(options)
      return partition ? usageOf(backend, partition) : []
    },
    async evict(policy, options = {}) {
      checkPolicy(policy)
      await tracker?.flush()
      const named = options.partitionKey === undefined ? undefined : await find(options)
      const partitions = options.partitionKey === undefined ? await backend.partitions() : named ? [named] : []
      const reports: EvictionReport[] = []
      for (const partition of partitions.sort((a, b) => a.name < b.name ? -1 : 1)) reports.push(await evictPartition(backend, partition, policy, options))
      return reports
    },
    async deletePartitionKey(name) {
      const partition = await find({ partitionKey: name })
      await backend.mark(checkText(name, 'partitionKey'), scopesOfInvalidation(undefined))
      if (partition) await backend.forget(partition)
      known.delete(name)
    },
    async close() {
      await tracker?.flush()
      await backend.close()
    },
  }
}
