import { InvalidArgumentError, isTransient, KeyTypeError, UnsupportedQueryError } from '../errors.js'
import { PartitionBackendError } from '../partition/backend.js'
import type { PartitionCache } from '../partition/cache.js'
import { hashOf } from '../partition/canonical.js'
import { readCatalogue } from '../partition/catalogue.js'
import { checkKeyColumns, type KeyColumns } from '../partition/key-columns.js'
import type { Datatype } from '../partition/key-types.js'
import { checkSteady, readPattern, tiedIn } from '../partition/pattern.js'
import { computeFragment, storeFragment, tablesBehind, type ComputedFragment, type PopulateOptions, type Run, type RunnableFragment } from '../partition/populate.js'
import type { Source } from '../source/fetcher.js'
import type { Job } from './held-jobs.js'
import { emit, type FragmentEnd } from './metrics.js'
import { sourceAnswers, untilAnswers } from './outage.js'

/** How fragments of a queue are run and kept. */
export interface FragmentJobOptions extends Pick<PopulateOptions, 'timeoutMs' | 'maxKeys' | 'ttlMs' | 'pureFunctions'> {
  source: Source
  cache: PartitionCache
  /** Narrow a fragment by sets that are cached already before it is run (default true). */
  restrict?: boolean | undefined
  /** Before a fragment that failed is tried again, in ms (default 1000; four times as long after each failure, a minute at most). */
  retryDelayMs?: number | undefined
}

/** What became of a job; 'returned': it was given back, as its source or cache was away. */
export type FragmentJobEnd = FragmentEnd | 'returned'

/** What a job's fragment came to. */
type Computed = ComputedFragment & { readonly fragment: RunnableFragment, readonly run: Run }

/** A fragment that was run for a job, or what became of the job instead: it is settled already. */
export type FragmentRun =
  | { readonly job: Job, readonly computed: Computed }
  | { readonly job: Job, readonly computed: undefined, readonly end: FragmentJobEnd }

const LONGEST_DELAY_MS = 60_000
const FRAGMENT_HASH = /^[0-9a-f]{64}$/
/** SQLSTATE classes that another attempt meets again: what the statement is, and what its data are. */
const PERMANENT = /^(42|22|0A|21|25|2F|54)/

function isPermanent(error: unknown): boolean {
  if (error instanceof KeyTypeError || error instanceof InvalidArgumentError || error instanceof UnsupportedQueryError) return true
  return typeof error === 'object' && error !== null && 'sqlState' in error && PERMANENT.test(String(error.sqlState))
}

/** What must be known of a fragment's key before its sets may be compared with others. */
async function keyColumnsOf(sql: string, datatype: Datatype | undefined, source: Source): Promise<Pick<Run, 'columns'> & { catalogue: PopulateOptions['catalogue'] }> {
  const pattern = readPattern(sql)
  const unknown: KeyColumns = { datatype, isPadded: false }
  // a text of somebody's own making is run as it is
  if (!pattern) return { columns: unknown, catalogue: undefined }
  const catalogue = await readCatalogue(source, sql)
  if (catalogue) checkSteady(sql, catalogue)
  // not the shape of a user's query: that ties every column named like the key, and this one's name need not be the partition key's
  return { columns: checkKeyColumns(tiedIn(pattern), catalogue, datatype), catalogue }
}

/** A fragment whose keys the partition key does not take, which every run of it would meet. */
function refused(error: unknown, { fragment, run, ms }: Pick<Computed, 'fragment' | 'run' | 'ms'>): Computed {
  // its mark must not be what registers the partition key: the type that was asked for may be what is wrong
  return { hash: fragment.hash, sql: fragment.sql, outcome: 'failed', keys: undefined, asOf: undefined, ms, error, fragment, run: { ...run, columns: { ...run.columns, datatype: undefined } } }
}

async function compute(job: Job, options: FragmentJobOptions): Promise<Computed> {
  const { item, attempt } = job.lease
  const { cache, source, timeoutMs, maxKeys, ttlMs, pureFunctions, restrict } = options
  const { sql, hash, partitionKey, tables, rerun } = item
  if (FRAGMENT_HASH.test(hash) && hashOf(sql) !== hash) {
    throw new InvalidArgumentError({ argument: 'hash', expected: 'the SHA-256 of the SQL, as others would take the set for that of another fragment', found: hash })
  }
  const startedAt = performance.now()
  const datatype = await cache.getDatatype({ partitionKey }) ?? item.datatype
  let run: Run = { cache, source, partitionKey, columns: { datatype, isPadded: false },
    options: { cache, source, timeoutMs, maxKeys, ttlMs, pureFunctions, restrict, signal: job.signal, retry: rerun !== undefined || attempt > 1, force: rerun === 'all' } }
  let fragment: RunnableFragment = { sql, hash, conditions: [], tables }
  try {
    const { columns, catalogue } = await keyColumnsOf(sql, datatype, source)
    run = { ...run, columns, options: { ...run.options, catalogue } }
    fragment = { ...fragment, tables: tables && tablesBehind({ tables }, catalogue, sql) }
    return { ...await computeFragment(fragment, run), fragment, run }
  } catch (error) {
    if (!(error instanceof KeyTypeError)) throw error
    return refused(error, { fragment, run, ms: performance.now() - startedAt })
  }
}

