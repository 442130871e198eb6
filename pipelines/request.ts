import { finished, Readable, type Transform } from 'node:stream'
import { checkColumnTypes, type ColumnType } from '../lib/batch/column-type.js'
import type { Id } from '../lib/batch/ids.js'
import { collectIds, type IdsInput } from '../lib/batch/id-set.js'
import type { Row } from '../lib/batch/row-factory.js'
import { checkInteger } from '../lib/check-number.js'
import { InvalidArgumentError, SourceMismatchError } from '../lib/errors.js'
import { checkChoice, checkFetcher } from '../lib/fetch/options.js'
import { requestColumns, type RequestColumns } from '../lib/fetch/request-columns.js'
import { planRows, type RowPlan } from '../lib/fetch/row-plan.js'
import { checkProgress } from '../lib/progress/reporter.js'
import { Run, type ProgressEvent, type ProgressReporter } from '../lib/run.js'
import type { Fetcher } from '../lib/source/fetcher.js'
import { cacheOf, tableOf, type CacheReference } from '../lib/store/cache-reference.js'
import { checkSource } from '../lib/store/change.js'
import type { Snapshot } from '../lib/store/snapshot.js'
import { warningOf, type TableStore } from '../lib/store/table-store.js'

/** What `getData`, `streamData` and `planData` take. */
export interface DataRequest extends CacheReference {
  /** Ids in any order, repeats allowed: an array, typed array, iterable, async iterable or stream. */
  ids: IdsInput
  /** `'name'`, `'meta.address.city'`, `'items.0.price'`; a dot inside a real name is written `'a\\.b'`. */
  columns: readonly string[]
  /** Returns the rows of ids: a function, or a source's `fetch`. */
  fetcher: Fetcher
  /** What to do about ids the source does not have (default 'error', at the end of the run). */
  onMissing?: 'error' | 'skip' | 'null' | undefined
  /** Ids per fetch (default `max(100, ceil(misses / 100))`). */
  batchSize?: number | undefined
  /** Fetches in flight (default 1; sources that allow it: 2). */
  concurrency?: number | undefined
  /** Further attempts after a failed fetch (default 2). */
  retries?: number | undefined
  /** Longest time for one attempt of a fetch, in ms; 0 = no limit (default). */
  fetchTimeoutMs?: number | undefined
  /** Declared types by column name, instead of inference from a fetcher's rows. */
  columnTypes?: Readonly<Record<string, string>> | undefined
  /** 'warn' (default): trouble with the cache never fails what the source can serve. 'throw': it does. */
  cacheErrors?: 'warn' | 'throw' | undefined
  /** true: a bar on stderr (a line every few seconds where stderr is no terminal); or a reporter of one's own. */
  progress?: boolean | ProgressReporter | undefined
  /** Told after every batch. */
  onProgress?: ((event: ProgressEvent) => void) | undefined
  signal?: AbortSignal | undefined
  /** Fetch everything anew (default false). */
  refresh?: boolean | undefined
}

/**
 * Rows typed by a literal tuple of columns: the id under the name of its column, and a property for each. Columns that are only
 * known at run time give plain rows.
 */
export type RowOf<Columns extends readonly string[], IdColumn extends string = 'id'> = string extends Columns[number] | IdColumn ? Row
  : { [Name in IdColumn | Columns[number]]: Name extends IdColumn ? Id : unknown }

/** A request, checked; nothing was touched yet. */
export interface CheckedRequest {
  request: DataRequest
  columns: RequestColumns
  idColumn: string
  store: TableStore
  types: ReadonlyMap<string, ColumnType>
}

/**
 * Check everything that can be checked before anything is read or fetched.
 *
 * @throws {InvalidArgumentError} names the argument
 */
export function checkRequest(options: unknown, { needsFetcher = true }: { needsFetcher?: boolean } = {}): CheckedRequest {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError({ argument: 'options', expected: 'an object { ids, columns, table, fetcher }', found: String(options) })
  }
  const request = options as DataRequest
  const idColumn = request.idColumn ?? 'id'
  const columns = requestColumns(request.columns, idColumn)
  const store = tableOf(request)
  if (needsFetcher) checkFetcher(request.fetcher)
  if (request.onMissing !== undefined) checkChoice('onMissing', request.onMissing, ['error', 'skip', 'null'])
  if (request.cacheErrors !== undefined) checkChoice('cacheErrors', request.cacheErrors, ['warn', 'throw'])
  for (const [name, least] of [['batchSize', 1], ['concurrency', 1], ['retries', 0], ['fetchTimeoutMs', 0]] as const) {
    if (request[name] !== undefined) checkInteger(name, request[name], least)
  }
  if (request.onProgress !== undefined && typeof request.onProgress !== 'function') {
    throw new InvalidArgumentError({ argument: 'onProgress', expected: 'a function', found: typeof request.onProgress })
  }
  checkProgress(request.progress)
  const { refresh, columnTypes } = request as { refresh?: unknown, columnTypes?: unknown }
  if (refresh !== undefined && typeof refresh !== 'boolean') {
    throw new InvalidArgumentError({ argument: 'refresh', expected: 'true or false', found: String(refresh) })
  }
  if (columnTypes !== undefined && (typeof columnTypes !== 'object' || columnTypes === null)) {
    throw new InvalidArgumentError({ argument: 'columnTypes', expected: 'an object { column: type }', found: columnTypes === null ? 'null' : typeof columnTypes })
  }
  if (request.signal !== undefined && !(request.signal instanceof AbortSignal)) {
    throw new InvalidArgumentError({ argument: 'signal', expected: 'an AbortSignal', found: typeof request.signal })
  }
  return { request, columns, idColumn, store, types: checkColumnTypes(request.columnTypes) }
}

/** Collect the ids and plan, without touching the source. A cache that cannot be used is a warning, or the error in a strict run. */
export async function planRequest({ request, columns, idColumn, store, types }: CheckedRequest, signal = request.signal):
Promise<{ plan: RowPlan, storing: boolean }> {
  const { cacheErrors, refresh, batchSize } = request
  signal?.throwIfAborted()
  const ids = await collectIds(request.ids, signal)
  const run = new Run(store.name)
  run.strict = cacheErrors === 'throw'
  run.retype = refresh === true ? 'all' : new Set(types.keys())
  let snapshot: Snapshot | undefined
  let storing = true
  try {
    snapshot = await store.snapshot(warning => run.warn(warning), types)
    checkSource(snapshot.manifest, (request as Partial<DataRequest>).fetcher?.identity)
    run.adopt({ ...snapshot.manifest, columns: snapshot.columns })
  } catch (error) {
    if (error instanceof SourceMismatchError) throw Object.assign(error, { report: run.report })
    run.trouble(warningOf('CACHE_UNUSABLE', error), error)
    storing = false
  }
  const wanted = columns.names.length > 0 ? columns.names : [idColumn]
  const plan = await planRows({ ids, columns: wanted, snapshot, store, run, batchSize, refresh, signal })
  // hits need no more than reading
  if (run.strict && plan.misses > 0 && (request as Partial<DataRequest>).fetcher) await cacheOf(request).checkWritable(store.key.folder)
  return { plan, storing }
}

/** An input for a pipeline whose ids are known already. */
export function noInput(): Readable {
  return Readable.from([])
}

/** Resolves when a stream is completely closed. */
export async function closed(stream: Transform | Readable): Promise<void> {
  if (stream.closed) return
  await new Promise<void>(resolve => {
    finished(stream, () => resolve())
  })
}
