import { storageValues } from '../batch/cells.js'
import { formatDate, formatTime, formatTimestamp } from '../batch/temporal.js'
import type { RowBatch } from '../batch/row-batch.js'
import type { DescribedColumn, SourceSnapshot } from '../source/snapshot.js'
import { readNumbered, readRows, storedColumns, type CachedQuery } from './cached-query.js'
import { ROW_HASH } from '../store/query-record.js'
import { answerOf } from './increment.js'
import { orderValues, sameOrderValue, type OrderValue } from './order-values.js'
import type { Statements } from './statements.js'

/** Rows per range that is compared, at least: a range never ends between rows of one order value. */
const RANGE_ROWS = 16_384

/** A stretch of cached rows, by number and by order value; both ends exclusive above. */
export interface CheckedRange {
  fromRow: number
  toRow: number
  /** Undefined: from the start. */
  from: string | undefined
  to: string
  /** The source has the same rows there. */
  isSame: boolean
}

/** An order value as text that the database reads back exactly. */
function textOf(value: OrderValue, { type }: DescribedColumn): string {
  switch (type) {
    case 'date': return formatDate(Number(value))
    case 'time': return formatTime(BigInt(value))
    case 'timestamp': case 'timestamptz': return formatTimestamp(BigInt(value), type === 'timestamptz' ? '+00' : '')
    default: return String(value)
  }
}

/**
 * Compare the cached rows up to `keep` with the source, range by range: their count, and the sum of the checksums that the
 * database made of them when they were read and makes of them now.
 *
 * @param end the order value, as the database's text, below which the rows to compare lie
 */
export async function compareRanges(cached: CachedQuery, { keep, end, order, snapshot, statements }:
{ keep: number, end: string, order: DescribedColumn, snapshot: SourceSnapshot, statements: Statements }): Promise<CheckedRange[]> {
  const ranges: CheckedRange[] = []
  let range = { fromRow: 0, from: undefined as string | undefined, rows: 0, sum: 0n }
  const close = async (to: string, toRow: number): Promise<void> => {
    const [answer] = await answerOf(snapshot, statements.checksum(range.from, to))
    const isSame = Number(answer!['n']) === range.rows && BigInt((answer!['total'] as string | null) ?? 0) === range.sum
    ranges.push({ fromRow: range.fromRow, toRow, from: range.from, to, isSame })
    range = { fromRow: toRow, from: to, rows: 0, sum: 0n }
  }
  let last: OrderValue | undefined
  for await (const { batch, first, offsets } of readNumbered(cached, 0, keep, [order.name, ROW_HASH])) {
    const values = orderValues(batch.vector(order.name)!, order)
    const hashes = storageValues(batch.vector(ROW_HASH)!) as readonly (number | bigint | null)[]
    for (let row = 0; row < batch.length; row++) {
      const value = values[row]!
      if (range.rows >= RANGE_ROWS && last !== undefined && !sameOrderValue(last, value)) await close(textOf(value, order), first + (offsets?.[row] ?? row))
      range.rows++
      range.sum += BigInt(hashes[row] ?? 0)
      last = value
    }
  }
  await close(end, keep)
  return ranges
}

/**
 * The rows after the first range that differs, in order: from the cache where nothing changed, from the source where something did.
 *
 * @param counted told of batches that come from the cache
 */
export async function * mendedRows(cached: CachedQuery, ranges: readonly CheckedRange[], { snapshot, statements, counted }:
{ snapshot: SourceSnapshot, statements: Statements, counted: (batch: RowBatch) => void }): AsyncGenerator<RowBatch> {
  const names = storedColumns(cached.record).map(({ name }) => name)
  for (const { fromRow, toRow, from, to, isSame } of ranges) {
    if (isSame) {
      for await (const batch of readRows(cached, fromRow, toRow, names)) {
        counted(batch)
        yield batch
      }
    } else {
      const { text, params } = statements.rows({ from, to }, { withHashes: true })
      yield * snapshot.query(text, { params })
    }
  }
}