function ended(job: Job, end: FragmentEnd, ms: number, { keys, error }: { keys?: number | undefined, error?: unknown } = {}): void {
  const { hash, partitionKey } = job.lease.item
  emit('millrace:queue:fragment', { hash, partitionKey, end, keys, ms, ...(error === undefined ? {} : { error }) })
}

function delayBefore(attempt: number, retryDelayMs = 1000): number {
  return Math.min(LONGEST_DELAY_MS, retryDelayMs * 4 ** Math.min(attempt - 1, 10))
}

/**
 * Runs a job's fragment and stores nothing. Never fails: a job that cannot be run goes back to its queue, to the dead letters where
 * another attempt would meet the same. While the source or the cache is away it waits, so that an outage costs a job one attempt.
 */
export async function runFragmentJob(job: Job, options: FragmentJobOptions): Promise<FragmentRun> {
  const startedAt = performance.now()
  const { attempt } = job.lease
  try {
    return { job, computed: await compute(job, options) }
  } catch (error) {
    await giveBack(error).catch((trouble: unknown) => { emit('millrace:queue:trouble', { where: 'giving a job back', error: trouble }) })
    return { job, computed: undefined, end: job.signal.aborted ? 'lost' : isTransient(error) ? 'returned' : 'failed' }
  }

  async function giveBack(error: unknown): Promise<void> {
    if (job.signal.aborted) {
      ended(job, 'lost', performance.now() - startedAt)
      await job.nack({ counts: false })
      return
    }
    if (isTransient(error)) {
      const isCache = error instanceof PartitionBackendError
      await untilAnswers(isCache ? 'cache' : 'source', () => isCache ? options.cache.getPartitionKeys() : sourceAnswers(options.source), job.signal).catch(() => { /* the worker stops, or the job is lost */ })
    }
    ended(job, 'failed', performance.now() - startedAt, { error })
    await job.nack({ error, dead: isPermanent(error), delayMs: delayBefore(attempt, options.retryDelayMs) })
  }
}

/**
 * Stores what was computed, if the job is still held, and settles it; answers what became of the job in the end. Fails only with the queue.
 *
 * A set and "unusable" leave the queue at once; what was too large, timed out, or failed for good is recorded in the cache and a dead letter, so
 * that it is seen, and run again when it is asked for.
 */
export async function storeFragmentJob(given: FragmentRun, { cache, retryDelayMs }: FragmentJobOptions): Promise<FragmentJobEnd> {
  if (!given.computed) return given.end
  const { job, computed: { ms } } = given
  let computed = given.computed
  try {
    // whoever lost the job must not overwrite what its new holder stored
    while (await job.isHeld()) {
      try {
        const isStored = await storeFragment(computed.fragment, computed, computed.run)
        if (isStored) return await settle()
        // an invalidation overtook it: run anew, which is not the job's fault
        ended(job, 'outdated', ms)
        await job.nack({ counts: false })
        return 'outdated'
      } catch (trouble) {
        if (isPermanent(trouble) && computed.keys) {
          computed = refused(trouble, computed)
          continue
        }
        if (!isTransient(trouble)) throw trouble
        await untilAnswers('cache', () => cache.getPartitionKeys(), job.signal)
      }
    }
    ended(job, 'lost', ms)
    return 'lost'
  } catch (trouble) {
    const end = job.signal.aborted ? 'lost' : 'failed'
    ended(job, end, ms, end === 'failed' ? { error: trouble } : {})
    await job.nack({ error: trouble, dead: isPermanent(trouble), counts: !job.signal.aborted, delayMs: delayBefore(job.lease.attempt, retryDelayMs) })
    return end
  }

  async function settle(): Promise<FragmentJobEnd> {
    const { outcome, error, keys } = computed
    ended(job, outcome, ms, { keys: keys?.size, error })
    if (outcome === 'stored' || outcome === 'cached' || outcome === 'skipped') await job.ack()
    else await job.nack({ error: error ?? new Error(outcome === 'timeout' ? 'it took too long' : 'its set is too large'),
      dead: outcome !== 'failed' || isPermanent(error), delayMs: delayBefore(job.lease.attempt, retryDelayMs) })
    return outcome
  }
}
