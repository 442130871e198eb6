import type { RowBatch } from '../lib/batch/row-batch.js'
import type { ColumnType, Field } from '../lib/batch/column-type.js'
import { MillraceError, UnsupportedQueryError } from '../lib/errors.js'
import { reporterFor } from '../lib/progress/reporter.js'
import { leaveOut, lookUp, type CacheState } from '../lib/query/cached-query.js'
import { QueryCommitter } from '../lib/query/committer.js'
import type { QueryIdentity } from '../lib/query/identity.js'
import { checkResultColumns, resultColumns } from '../lib/query/order-plan.js'
import { boundParameters, storeParameters } from '../lib/query/parameters.js'
import { ResultProgress } from '../lib/query/progress.js'
import { identityOf, storeOf, type QueryContext } from '../lib/query/query-context.js'
import { Run } from '../lib/run.js'
import type { SourceSnapshot } from '../lib/source/snapshot.js'
import { cacheSource } from '../streams/cache-source.js'
import { querySource } from '../streams/query-source.js'
import { countedRows, fetchedRows } from './fetched-rows.js'
import { checkQuery, FETCH_TIMEOUT_MS, type QueryOptions } from './query-options.js'
import { ResultStream } from './result-stream.js'

/** What databases say of a statement that writes where that is not allowed: PostgreSQL and MySQL (SQLSTATE), better-sqlite3, node:sqlite. */
const WRITES: ReadonlySet<unknown> = new Set(['25006', 'SQLITE_READONLY', 8])

/** The error of a statement whose result must not be cached because it does more than read. */
export function readOnlyError(error: unknown): unknown {
  const codes = [error, (error as { cause?: unknown } | null)?.cause].flatMap(each => {
    const { code, sqlState, errcode } = Object(each) as { code?: unknown, sqlState?: unknown, errcode?: unknown }
    return [code, sqlState, errcode]
  })
  if (!(error instanceof MillraceError) || !codes.some(code => WRITES.has(code))) return error
  return new UnsupportedQueryError({ construct: 'a statement that does more than read', reason: 'its result must not come from a cache: use cache: false, or execute()', cause: error })
}

/**
 * A query's whole result: from the cache where it has it, without asking the database, else from the database, and kept. One
 * statement, one snapshot, read-only.
 *
 * @throws {InvalidArgumentError} at once
 */
export function queryRows(context: QueryContext, sql: string, options: QueryOptions = {}): ResultStream {
  checkQuery(sql, options)
  const { source } = context
  const params = storeParameters(options.params)
  const given = boundParameters(params)
  const identity: QueryIdentity = { kind: 'plain', sql, params, ...identityOf(context), orderColumn: null, keyColumn: null }
  const store = storeOf(context, identity)
  const run = new Run(store.name)
  run.strict = options.cacheErrors === 'throw'
  let columns: readonly Field[] = []

  async function * body(signal: AbortSignal): AsyncGenerator<RowBatch> {
    const reporter = reporterFor(options.progress, options.onProgress, 'query')
    if (reporter) run.attach(reporter)
    try {
      if (options.cache === false) {
        yield * plainRows(signal)
        return
      }
      let state = await lookUp(store, identity, run)
      if (state.cached && options.refresh !== 'full') {
        columns = state.cached.record.columns
        try {
          yield * countedRows(cacheSource({ cached: state.cached }), run)
          return await context.uses.add(store)
        } catch (error) {
          await leaveOut(error, store, run)
          state = await lookUp(store, identity, run)
        }
      }
      yield * storedRows(state, signal)
    } finally {
      if (reporter) run.detach(reporter)
      run.end()
    }
  }

  /** Past the cache: whatever the statement does, it does. */
  async function * plainRows(signal: AbortSignal): AsyncGenerator<RowBatch> {
    for await (const batch of source.query(sql, { params: given, signal, timeoutMs: options.fetchTimeoutMs ?? FETCH_TIMEOUT_MS })) {
      columns = batch.schema
      run.report.rows += batch.length
      run.report.fetched += batch.length
      run.batchDone(batch.length)
      if (batch.length > 0) yield batch
    }
  }

  async function * storedRows(state: CacheState, signal: AbortSignal): AsyncGenerator<RowBatch> {
    const snapshot = await openSnapshot(context, options, signal)
    try {
      const described = await snapshot.describe(sql, given)
      checkResultColumns(described)
      columns = resultColumns(described)
      const progress = new ResultProgress()
      const committer = state.manifest && new QueryCommitter(store, run, { rowsBefore: 0, source: source.identity,
        ...(options.refresh === 'full' ? {} : { ifRevision: state.manifest.query?.revision ?? null }),
        record: () => ({ ...recordBase(context, identity, snapshot), columns, rows: progress.rows, watermark: null, hits: 0 }) })
      yield * fetchedRows(querySource({ snapshot, sql, params: given, types: typesOf(described) }), { context, run, progress, committer, signal })
    } catch (error) {
      throw readOnlyError(error)
    } finally {
      await snapshot.close()
    }
  }

  return new ResultStream(body, { report: run.report, columns: () => columns, signal: options.signal })
}

/** Types by column, as they were described. */
export function typesOf(columns: readonly Field[]): ReadonlyMap<string, ColumnType> {
  return new Map(columns.map(({ name, type }) => [name, type]))
}

/** A view of the context's source. */
export async function openSnapshot({ source }: QueryContext, { fetchTimeoutMs = FETCH_TIMEOUT_MS }: QueryOptions, signal: AbortSignal): Promise<SourceSnapshot> {
  if (!source.snapshot) {
    throw new UnsupportedQueryError({ construct: 'this source', reason: 'it has no snapshots to read cached queries through: use cache: false' })
  }
  return await source.snapshot({ signal, timeoutMs: fetchTimeoutMs })
}

/** What every record of a query says. */
export function recordBase({ storesText }: QueryContext, { kind, sql, params, identity }: QueryIdentity, { session }: SourceSnapshot) {
  const now = Date.now()
  return { kind, sql: storesText ? sql : null, params: storesText ? params : null, identity, session, fullMs: now, updatedMs: now, lastUsedMs: now }
}

