import { WINDOW_ROWS } from '../batch/id-set.js'
import type { IdArray } from '../batch/ids.js'
import type { FetchedBatch } from '../batch/window.js'
import type { Run } from '../run.js'
import { fetchBatch, mistakeOf, type FetchOutcome, type FetchSettings } from './fetch-batch.js'
import type { Flights } from './flights.js'
import type { MissQueue } from './miss-queue.js'

/** One batch on its way. Misses are counted through the run, so a batch covers `start` (inclusive) to `end` (exclusive). */
interface Job {
  start: number
  end: number
  done: boolean
  batch: FetchedBatch | undefined
}

interface FetchQueueOptions {
  settings: FetchSettings
  misses: MissQueue
  batchSize: number
  concurrency: number
  flights: Flights
  run: Run
  signal: AbortSignal
}

/**
 * Keeps a run's batches under way: in order, at most `concurrency` at a time, and never further ahead of the delivery than
 * `concurrency + 2` batches or 3 windows, whichever is more. It works on while the stage waits for its reader.
 */
export class FetchQueue {
  readonly #options: FetchQueueOptions
  readonly #stop: () => void
  #jobs: Job[] = []
  #running = 0
  #index = 0
  #launched = 0
  #yielded = 0
  /** Misses before this one are waited for: their batch goes out even if it is not full. */
  #needed = 0
  /** Batches that failed in a row: a source that is down is not asked three times for each batch. */
  #failedInARow = 0
  #wake: (() => void) | undefined
  #fatal: { error: unknown } | undefined

  constructor(options: FetchQueueOptions) {
    this.#options = options
    const unsubscribe = options.run.onSettle(() => this.#advance())
    const onAbort = (): void => {
      this.#fatal ??= { error: options.signal.reason }
      this.#wake?.()
    }
    options.signal.addEventListener('abort', onAbort, { once: true })
    this.#stop = () => {
      unsubscribe()
      options.signal.removeEventListener('abort', onAbort)
    }
  }

  /** Start what may be started without anybody waiting for it. */
  start(): void {
    this.#advance()
  }

  /** The batches that cover misses up to `end`, all answered. */
  async batchesUntil(end: number): Promise<FetchedBatch[]> {
    this.#needed = end
    for (;;) {
      if (this.#fatal) throw this.#fatal.error
      this.#advance()
      const needed = this.#jobs.filter(job => job.start < end)
      if (this.#launched >= end && needed.every(job => job.done)) return needed.flatMap(job => job.batch ?? [])
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  /** Whether misses before `end` still wait for a batch to fill. */
  isShort(end: number): boolean {
    return this.#launched < end && this.#options.misses.size < this.#options.batchSize
  }

  /** The window that ends at miss `end` was passed on: batches that only it needed are forgotten. */
  passed(end: number): void {
    this.#yielded = end
    this.#jobs = this.#jobs.filter(job => job.end > end)
    this.#advance()
  }

  /** Misses no plan knew of, for one window, as extra batches one after the other. */
  async fetchLate(ids: IdArray): Promise<FetchedBatch[]> {
    const batches: FetchedBatch[] = []
    for (let at = 0; at < ids.length; at += this.#options.batchSize) {
      const batch = await this.#fetch(ids.subarray(at, at + this.#options.batchSize), this.#index++)
      if (batch) batches.push(batch)
    }
    return batches
  }

  /** Let go of everything; running fetches were aborted by the signal. */
  end(): void {
    this.#stop()
    this.#options.flights.end()
  }

  #advance(): void {
    const { misses, concurrency, signal } = this.#options
    while (this.#running < concurrency && !signal.aborted && !this.#fatal && this.#mayLaunch()) {
      const ids = misses.next(this.#launched < this.#needed)
      if (!ids) return
      const job: Job = { start: this.#launched, end: this.#launched + ids.length, done: false, batch: undefined }
      this.#launched = job.end
      this.#jobs.push(job)
      void this.#runJob(job, ids, this.#index++)
    }
  }

  #mayLaunch(): boolean {
    const { run, batchSize, concurrency } = this.#options
    const delivered = run.settled ?? this.#yielded
    // one window's worth of misses always fits: 65,536 ids and two cut batches are below the limit
    return this.#launched - delivered + batchSize <= Math.max((concurrency + 2) * batchSize, 3 * WINDOW_ROWS)
  }

  async #runJob(job: Job, ids: IdArray, index: number): Promise<void> {
    this.#running++
    try {
      job.batch = await this.#fetch(ids, index)
    } catch (error) {
      this.#fatal ??= { error }
    } finally {
      this.#running--
      job.done = true
      this.#advance()
      this.#wake?.()
    }
  }

  async #fetch(ids: IdArray, index: number): Promise<FetchedBatch | undefined> {
    const { settings, flights, run, signal } = this.#options
    const tuned = this.#failedInARow > 0 ? { ...settings, retries: 0 } : settings
    const outcome: FetchOutcome = await flights.fetch({ ids, index, run, signal }, own => fetchBatch(tuned, ids, index, own))
    run.report.retries += outcome.retries
    run.batchDone(ids.length)
    if ('failed' in outcome) {
      this.#failedInARow++
      const mistake = mistakeOf(outcome.failed)
      if (mistake) run.mistake(mistake)
      run.failure(index, ids, outcome.failed)
      return undefined
    }
    this.#failedInARow = 0
    for (const mistake of outcome.mistakes) run.mistake(mistake)
    run.report.fetched += outcome.batch.ids.length
    run.notFound(outcome.batch.missing)
    return outcome.batch
  }
}
