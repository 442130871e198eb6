import { emit } from '../queue/metrics.js'
import type { PartitionCache } from './cache.js'
import { UnsupportedQueryError } from '../errors.js'
import { decompose, shapeOf, type Catalogue, type DecomposeOptions } from './decompose.js'
import { hashOf, type Fragment } from './canonical.js'
import { dialectOf } from './fragment-mark.js'
import { covers, knownConditions, patternConditions, readPattern, type Pattern } from './pattern.js'
import { isOneFamily, keyTypesOf } from './key-columns.js'
import type { PartitionKeyValue } from './key-types.js'
import type { QueryShape } from './shape.js'

/** How cached sets are looked for. */
export interface LookupOptions extends Omit<DecomposeOptions, 'partitionKey'> {
  cache: PartitionCache
  /** The column that holds the partition key, and the name its sets are kept under (default: the cache's own). */
  partitionKey?: string | undefined
}

/** The sets that a query can be narrowed with. */
export interface PartitionKeys {
  /** Every partition that the query can match is in it. undefined: nothing usable is cached. An empty set is an answer. */
  readonly keys: Set<PartitionKeyValue> | undefined
  /** Fragments that the query has. */
  readonly fragments: number
  /** Cached sets that were intersected: the query's own fragments, and others that its conditions imply. */
  readonly hits: number
}

/** Patterns by hash. A hash belongs to one text for ever, so what was read once stays true in every cache. */
const patterns = new Map<string, Pattern | null>()
const MAX_PATTERNS = 50_000

function patternOf(hash: string, query: string): Pattern | undefined {
  const known = patterns.get(hash)
  if (known !== undefined) return known ?? undefined
  // a text that was stored under another text's hash says nothing about the set
  const pattern = hashOf(query) === hash ? readPattern(query) : undefined
  if (patterns.size >= MAX_PATTERNS) patterns.clear()
  patterns.set(hash, pattern ?? null)
  return pattern
}

/** A cached set that holds for a query. */
export interface Usable {
  readonly hash: string
  readonly sql: string
  /** One of the query's own fragments. */
  readonly isOwn: boolean
  /** When the set was true, in ms since 1970, where the cache says it. */
  readonly storedAt: number | undefined
}

interface Listed { readonly hash: string, readonly query: string, readonly storedAt: number | undefined }

const listings = new WeakMap<PartitionCache, Map<string, { readonly entries: readonly Listed[], readonly readAt: number, readonly tookMs: number }>>()

/** A listing that took this long is used again for `LISTING_SHARE` times as long: what it misses or has too much is only a missed hit. */
const SLOW_LISTING_MS = 10
const LISTING_SHARE = 20

async function listSets(cache: PartitionCache, partitionKey: string): Promise<readonly Listed[]> {
  const ofCache = listings.get(cache) ?? new Map<string, never>()
  listings.set(cache, ofCache)
  const last = ofCache.get(partitionKey)
  const startedAt = performance.now()
  if (last && last.tookMs >= SLOW_LISTING_MS && startedAt - last.readAt < last.tookMs * LISTING_SHARE) return last.entries
  const entries: Listed[] = []
  for await (const { hash, state, query, storedAt } of cache.entries({ partitionKey })) {
    if (state === 'set' && query !== undefined) entries.push({ hash, query, storedAt })
  }
  const readAt = performance.now()
  ofCache.set(partitionKey, { entries, readAt, tookMs: readAt - startedAt })
  return entries
}

/** Forget what was listed of a cache, because sets were added to it. */
export function forgetListing(cache: PartitionCache): void {
  listings.delete(cache)
}

/**
 * Cached sets that hold for the query, the query's own fragments first; a set that another one lies within is left out.
 *
 * `except` is not to be used; `column` holds the partition key where it is not named like it.
 */
export async function usableSets(sql: string, { cache, partitionKey = cache.partitionKey, ...options }: LookupOptions,
  { except, column = partitionKey }: { except?: string, column?: string } = {}): Promise<{ usable: Usable[], fragments: Fragment[] }> {
  const reading = { ...options, partitionKey: column }
  const fragments = decompose(sql, reading)
  // constraints that are added need not follow from the query: they are for populating
  const own = decompose(sql, { ...reading, keepAllAttributes: options.keepAllAttributes ?? false, addConstraints: undefined })
  const existing = new Set(await cache.filterExisting(own.map(({ hash }) => hash), { partitionKey }))
  const shape = shapeOf(sql, reading)
  checkTies(shape, options.catalogue)
  const known = knownConditions(shape)
  const names = new Set(known.tables)
  const found = new Map<string, Found>()
  const listed = await listSets(cache, partitionKey)
  const times = new Map(listed.map(({ hash, storedAt }) => [hash, storedAt]))
  for (const { hash, sql: text } of own) {
    if (existing.has(hash) && hash !== except) found.set(hash, { usable: { hash, sql: text, isOwn: true, storedAt: times.get(hash) }, pattern: patternOf(hash, text) })
  }
  for (const { hash, query, storedAt } of listed) {
    if (found.has(hash) || hash === except || dialectOf(query) !== options.catalogue?.dialect) continue
    const pattern = patternOf(hash, query)
    if (pattern?.tables.every(table => names.has(table)) && covers(pattern, known)) found.set(hash, { usable: { hash, sql: query, isOwn: false, storedAt }, pattern })
  }
  return { usable: withoutSuperfluous([...found.values()]), fragments }
}

/** Keys of one set must be keys of another, and restrict any of the tied columns: where types are known, they must compare alike. */
function checkTies(shape: QueryShape, catalogue: Catalogue | undefined): void {
  const types = keyTypesOf(shape, catalogue)
  if (!isOneFamily(types)) throw new UnsupportedQueryError({ construct: `partition keys of different types (${[...new Set(types)].join(', ')})`, reason: 'equal keys may have different values' })
}

interface Found { readonly usable: Usable, readonly pattern: Pattern | undefined }

const MAX_COMPARED = 64

/** Of two sets one of which lies within the other, the larger adds nothing. */
function withoutSuperfluous(found: readonly Found[]): Usable[] {
  if (found.length > MAX_COMPARED) return found.map(({ usable }) => usable)
  const known = found.map(({ pattern }) => pattern && patternConditions(pattern))
  const isDropped = new Set<number>()
  for (const [i, { pattern }] of found.entries()) {
    if (!pattern) continue
    const isWithin = known.some((conditions, j) => j !== i && !isDropped.has(j) && conditions !== undefined && covers(pattern, conditions))
    if (isWithin) isDropped.add(i)
  }
  return found.filter((_, i) => !isDropped.has(i)).map(({ usable }) => usable)
}

/**
 * The partitions that a query can match, as far as the cache knows.
 *
 * Every cached set counts whose question the query's conditions answer with yes: any of its own fragments, fewer conditions, wider
 * ranges, longer IN lists.
 *
 * @throws {UnsupportedQueryError} the query's shape cannot be narrowed
 */
export async function getPartitionKeys(sql: string, options: LookupOptions): Promise<PartitionKeys> {
  const { cache, partitionKey = cache.partitionKey } = options
  const { usable, fragments } = await usableSets(sql, options)
  const { keys, used } = await cache.lookup(usable.map(({ hash }) => hash), { partitionKey })
  emit('millrace:partition:lookup', { partitionKey, fragments: fragments.length, hits: used.length })
  return { keys, fragments: fragments.length, hits: used.length }
}
