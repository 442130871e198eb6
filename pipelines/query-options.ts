import { InvalidArgumentError } from '../lib/errors.js'
import { checkInteger } from '../lib/check-number.js'
import { checkChoice } from '../lib/fetch/options.js'
import { checkProgress } from '../lib/progress/reporter.js'
import type { ProgressEvent, ProgressReporter } from '../lib/run.js'

/** What every query takes. */
export interface QueryOptions {
  /** Values for the statement's parameters (`$1` … in PostgreSQL, `?` in MySQL and SQLite). */
  params?: readonly unknown[] | undefined
  /** False asks the database and leaves the cache alone (default true). */
  cache?: boolean | undefined
  /** `'full'` reads everything anew and replaces what is cached. */
  refresh?: 'full' | undefined
  /** 'warn' (default): trouble with the cache never fails what the database can serve. 'throw': it does. */
  cacheErrors?: 'warn' | 'throw' | undefined
  /** The longest silence tolerated from the database, in ms (default 60,000; 0 = no limit). */
  fetchTimeoutMs?: number | undefined
  signal?: AbortSignal | undefined
  /** Told after every batch that was read from the database. */
  onProgress?: ((event: ProgressEvent) => void) | undefined
  progress?: boolean | ProgressReporter | undefined
}

/** What incremental queries take beside. */
export interface IncrementalOptions extends QueryOptions {
  /** The column of the result whose values only ever grow: a number, a date, a time, a uuid or plain text. */
  orderColumn: string
  /** A column that tells rows of one order value apart, and grows among them. */
  keyColumn?: string | undefined
  /**
   * Read this far back before the watermark as well: an interval for times (`'5 minutes'`), a distance for numbers. With a
   * `keyColumn`, cached rows below whose key was read there are dropped: an update gave them another order value.
   */
  overlap?: string | number | undefined
  /** Rows without an order value: refused (default), or read anew each time and delivered last. */
  nullOrder?: 'refuse' | 'refetch' | undefined
  /** Compare counts and checksums of ranges with the database first, and read again what differs (default false). */
  reconcile?: boolean | undefined
}

/** The silence that is tolerated when nothing else is said. */
export const FETCH_TIMEOUT_MS = 60_000

/**
 * Check a query's options before anything is read.
 *
 * @throws {InvalidArgumentError} names the argument
 */
export function checkQuery(sql: unknown, options: QueryOptions): void {
  const refuse = (argument: string, expected: string, found: unknown): InvalidArgumentError =>
    new InvalidArgumentError({ argument, expected, found: typeof found === 'string' ? JSON.stringify(found) : String(found) })
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null) throw refuse('options', 'an object', options)
  if (typeof sql !== 'string' || sql.trim() === '') throw refuse('sql', 'the text of a statement', typeof sql === 'string' ? 'empty text' : typeof sql)
  if (!sql.isWellFormed() || sql.includes('\0')) throw refuse('sql', 'text without NUL characters and lone surrogates', 'one')
  const { cache, refresh, cacheErrors, fetchTimeoutMs, signal, onProgress } = options as Record<string, unknown>
  if (cache !== undefined && typeof cache !== 'boolean') throw refuse('cache', 'true or false', cache)
  if (refresh !== undefined && refresh !== 'full') throw refuse('refresh', "'full'", refresh)
  if (cacheErrors !== undefined) checkChoice('cacheErrors', cacheErrors, ['warn', 'throw'])
  if (fetchTimeoutMs !== undefined) checkInteger('fetchTimeoutMs', fetchTimeoutMs, 0)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw refuse('signal', 'an AbortSignal', signal)
  if (onProgress !== undefined && typeof onProgress !== 'function') throw refuse('onProgress', 'a function', onProgress)
  checkProgress(options.progress)
}

/** @throws {InvalidArgumentError} names the argument */
export function checkIncremental(sql: unknown, options: IncrementalOptions): void {
  checkQuery(sql, options)
  const { orderColumn, keyColumn, overlap, nullOrder, reconcile } = options as unknown as Record<string, unknown>
  const refuse = (argument: string, expected: string, found: unknown): InvalidArgumentError => new InvalidArgumentError({ argument, expected, found: String(found) })
  if (typeof orderColumn !== 'string' || orderColumn === '') throw refuse('orderColumn', 'the name of a column of the result', orderColumn)
  if (keyColumn !== undefined && (typeof keyColumn !== 'string' || keyColumn === '')) throw refuse('keyColumn', 'the name of a column of the result', keyColumn)
  if (overlap !== undefined && !(typeof overlap === 'string' && overlap.trim() !== '') && !(typeof overlap === 'number' && Number.isFinite(overlap) && overlap >= 0)) {
    throw refuse('overlap', 'an interval as text, or a distance', overlap)
  }
  if (nullOrder !== undefined) checkChoice('nullOrder', nullOrder, ['refuse', 'refetch'])
  if (reconcile !== undefined && typeof reconcile !== 'boolean') throw refuse('reconcile', 'true or false', reconcile)
}
