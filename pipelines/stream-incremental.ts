import type { Field } from '../lib/batch/column-type.js'
import type { RowBatch } from '../lib/batch/row-batch.js'
import { UnsupportedQueryError } from '../lib/errors.js'
import { reporterFor } from '../lib/progress/reporter.js'
import { leaveOut, lookUp, type CachedQuery, type CacheState } from '../lib/query/cached-query.js'
import { QueryCommitter } from '../lib/query/committer.js'
import type { QueryIdentity } from '../lib/query/identity.js'
import { answerOf, isCachedAs, planFull, planIncrement, type Increment } from '../lib/query/increment.js'
import { MAX_DROPPED, movedRows, without } from '../lib/query/moved-rows.js'
import { planOrder, resultColumns } from '../lib/query/order-plan.js'
import { orderValueOf, sameOrderValue } from '../lib/query/order-values.js'
import { boundParameters, storeParameters } from '../lib/query/parameters.js'
import { noOrderValue } from '../lib/query/progress.js'
import { identityOf, storeOf, type QueryContext } from '../lib/query/query-context.js'
import { compareRanges } from '../lib/query/reconcile.js'
import { Statements } from '../lib/query/statements.js'
import { Run } from '../lib/run.js'
import type { SourceSnapshot } from '../lib/source/snapshot.js'
import { cacheSource } from '../streams/cache-source.js'
import { mendedSource, querySource } from '../streams/query-source.js'
import { countedRows, fetchedRows } from './fetched-rows.js'
import { openSnapshot, recordBase, typesOf } from './query-cached.js'
import { checkIncremental, type IncrementalOptions } from './query-options.js'
import { ResultStream } from './result-stream.js'

/**
 * A growing query's rows in the order of its order column: what is cached below the bound, then what the database has from there
 * on. New rows, their watermark and everything else that changes are committed together when all were delivered.
 *
 * @throws {InvalidArgumentError} at once, for options
 */
