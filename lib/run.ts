import type { Field, FieldType } from './batch/column-type.js'
import { idList, type Id, type IdArray } from './batch/ids.js'
import { BatchFailedError, CacheUnusableError, ColumnNotFoundError, DataNotFoundError, messageOf, MillraceError } from './errors.js'
import { newReport, type RunReport, type Warning } from './report.js'

/** Progress after a batch: everything a bar needs. */
export interface ProgressEvent {
  /** Batches done, failed ones included. */
  batch: number
  /** All batches; undefined while the number of misses is unknown (hand-made pipelines). */
  batches: number | undefined
  /** Ids in the batch just done. */
  batchSize: number
  /** Ids asked for so far. */
  done: number
  /** Ids to ask for in all; undefined while that is unknown. */
  total: number | undefined
  /** Since the run began. */
  ms: number
  /** Ids per second so far. */
  rate: number
  /** Until the end, at this rate; undefined while `total` is. */
  etaMs: number | undefined
}

/** Shows a run's progress. `stop` is called once, on every way out. */
export interface ProgressReporter {
  /** What is to be done, as far as it is known. */
  start(total: { misses: number | undefined, batches: number | undefined, hits: number | undefined }): void
  /** A batch is done. */
  update(event: ProgressEvent): void
  /** The run is over, one way or another. */
  stop(): void
}

/**
 * What the stages of one request share: the report, what went wrong so far, and how much was delivered. The last stage
 * throws what was collected, after everything good was committed and delivered.
 */
export class Run {
  readonly table: string
  readonly report: RunReport = newReport()
  /** The table's version when the run began; invalidations after it hide what the run fetches. */
  since = 0
  /** The version of the last invalidation before the run began. */
  invalidated = 0
  /** The type of each column so far: the table's, widened by what was fetched. */
  readonly types = new Map<string, FieldType>()
  /** Columns whose cached type gives way where it does not fit: declared ones, or all when rows are renewed. */
  retype: 'all' | ReadonlySet<string> = new Set()
  /** Columns whose type comes from fetched rows by now: it widens, and gives way no more. */
  readonly fetchedTypes = new Set<string>()
  /** The columns to deliver, in order, without the id; undefined before a stage that knows them. */
  columns: readonly string[] | undefined
  /** Whether the table's types and version were looked up. */
  adopted = false
  /** Trouble with the cache fails the request (`cacheErrors: 'throw'`). */
  strict = false
  /** Planned numbers, when a plan was made. */
  total: { misses: number, batches: number, hits: number } | undefined
  /** Miss ids whose window was delivered; undefined until a sink counts them. */
  settled: number | undefined
  readonly #startedMs = performance.now()
  #mistake: MillraceError | undefined
  readonly #unknownColumns = new Map<string, MillraceError>()
  readonly #notFound: IdArray[] = []
  readonly #reporters = new Set<ProgressReporter>()
  /** Reporters that threw: they are only stopped. */
  readonly #silenced = new Set<ProgressReporter>()
  readonly #settleListeners = new Set<() => void>()
  #done = 0
  #last: ProgressEvent | undefined

  constructor(table: string) {
    this.table = table
  }

  warn(warning: Warning): void {
    const { warnings } = this.report
    // one failing disk says the same thing for every window
    if (!warnings.some(known => known.code === warning.code && known.file === warning.file && known.message === warning.message)) warnings.push(warning)
  }

  /** Trouble with the cache that the source can make up for: a warning, or, in a strict run, an error. */
  trouble(warning: Warning, cause: unknown): void {
    this.warn(warning)
    if (!this.strict) return
    const { file = this.table, errno, message } = warning
    const error = cause instanceof MillraceError ? cause : new CacheUnusableError({ file, reason: message, cause, ...(errno ? { errno } : {}) })
    error.report ??= this.report
    throw error
  }

  /** Begin with the types of the cached columns, and with the table's version and last invalidation. */
  adopt({ version, columns, floor = 0, tombstones = [] }: { version: number, columns: readonly Field[], floor?: number, tombstones?: readonly { seq: number }[] }): void {
    this.adopted = true
    this.since = version
    this.invalidated = tombstones.reduce((last, { seq }) => Math.max(last, seq), floor)
    for (const { name, type, wide, origin } of columns) this.types.set(name, { type, ...(wide ? { wide } : {}), ...(origin ? { origin } : {}) })
  }

