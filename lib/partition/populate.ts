import { isTransient, KeyTypeError, UnsupportedQueryError } from '../errors.js'
import type { Source } from '../source/fetcher.js'
import { walk } from '../sql/ast.js'
import { characterAt, parseSelect } from '../sql/grammar.js'
import { timerMs } from '../timers.js'
import type { PartitionCache, SetOptions } from './cache.js'
import type { Fragment } from './canonical.js'
import { readCatalogue } from './catalogue.js'
import { decompose, shapeOf, type Catalogue, type DecomposeOptions } from './decompose.js'
import { foreignFragment } from './foreign-sql.js'
import { checkKeyColumns, keysIn, type KeyColumns } from './key-columns.js'
import { forgetListing, usableSets } from './key-sets.js'
import type { Datatype, PartitionKeyValue } from './key-types.js'
import { narrowQuery } from './narrow.js'
import { readOnly } from './read-only.js'
import { readPattern } from './pattern.js'
import { tableText } from './scope.js'

/** How a query's fragments are run and kept. */
export interface PopulateOptions extends Omit<DecomposeOptions, 'partitionKey'> {
  source: Source
  cache: PartitionCache
  /** The column that holds the partition key, and the name its sets are kept under (default: the cache's own). */
  partitionKey?: string | undefined
  /** The type of a new partition key (default: the column's). */
  datatype?: Datatype | undefined
  /** Longest run of one fragment, in ms (default 60,000; 0 = no limit). One that takes longer is recorded, and not run again until asked. */
  timeoutMs?: number | undefined
  /** Keys of one set at most (default 5,000,000). A larger one is recorded as unusable, and not run again until asked. */
  maxKeys?: number | undefined
  /** Run again what was too large, timed out or failed (default false). */
  retry?: boolean | undefined
  /** Run everything again (default false). */
  force?: boolean | undefined
  /** Fragments run at once (default 1). */
  concurrency?: number | undefined
  /** Narrow a fragment by sets that are cached already before it is run (default true). */
  restrict?: boolean | undefined
  /** Life of the sets, in ms (default: the cache's). */
  ttlMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** What became of one fragment. */
export interface FragmentOutcome {
  readonly hash: string
  readonly sql: string
  /** 'cached' was there, 'skipped' was recorded as unusable before; 'outdated': its tables were invalidated each time while it ran. */
  readonly outcome: 'stored' | 'cached' | 'skipped' | 'too large' | 'timeout' | 'failed' | 'outdated'
  readonly keys: number | undefined
  readonly ms: number
  readonly error?: unknown
}

/** What became of a query's fragments. */
export interface PopulateReport {
  readonly fragments: number
  readonly stored: number
  readonly cached: number
  readonly skipped: number
  readonly tooLarge: number
  readonly timedOut: number
  readonly failed: number
  readonly outdated: number
  readonly outcomes: readonly FragmentOutcome[]
}

/** A restriction by more keys than this costs more than it saves. */
const MAX_RESTRICTION = 10_000
/** Runs of a fragment whose tables are invalidated while it runs. */
const ATTEMPTS = 3
const DEFAULT_TIMEOUT_MS = 60_000
const DEFAULT_MAX_KEYS = 5_000_000

class TooLarge extends Error {}

/** What a fragment is run with. */
export interface Run {
  readonly source: Source
  readonly cache: PartitionCache
  readonly partitionKey: string
  readonly columns: KeyColumns
  readonly options: PopulateOptions
}

/**
 * Runs the fragments of a query, restricted by what is cached, and keeps their sets. Small fragments first, so that they restrict
 * the larger ones.
 *
 * A fragment that fails does not stop the others: see the report. A set holds what was true when its query began (`EntryOptions.asOf`).
 *
 * @throws {UnsupportedQueryError} the query's shape cannot be narrowed
 * @throws {KeyTypeError} the key columns' types cannot be compared, or do not fit the partition key
 */
export async function populate(sql: string, options: PopulateOptions): Promise<PopulateReport> {
  const { source, cache, partitionKey = cache.partitionKey, concurrency = 1, params, pureFunctions } = options
  const catalogue = options.catalogue ?? await readCatalogue(source, sql)
  const reading = { partitionKey, params, pureFunctions, catalogue }
  const fragments = decompose(sql, { ...options, ...reading }).map(fragment => ({ ...fragment, tables: tablesBehind(fragment, catalogue, sql) }))
  const datatype = await cache.getDatatype({ partitionKey }) ?? options.datatype
  const columns = checkKeyColumns(shapeOf(sql, reading), catalogue, datatype)
  if (catalogue?.dialect && columns.datatype !== 'integer' && columns.datatype !== 'text') {
    throw new KeyTypeError({ backend: 'the partition cache', keyType: String(columns.datatype), reason: `keys of ${catalogue.dialect} are integers or texts` })
  }
  const run: Run = { source, cache, partitionKey, columns, options: { ...options, catalogue } }
  const outcomes: FragmentOutcome[] = []
  const waiting = fragments.entries()
  const worker = async (): Promise<void> => {
    for (const [i, fragment] of waiting) outcomes[i] = await runFragment(fragment, run)
  }
  await Promise.all(Array.from({ length: Math.max(1, concurrency) }, worker))
  const count = (outcome: FragmentOutcome['outcome']): number => outcomes.filter(one => one.outcome === outcome).length
  return { fragments: fragments.length, stored: count('stored'), cached: count('cached'), skipped: count('skipped'), tooLarge: count('too large'),
    timedOut: count('timeout'), failed: count('failed'), outdated: count('outdated'), outcomes }
}

/** Where a query names a table first. */
function positionOf(table: string, sql: string): number | undefined {
  let location: number | undefined
  walk(parseSelect(sql), ({ RangeVar: named }) => {
    if (named && tableText(named.schemaname, named.relname) === table) location ??= named.location
  })
  return characterAt(sql, location)
}

/**
 * The tables that a fragment's set comes from: behind a view's name those it reads, so that `invalidate` finds it by any of them. `sql` is the query
 * that whoever asked for the set knows.
 *
 * @throws {UnsupportedQueryError} one of them shows other rows to other users, in other sessions or later
 */
export function tablesBehind({ tables }: Pick<Fragment, 'tables'>, catalogue: Catalogue | undefined, sql: string): string[] {
  const behind = tables.flatMap(table => {
    const { hazard, sources = [] } = catalogue?.relation?.(table) ?? {}
    if (hazard !== undefined) {
      const position = positionOf(table, sql)
      throw new UnsupportedQueryError({ construct: hazard, ...(position === undefined ? {} : { position }), reason: 'a set of partitions would hold for this session and this moment only' })
    }
    return sources.length === 0 ? [table] : sources
  })
  return [...new Set(behind)].sort()
}

/** A fragment to be run. Where nobody said which tables it reads, every invalidation is meant for its set. */
export type RunnableFragment = Omit<Fragment, 'tables'> & { readonly tables: Fragment['tables'] | undefined }

async function runFragment(fragment: RunnableFragment, run: Run): Promise<FragmentOutcome> {
  for (let attempt = 1; ; attempt++) {
    const { keys, asOf, since, ...outcome } = await computeFragment(fragment, run)
    if (await storeFragment(fragment, { ...outcome, keys, asOf, since }, run)) return { ...outcome, keys: keys?.size }
    if (attempt === ATTEMPTS) return { ...outcome, outcome: 'outdated', keys: undefined }
  }
}

/** A fragment that was run, or not for a reason; `keys` and `asOf` are there where it is to be stored. */
export interface ComputedFragment extends Omit<FragmentOutcome, 'keys'> {
  readonly keys: Set<PartitionKeyValue> | undefined
  /** When the set was true: the start of its query. */
  readonly asOf: Date | undefined
  /** What `cache.begin` answered before it. */
  readonly since?: SetOptions['since']
}

/**
 * Runs a fragment unless the cache says that there is no need to; stores nothing.
 *
 * @throws {KeyTypeError} its keys do not fit the partition key
 * @throws {SourceError} the source cannot be reached: says nothing about the fragment
 */
export async function computeFragment(fragment: RunnableFragment, run: Run): Promise<ComputedFragment> {
  const { cache, partitionKey, options: { retry = false, force = false, signal } } = run
  const { hash, sql } = fragment
  const startedAt = performance.now()
  const done = (outcome: FragmentOutcome['outcome'], { keys, asOf, error }: { keys?: Set<PartitionKeyValue>, asOf?: Date, error?: unknown } = {}): ComputedFragment =>
    ({ hash, sql, outcome, keys, asOf, ms: performance.now() - startedAt, ...(error === undefined ? {} : { error }) })
  signal?.throwIfAborted()
  if (!force) {
    if (await cache.exists(hash, { partitionKey }) && !await cache.isNull(hash, { partitionKey })) return done('cached')
    const status = await cache.getStatus(hash, { partitionKey })
    if (!retry && (status === 'timeout' || status === 'failed' || await cache.isNull(hash, { partitionKey }))) return done('skipped')
  }
  const timeout = new AbortController()
  const timer = startTimer(run.options.timeoutMs ?? DEFAULT_TIMEOUT_MS, timeout)
  try {
    const since = await cache.begin({ partitionKey })
    return { ...done('stored', await keysOf(fragment, run, signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal)), since }
  } catch (error) {
    if (signal?.aborted || error instanceof KeyTypeError || (isTransient(error) && !isCancelled(error) && !timeout.signal.aborted)) throw error
    const outcome = error instanceof TooLarge ? 'too large' : timeout.signal.aborted || isCancelled(error) ? 'timeout' : 'failed'
    return done(outcome, outcome === 'failed' ? { error } : {})
  } finally {
    clearTimeout(timer)
  }
}

/** Keeps what `computeFragment` found: the set, or that there is none to be had. False where an invalidation overtook the set. */
export async function storeFragment(fragment: RunnableFragment, { outcome, keys, asOf, since }: ComputedFragment, run: Run): Promise<boolean> {
  const { cache, partitionKey, columns: { datatype }, options: { ttlMs } } = run
  if (outcome === 'cached' || outcome === 'skipped') return true
  if (!keys) {
    await recordUnusable(fragment, outcome === 'timeout' ? 'timeout' : 'failed', run)
    return true
  }
  const isStored = await cache.setSet(fragment.hash, keys, { partitionKey, tables: fragment.tables, query: fragment.sql, asOf, since, ...(datatype ? { datatype } : {}), ...(ttlMs === undefined ? {} : { ttlMs }) })
  forgetListing(cache)
  return isStored
}

function startTimer(timeoutMs: number, timeout: AbortController): NodeJS.Timeout | undefined {
  return timeoutMs > 0 ? setTimeout(() => { timeout.abort(new Error('the fragment took too long')) }, timerMs(timeoutMs)) : undefined
}

/** The server stopped it: statement_timeout. */
function isCancelled(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'sqlState' in error && error.sqlState === '57014'
}

async function recordUnusable({ hash, sql, tables }: RunnableFragment, status: 'timeout' | 'failed', { cache, partitionKey, columns: { datatype } }: Run): Promise<void> {
  // a partition key of unknown type that no set has registered yet has no place for marks: the fragment is simply tried again
  if (datatype === undefined && await cache.getDatatype({ partitionKey }) === undefined) return
  await cache.setNull(hash, { partitionKey, status, query: sql, tables, ...(datatype ? { datatype } : {}) })
}

interface Restriction {
  /** The fragment's text with the restriction in it; undefined where nothing is left to be asked. */
  readonly sql: string | undefined
  /** The age of what it was restricted with. */
  readonly asOf: number
}

/** A fragment restricted by what is cached; undefined where nothing is, or where it cannot be. */
async function restrictionOf(fragment: RunnableFragment, column: string, { cache, partitionKey, options: { pureFunctions, catalogue } }: Run): Promise<Restriction | undefined> {
  const dialect = catalogue?.dialect
  const sql = dialect ? foreignFragment(fragment.sql) : fragment.sql
  try {
    const { usable } = await usableSets(sql, { cache, partitionKey, pureFunctions, catalogue }, { except: fragment.hash, column })
    const dated = usable.flatMap(({ hash, storedAt }) => storedAt === undefined ? [] : [{ hash, storedAt }])
    const { keys: known, used } = await cache.lookup(dated.map(({ hash }) => hash), { partitionKey })
    if (!known || known.size > MAX_RESTRICTION) return undefined
    const asOf = Math.min(...dated.filter(({ hash }) => used.includes(hash)).map(({ storedAt }) => storedAt))
    if (known.size === 0) return { sql: undefined, asOf }
    return { asOf, sql: dialect ? foreignFragment(fragment.sql, known) : narrowQuery(sql, { keys: known, partitionKey: column, method: 'IN', nullKeys: 'none', pureFunctions, catalogue }).sql }
  } catch (error) {
    // a fragment of a table that nothing ties to the key is no query that can be narrowed
    if (error instanceof UnsupportedQueryError) return undefined
    throw error
  }
}

/** Runs a fragment, or knows without running it that there is nothing. */
async function keysOf(fragment: RunnableFragment, run: Run, signal: AbortSignal): Promise<{ keys: Set<PartitionKeyValue>, asOf: Date }> {
  const { source, columns, options: { maxKeys = DEFAULT_MAX_KEYS, timeoutMs = DEFAULT_TIMEOUT_MS, catalogue, restrict = true } } = run
  const now = new Date()
  const column = restrict ? readPattern(fragment.sql)?.key.column : undefined
  const restriction = column === undefined ? undefined : await restrictionOf(fragment, column, run)
  // no newer than what it was restricted with
  const asOf = restriction ? new Date(Math.min(now.getTime(), restriction.asOf)) : now
  const sql = restriction ? restriction.sql : catalogue?.dialect ? foreignFragment(fragment.sql) : fragment.sql
  if (sql === undefined) return { keys: new Set(), asOf }
  const keys = new Set<PartitionKeyValue>()
  const seen = new Set<unknown>()
  for await (const batch of readOnly(source, sql, { signal, ...(timeoutMs > 0 ? { timeoutMs } : {}) })) {
    for (const key of keysIn(batch, columns)) {
      const identity = key instanceof Date ? key.getTime() : key
      if (seen.has(identity)) continue
      seen.add(identity)
      keys.add(key)
      if (keys.size > maxKeys) throw new TooLarge(`more than ${maxKeys} keys`)
    }
  }
  return { keys, asOf }
}