export function incrementalRows(context: QueryContext, sql: string, options: IncrementalOptions): ResultStream {
  checkIncremental(sql, options)
  const { source } = context
  const { orderColumn, keyColumn, nullOrder = 'refuse', reconcile = false } = options
  const stored = storeParameters(options.params)
  const given = boundParameters(stored)
  const identity: QueryIdentity = { kind: 'incremental', sql, params: stored, ...identityOf(context), orderColumn, keyColumn: keyColumn ?? null }
  const store = storeOf(context, identity)
  const run = new Run(store.name)
  run.strict = options.cacheErrors === 'throw'
  let columns: readonly Field[] = []

  async function * body(signal: AbortSignal): AsyncGenerator<RowBatch> {
    const reporter = reporterFor(options.progress, options.onProgress, 'query')
    if (reporter) run.attach(reporter)
    try {
      const { dialect } = source
      if (!dialect) throw new UnsupportedQueryError({ construct: 'this source', reason: 'it cannot judge statements: use query()' })
      const state: CacheState = options.cache === false ? { manifest: undefined, cached: undefined } : await lookUp(store, identity, run)
      const snapshot = await openSnapshot(context, options, signal)
      try {
        try {
          yield * extend(state, snapshot, signal)
        } catch (error) {
          await leaveOut(error, store, run)
          const { manifest } = await lookUp(store, identity, run)
          yield * extend({ manifest, cached: undefined }, snapshot, signal)
        }
      } finally {
        await snapshot.close()
      }
    } finally {
      if (reporter) run.detach(reporter)
      run.end()
    }
  }

  async function * extend({ manifest, cached }: CacheState, snapshot: SourceSnapshot, signal: AbortSignal): AsyncGenerator<RowBatch> {
    const dialect = source.dialect!
    const judged = await dialect.judge(sql, snapshot)
    const described = await snapshot.describe(judged.text, given)
    const plan = planOrder({ columns: described, judged, orderColumn, keyColumn, dialect })
    columns = resultColumns(described)
    const statements = new Statements(dialect, { text: judged.text, params: given }, plan)
    if (nullOrder === 'refuse' && (await answerOf(snapshot, statements.nulls())).length > 0) throw noOrderValue(plan.order)
    await dialect.checkOrder?.(plan.order, { text: judged.text, params: given }, snapshot)

    if (reconcile && !dialect.rowHash) {
      throw new UnsupportedQueryError({ construct: 'reconcile', reason: `${dialect.name} has no checksums to compare rows by: use refresh: 'full'` })
    }
    const usable = options.refresh === 'full' ? undefined : stillValid(cached, snapshot)
    const withHashes = reconcile || usable?.record.hasRowHashes === true
    const overlap = options.overlap === undefined ? undefined : String(options.overlap)
    let increment: Increment = usable
      ? await planIncrement(usable, { snapshot, statements, plan, overlap, rereads: reconcile })
      : await planFull(snapshot, statements, plan, overlap)
    let base: CachedQuery | undefined = usable
    if (increment.isBelow) {
      run.warn({ code: 'SOURCE_BELOW_WATERMARK', message: `the highest ${orderColumn} of the source, ${increment.head?.value ?? 'none'}, is below ` +
        `${usable!.record.watermark!.value!}, where the cached rows end: truncated or restored; everything is read anew` })
      increment = { ...increment, isBelow: false }
      base = undefined
    }
    let hasMoved = false
    if (base && plan.key && options.overlap !== undefined && increment.keep > 0 && increment.bound && 'from' in increment.bound) {
      const moved = await movedRows(base, { keep: increment.keep, bound: increment.bound.from!, plan, snapshot, statements })
      hasMoved = moved?.length !== 0
      base = moved && without(base, moved)
      if (!moved) increment = await planFull(snapshot, statements, plan)
    }
    const { bound, head, progress } = increment
    const dropped = (base?.record.dropped ?? []).filter(row => row < increment.keep)
    const ranges = reconcile && base && bound && 'from' in bound && bound.from !== undefined
      ? await compareRanges(base, { keep: increment.keep, end: bound.from, order: plan.order, snapshot, statements })
      : dropped.length > 0 ? [{ fromRow: dropped[0]!, toRow: increment.keep, from: undefined, to: '', isSame: true }] : []
    const first = ranges.findIndex(({ isSame, toRow }) => !isSame || (dropped.length > MAX_DROPPED && toRow > dropped[0]!))
    const mended = first === -1 ? [] : ranges.slice(first)
    const keep = mended[0]?.fromRow ?? increment.keep
    progress.rows = keep
    if (base && keep > 0) yield * countedRows(cacheSource({ cached: base, to: keep }), run)

    const committer = manifest && new QueryCommitter(store, run, {
      ...(base ? { keep } : {}),
      rowsBefore: base?.record.rows ?? 0,
      source: source.identity,
      ...(options.refresh === 'full' ? {} : { ifRevision: manifest.query?.revision ?? null }),
      record: () => {
        if (head && progress.rows > 0 && !sameOrderValue(progress.last!, orderValueOf(head.value, plan.order)!)) {
          run.warn({ code: 'QUERY_UNSTABLE', message: `the rows end at another ${orderColumn} than the source said in the same snapshot; they are not cached` })
          return undefined
        }
        return { ...recordBase(context, identity, snapshot), columns, rows: progress.rows, hits: base ? 1 : 0,
          ...(base ? { fullMs: base.record.fullMs, dropped: dropped.filter(row => row < keep) } : {}), ...(withHashes ? { hasRowHashes: true } : {}),
          watermark: { orderColumn, keyColumn: keyColumn ?? null, value: head?.value ?? null, key: head?.key ?? null, ties: progress.ties } }
      },
      ...(base && mended.length === 0 && !hasMoved && dropped.length === (base.record.dropped?.length ?? 0) ? { isUnchanged: async batches => {
        const { watermark, rows } = base.record
        const isSame = progress.rows === rows && head?.value === watermark?.value && (head?.key ?? null) === watermark?.key && await isCachedAs(base, keep, batches)
        if (isSame) await context.uses.add(store)
        return isSame
      } } : {})
    })
    const { text, params } = statements.rows(bound, { withHashes })
    const fresh = querySource({ snapshot, sql: text, params, types: typesOf(columns) })
    yield * fetchedRows(base && mended.length > 0 ? mendedSource(base, mended, fresh, { snapshot, statements, run }) : fresh, { context, run, progress, committer, signal })
    if (nullOrder === 'refetch') yield * nullRows(snapshot, statements)
  }

  /** What is cached, unless the statement means something else by now. */
  function stillValid(cached: CachedQuery | undefined, snapshot: SourceSnapshot): CachedQuery | undefined {
    if (!cached?.record.watermark || cached.record.watermark.value === null) return undefined
    // checksums are made when rows are read: to compare them later, all rows have to be read with them once
    if (reconcile && !cached.record.hasRowHashes) return undefined
    const shape = (fields: readonly Field[]): string => JSON.stringify(fields.map(({ name, type, origin }) => [name, type, origin ?? null]))
    if (shape(cached.record.columns) !== shape(columns)) {
      run.warn({ code: 'QUERY_COLUMNS_CHANGED', message: 'the columns of the result changed since it was cached; everything is read anew' })
      return undefined
    }
    if (cached.record.session !== snapshot.session) {
      run.warn({ code: 'QUERY_SESSION_CHANGED', message: `the statement's names are looked up otherwise than when it was cached (${cached.record.session}, now ${snapshot.session}); everything is read anew` })
      return undefined
    }
    return cached
  }

  async function * nullRows(snapshot: SourceSnapshot, statements: Statements): AsyncGenerator<RowBatch> {
    const { text, params } = statements.nullRows()
    for await (const batch of snapshot.query(text, { params, types: typesOf(columns) })) {
      if (batch.length === 0) continue
      run.report.fetched += batch.length
      run.report.misses += batch.length
      run.report.rows += batch.length
      run.batchDone(batch.length)
      yield batch
    }
  }

  return new ResultStream(body, { report: run.report, columns: () => columns, signal: options.signal })
}