  mayRetype(column: string): boolean {
    return (this.retype === 'all' || this.retype.has(column)) && !this.fetchedTypes.has(column)
  }

  /** The caller declares these columns' types: cached ones that differ give way. */
  declare(columns: Iterable<string>): void {
    if (this.retype !== 'all') this.retype = new Set([...this.retype, ...columns])
  }

  /** A mistake of the caller, the fetcher or the data; thrown as itself at the end. */
  mistake(error: MillraceError): void {
    if (error instanceof ColumnNotFoundError) for (const column of error.columns) this.#unknownColumns.set(column, error)
    // the first is thrown; a million bad rows must not mean a million errors kept
    this.#mistake ??= error
  }

  /** A fetch that failed. */
  failure(batch: number, ids: IdArray, cause: unknown): void {
    this.report.failures.push({ batch, ids: idList(ids), cause })
  }

  notFound(ids: IdArray): void {
    if (ids.length > 0) this.#notFound.push(ids)
  }

  /** Ids that the source no longer has: those a refresh asked for in vain. Any order. */
  * vanished(): Generator<Id> {
    if (this.retype === 'all') for (const ids of this.#notFound) yield * idList(ids)
  }

  attach(reporter: ProgressReporter): void {
    this.#reporters.add(reporter)
    this.#tell(reporter, () => reporter.start({ misses: this.total?.misses, batches: this.total?.batches, hits: this.total?.hits }))
    // a stage of a hand-made pipeline meets the run when batches are done already
    const last = this.#last
    if (last && !this.#silenced.has(reporter)) this.#tell(reporter, () => reporter.update(last))
  }

  detach(reporter: ProgressReporter): void {
    this.#silenced.delete(reporter)
    if (this.#reporters.delete(reporter)) this.#tell(reporter, () => reporter.stop())
  }

  /** Count a batch and tell the reporters. A reporter that throws is reported, and not asked again. */
  batchDone(batchSize: number): void {
    this.report.batches++
    this.#done += batchSize
    const ms = performance.now() - this.#startedMs
    const total = this.total?.misses
    const rate = ms > 0 ? this.#done / ms * 1000 : 0
    const event: ProgressEvent = { batch: this.report.batches, batches: this.total?.batches, batchSize, done: this.#done, total, ms, rate,
      etaMs: total === undefined || rate === 0 ? undefined : Math.max(0, total - this.#done) / rate * 1000 }
    this.#last = event
    for (const reporter of this.#reporters) if (!this.#silenced.has(reporter)) this.#tell(reporter, () => reporter.update(event))
  }

  #tell(reporter: ProgressReporter, tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#silenced.add(reporter)
      this.warn({ code: 'PROGRESS_FAILED', message: `the progress reporter threw: ${messageOf(error)}` })
    }
  }

  /** Count miss ids as delivered, and tell who waits for that. */
  settle(ids: number): void {
    this.settled = (this.settled ?? 0) + ids
    for (const listener of this.#settleListeners) listener()
  }

  /** Call `listener` at every `settle`, until the returned function is called. */
  onSettle(listener: () => void): () => void {
    this.#settleListeners.add(listener)
    return () => this.#settleListeners.delete(listener)
  }

  /** Close the report; the clock stops. */
  end(): RunReport {
    this.report.ms = Math.round(performance.now() - this.#startedMs)
    return this.report
  }

  /** What the run has to throw, if anything: mistakes first, then failed fetches, then missing ids. Carries the report. */
  error(onMissing: 'error' | 'skip' | 'null'): MillraceError | undefined {
    const mistake = this.#mistake
    let error: MillraceError | undefined = mistake
    if (mistake instanceof ColumnNotFoundError && this.#unknownColumns.size > mistake.columns.length) {
      error = new ColumnNotFoundError({ table: this.table, columns: [...this.#unknownColumns.keys()], cause: mistake })
    }
    if (!error && this.report.failures.length > 0) error = new BatchFailedError({ failures: this.report.failures })
    if (!error && onMissing === 'error' && this.#notFound.length > 0) {
      const ids: Id[] = this.#notFound.flatMap(idList).sort((a, b) => a < b ? -1 : a > b ? 1 : 0)
      error = new DataNotFoundError({ table: this.table, ids })
    }
    if (error) error.report = this.report
    return error
  }
}
