import { isDeepStrictEqual } from 'node:util'
import { storageValues } from '../batch/cells.js'
import { WINDOW_ROWS } from '../batch/id-set.js'
import type { RowBatch } from '../batch/row-batch.js'
import { InvalidArgumentError } from '../errors.js'
import type { DescribedColumn, SourceSnapshot } from '../source/snapshot.js'
import { readRows, readStored, type CachedQuery } from './cached-query.js'
import type { OrderPlan } from './order-plan.js'
import { isBefore, isEndless, keyValues, orderValueOf, orderValues, type OrderValue } from './order-values.js'
import { ResultProgress } from './progress.js'
import type { RowBound, Statement, Statements } from './statements.js'

/** The source's highest order value, and the highest key at it, as the database's texts. */
export interface Head {
  value: string
  key: string | null
}

/** What an incremental run does: keep cached rows, then read from a bound on (everything, without one). */
export interface Increment {
  keep: number
  bound: RowBound | undefined
  /** Undefined: the source has no rows. */
  head: Head | undefined
  progress: ResultProgress
  /** The source has nothing up to where the cached rows end: it was truncated or restored. */
  isBelow?: boolean
}

/** A small answer's rows. */
export async function answerOf(snapshot: SourceSnapshot, { text, params }: Statement): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  for await (const batch of snapshot.query(text, { params, batchRows: 100 })) rows.push(...batch.toRows())
  return rows
}

function textOf(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value)
}

/**
 * Read everything.
 *
 * @throws {InvalidArgumentError} an overlap that is none, though nothing is read again yet: the next run would say so
 */
export async function planFull(snapshot: SourceSnapshot, statements: Statements, plan: OrderPlan, overlap?: string): Promise<Increment> {
  const [row] = await answerOf(snapshot, statements.head())
  const head = headOf(row, plan)
  if (overlap !== undefined && head) {
    const [answer] = await answerOf(snapshot, statements.bound(head.value, overlap))
    boundOf(textOf(answer!['bound']) ?? '', head.value, plan.order, overlap)
  }
  return { keep: 0, bound: undefined, head, progress: new ResultProgress({ order: plan.order }) }
}

/** The value where an overlap begins, made of the database's text. @throws {InvalidArgumentError} it lies beyond the watermark */
function boundOf(text: string, watermark: string, order: DescribedColumn, overlap: string): OrderValue {
  const [bound, last] = [orderValueOf(text, order), orderValueOf(watermark, order)]
  if (bound === undefined || last === undefined || isBefore(last, bound, order)) {
    throw new InvalidArgumentError({ argument: 'overlap', expected: 'an interval or a distance, not below zero', found: JSON.stringify(overlap) })
  }
  return bound
}

function headOf(row: Record<string, unknown> | undefined, { order }: OrderPlan): Head | undefined {
  const value = textOf(row?.['value'])
  if (value === null) return undefined
  if (isEndless(value, order)) {
    throw new InvalidArgumentError({ argument: 'orderColumn', expected: 'values that others can come after', found: `${value} in ${order.name}` })
  }
  return { value, key: textOf(row?.['key']) }
}

/**
 * Decide which cached rows stay and from where on the source is read, by what the source says in this snapshot.
 *
 * @param cached with a watermark that is not null
 * @param rereads the boundary is read again even where the key would spare it
 * @throws {InvalidArgumentError} an overlap that is none
 */
export async function planIncrement(cached: CachedQuery, { snapshot, statements, plan, overlap, rereads = false }:
{ snapshot: SourceSnapshot, statements: Statements, plan: OrderPlan, overlap: string | undefined, rereads?: boolean }): Promise<Increment> {
  const { record } = cached
  const watermark = record.watermark!
  const value = watermark.value!
  const { order } = plan
  const [row] = await answerOf(snapshot, statements.head(value, overlap))
  const head = headOf(row, plan)
  const fresh = (): ResultProgress => new ResultProgress({ order })
  if (!head || Number(row!['below']) === 1) return { keep: 0, bound: undefined, head, progress: fresh(), isBelow: true }
  if (overlap !== undefined) {
    const text = textOf(row!['bound']) ?? ''
    const keep = await countBefore(cached, boundOf(text, value, order, overlap), order)
    return { keep, bound: keep === 0 ? undefined : { from: text }, head, progress: new ResultProgress({ rows: keep, order }) }
  }
  if (!rereads && plan.keyIsBound && watermark.key !== null && head.key !== null) {
    // rows that came late with a lower key, or none, at the very watermark would be lost, and those that left would stay
    if (await hasSameTies(cached, plan.key!, snapshot, statements.tieKeys(value, watermark.key))) {
      return { keep: record.rows, bound: { after: value, key: watermark.key }, head,
        progress: new ResultProgress({ rows: record.rows, ties: watermark.ties, last: orderValueOf(value, order), order }) }
    }
  }
  const keep = record.rows - watermark.ties
  return { keep, bound: { from: value }, head, progress: new ResultProgress({ rows: keep, order }) }
}

/** Whether the source's keys at the watermark are those of the cached rows there. NULL tells no rows apart. */
async function hasSameTies(cached: CachedQuery, key: DescribedColumn, snapshot: SourceSnapshot, { text, params }: Statement): Promise<boolean> {
  const { rows, watermark } = cached.record
  let at = rows - watermark!.ties
  let isSame = true
  // read to the end even where they differ: an answer that is left costs some sources the connection
  for await (const batch of snapshot.query(text, { params, types: new Map([[key.name, key.type]]) })) {
    const keys = keyValues(batch.vector(key.name)!, key)
    const stored: unknown[] = []
    if (isSame) for await (const { vectors } of readRows(cached, at, Math.min(at + keys.length, rows), [key.name])) stored.push(...keyValues(vectors[0]!, key))
    isSame &&= !keys.includes(null) && isDeepStrictEqual(keys, stored)
    at += keys.length
  }
  return isSame && at === rows
}

/** The number of the first cached row that does not come before a value; looks from the end, where it is. */
async function countBefore(cached: CachedQuery, bound: OrderValue, order: DescribedColumn): Promise<number> {
  for (let end = cached.record.rows; end > 0;) {
    const start = Math.max(0, end - WINDOW_ROWS)
    let before = start
    for await (const { batch } of readStored(cached, start, end, [order.name])) {
      before += orderValues(batch.vectors[0]!, order).findLastIndex(value => isBefore(value!, bound, order)) + 1
    }
    if (before > start) return before
    end = start
  }
  return 0
}

/** Whether these rows, in batches of at most a window, are what is cached from a row number on, value by value. */
export async function isCachedAs(cached: CachedQuery, from: number, batches: readonly RowBatch[]): Promise<boolean> {
  let at = from
  for (const batch of batches) {
    const names = batch.columnNames.slice(1)
    let row = 0
    for await (const stored of readRows(cached, at, at + batch.length, names)) {
      const same = batch.slice(row, row += stored.length)
      if (!names.every(name => isDeepStrictEqual(storageValues(same.vector(name)!), storageValues(stored.vector(name)!)))) return false
    }
    at += batch.length
  }
  return at === cached.record.rows
}
