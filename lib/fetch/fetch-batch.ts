import pRetry, { AbortError } from 'p-retry'
import { abortableReader } from '../abortable.js'
import type { ColumnType } from '../batch/column-type.js'
import { idList, type IdArray } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import type { FetchedBatch } from '../batch/window.js'
import { BatchFailedError, ColumnNotFoundError, FetcherContractError, InvalidArgumentError, JSONParseError, MillraceError, SchemaConflictError } from '../errors.js'
import type { Fetcher, FetchRequest, FetchResult } from '../source/fetcher.js'
import { arrayFetchOf } from '../source/source-fetcher.js'
import { timerMs } from '../timers.js'
import type { RequestColumns } from './request-columns.js'
import { RowCollector } from './row-collector.js'
import { rowSlots } from './row-slots.js'
import type { RunTexts } from './run-texts.js'

/** How batches are fetched; the same for all of a run. */
export interface FetchSettings {
  fetcher: Fetcher
  table: string
  columns: RequestColumns
  idColumn: string
  /** Declared types by column name. */
  columnTypes: Readonly<Record<string, ColumnType>>
  /** Further attempts after a fetch that failed. */
  retries: number
  /** Longest time one attempt may take, in ms; 0 = no limit. */
  fetchTimeoutMs: number
  /** Learned in one batch, for the others. */
  texts: RunTexts
  /** All batches of the run, when planned. */
  batchCount?: number | undefined
}

/** A batch's rows, or why there are none. Mistakes concern single rows. */
export type FetchOutcome =
  | { batch: FetchedBatch, mistakes: readonly MillraceError[], retries: number }
  | { failed: unknown, retries: number }

/** First pause before another attempt, in ms; doubled each time, with jitter. */
const RETRY_PAUSE_MS = 100

/**
 * Fetch one batch: call the fetcher, consume whatever it answers with, sort the rows into columns. Never rejects for what a
 * fetcher did; rejects with the abort reason when `signal` fires, at once, whatever the fetcher does then.
 *
 * @param ids ascending, each once
 */
export async function fetchBatch(settings: FetchSettings, ids: IdArray, index: number, signal: AbortSignal): Promise<FetchOutcome> {
  let retries = 0
  try {
    const { batch, mistakes } = await pRetry(async attempt => {
      retries = attempt - 1
      try {
        return await attemptFetch(settings, ids, index, signal)
      } catch (error) {
        if (signal.aborted || isMistake(error)) throw new AbortError(error instanceof Error ? error : new Error('fetch failed', { cause: error }))
        throw error instanceof Error ? error : new Error(typeof error === 'string' ? error : 'the fetcher threw a value that is no error', { cause: error })
      }
    }, { retries: settings.retries, minTimeout: RETRY_PAUSE_MS, maxTimeout: 5000, randomize: true, signal })
    return { batch, mistakes, retries }
  } catch (error) {
    signal.throwIfAborted()
    return { failed: error, retries }
  }
}

/** Asking again would give the same answer. */
function isMistake(error: unknown): boolean {
  return error instanceof FetcherContractError || error instanceof ColumnNotFoundError || error instanceof JSONParseError ||
    error instanceof SchemaConflictError || error instanceof InvalidArgumentError
}

/** What a run throws as itself instead of as a failed fetch. */
export function mistakeOf(error: unknown): MillraceError | undefined {
  return error instanceof MillraceError && !(error instanceof BatchFailedError) && isMistake(error) ? error : undefined
}

async function attemptFetch({ fetcher, table, columns, idColumn, columnTypes, fetchTimeoutMs, batchCount, texts }: FetchSettings, ids: IdArray,
  index: number, signal: AbortSignal): Promise<{ batch: FetchedBatch, mistakes: readonly MillraceError[] }> {
  const askedMs = Date.now()
  const abort = new AbortController()
  const stop = (): void => abort.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const timer = fetchTimeoutMs > 0
    ? setTimeout(() => abort.abort(new Error(`the fetcher gave no complete answer within ${fetchTimeoutMs} ms`)), timerMs(fetchTimeoutMs)) : undefined
  try {
    abort.signal.throwIfAborted()
    const request: FetchRequest = { columns: columns.bases, paths: columns.paths.map(({ name }) => name),
      plain: columns.plain.map(({ column }) => column), idColumn, columnTypes, signal: abort.signal,
      batch: { index, ...(batchCount === undefined ? {} : { count: batchCount }) } }
    const collector = new RowCollector({ ids, batch: index, idColumn, slots: rowSlots(columns, columnTypes), texts })
    const arrayFetch = arrayFetchOf(fetcher)
    // a copy: what a fetcher does to its ids must not reach the run
    const fetch = async (): Promise<FetchResult> => arrayFetch ? arrayFetch(ids, table, request) : await fetcher(idList(ids), table, request)
    await consume(await unlessAborted(fetch(), abort.signal), collector, abort.signal, index)
    return { batch: { ...collector.finish(), askedMs }, mistakes: collector.mistakes }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    // a fetch that ended by itself is told too: whatever it left running may stop
    abort.abort(new Error('the fetch is over'))
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
    work.then(resolve, reject)
  })
}

async function consume(result: unknown, collector: RowCollector, signal: AbortSignal, index: number): Promise<void> {
  if (result instanceof RowBatch) {
    collector.add(result)
    return
  }
  if (typeof result !== 'object' || result === null) {
    throw new FetcherContractError({ batch: index, reason: `it answered with ${result === null || result === undefined ? String(result) : `a ${typeof result}`} instead of rows` })
  }
  if (Symbol.asyncIterator in result) {
    const reader = abortableReader(result as AsyncIterable<unknown>, signal)
    try {
      for (let next = await reader.next(); next.done !== true; next = await reader.next()) collector.add(next.value)
    } finally {
      reader.close()
    }
    return
  }
  if (!(Symbol.iterator in result)) throw new FetcherContractError({ batch: index, reason: 'it answered with an object that is no list of rows' })
  if (Array.isArray(result) && result[Symbol.iterator] === Array.prototype[Symbol.iterator]) collector.addAll(result)
  else for (const row of result as Iterable<unknown>) collector.add(row)
}
