import type { Transform } from 'node:stream'
import { checkColumnTypes } from '../lib/batch/column-type.js'
import type { Window } from '../lib/batch/window.js'
import { checkInteger } from '../lib/check-number.js'
import { FetchQueue } from '../lib/fetch/fetch-queue.js'
import { idsAt, pieceFor } from '../lib/fetch/fetched-pieces.js'
import { Flights } from '../lib/fetch/flights.js'
import { MissQueue } from '../lib/fetch/miss-queue.js'
import { checkFetcher } from '../lib/fetch/options.js'
import { requestColumns } from '../lib/fetch/request-columns.js'
import type { RowPlan } from '../lib/fetch/row-plan.js'
import { RunTexts } from '../lib/fetch/run-texts.js'
import type { Fetcher } from '../lib/source/fetcher.js'
import { stage } from './stage.js'

/** Windows read ahead, without a plan, to fill a batch. */
const MAX_WAITING_WINDOWS = 3

/** Options of `batchFetcher`. */
export interface BatchFetcherOptions {
  fetcher: Fetcher
  /** `'schema.table'`, passed to the fetcher. */
  table: string
  /** Requested columns, dotted ones included. */
  columns: readonly string[]
  idColumn?: string | undefined
  /** Declared types by column name, for sources that read columns as asked (see `jsonFlattener`). */
  columnTypes?: Readonly<Record<string, string>> | undefined
  /** Ids per call of the fetcher (default 10,000; a plan's size with `plan`). */
  batchSize?: number | undefined
  /** Calls in flight (default: the fetcher's `maxConcurrency`, at most 2; else 1). Output stays in order. */
  concurrency?: number | undefined
  /** Further attempts after a failed fetch (default 2). */
  retries?: number | undefined
  /** Longest time for one attempt, in ms; 0 = no limit (default). */
  fetchTimeoutMs?: number | undefined
  /** Knows all misses of the run, so batches need not wait for windows. */
  plan?: RowPlan | undefined
  /** Fetches to share with other calls; ended by the stage (default: none are shared). */
  flights?: Flights | undefined
}

/**
 * Window → Window. Fetches the misses in batches; windows leave in order, with the fetched rows. A failed batch is recorded
 * and passed over. At most `concurrency + 2` batches or 3 windows of rows are ahead of the reader.
 */
export function batchFetcher({ fetcher, table, columns, idColumn = 'id', columnTypes, plan, batchSize = plan?.batchSize ?? 10_000, concurrency,
  retries = 2, fetchTimeoutMs = 0, flights }: BatchFetcherOptions): Transform {
  checkFetcher(fetcher)
  checkInteger('batchSize', batchSize, 1)
  checkInteger('retries', retries, 0)
  checkInteger('fetchTimeoutMs', fetchTimeoutMs, 0)
  const inFlight = concurrency ?? Math.min(2, fetcher.maxConcurrency ?? 1)
  checkInteger('concurrency', inFlight, 1)
  const request = requestColumns(columns, idColumn)
  const types = Object.fromEntries(checkColumnTypes(columnTypes))
  const settings = { fetcher, table, columns: request, idColumn, columnTypes: types, retries, fetchTimeoutMs, batchCount: plan?.batches,
    texts: new RunTexts() }

  return stage<Window, Window>('batch-fetcher', async function * (source, { signal }) {
    const input = source[Symbol.asyncIterator]()
    const abort = new AbortController()
    const misses = new MissQueue(batchSize, plan?.missIds())
    let queue: FetchQueue | undefined
    const queueFor = (window: Pick<Window, 'run'>): FetchQueue => queue ??= new FetchQueue({ settings, misses, batchSize,
      concurrency: inFlight, run: window.run, signal: abort.signal, 
      flights: flights ?? new Flights({ fetcher }) })
    const waiting: { window: Window, end: number }[] = []
    let [seen, ended] = [0, false]
    const read = async (): Promise<void> => {
      const next = await input.next()
      if (next.done === true) {
        ended = true
        return
      }
      const { value: window } = next
      const late = window.late?.length ?? 0
      const missing = window.misses?.length ?? window.ids.length
      seen += missing - late
      if (!plan) misses.push(window.misses ? idsAt(window.ids, window.misses) : window.ids)
      waiting.push({ window, end: seen })
      queueFor(window).start()
    }
    const stop = (): void => abort.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      if (plan) queueFor(plan).start()
      for (;;) {
        while (!ended && (waiting.length === 0 || (!plan && waiting.length < MAX_WAITING_WINDOWS && queueFor(waiting[0]!.window).isShort(waiting[0]!.end)))) await read()
        const next = waiting.shift()
        if (!next) break
        const { window, end } = next
        const batches = await queueFor(window).batchesUntil(end)
        if (window.late && window.late.length > 0) batches.push(...await queueFor(window).fetchLate(idsAt(window.ids, window.late)))
        window.fetched = batches.flatMap(batch => pieceFor(batch, window.ids) ?? [])
        window.missing = batches.map(batch => batch.missing)
        yield window
        queueFor(window).passed(end)
      }
    } finally {
      signal.removeEventListener('abort', stop)
      abort.abort(signal.aborted ? signal.reason : new Error('the run is over'))
      queue?.end()
    }
  })
}
