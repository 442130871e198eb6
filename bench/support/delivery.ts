import { COLUMNS, deliveredRow, type DeliveredRow } from './rows.js'

/** columns: one array per column for the whole result; objects: an array of all rows; stream: rows made and dropped. */
export type DeliveryForm = 'columns' | 'objects' | 'stream'

/** A whole result as columns: by name, ids first. Typed arrays where numeric and without nulls, else arrays with null. */
export type Columns = Record<string, ArrayLike<unknown>>

/** What an engine hands over. A stream's rows went to a `RowTap`. */
export type Delivered = { columns: Columns } | { rows: readonly DeliveredRow[] } | { tap: RowTap }

/** Takes rows one by one, as a consumer that keeps nothing but three of them to check. */
export class RowTap {
  readonly #wanted: ReadonlySet<number>
  readonly kept = new Map<number, DeliveredRow>()
  count = 0
  /** Something of every row, so that no engine can leave rows unmade. */
  sum = 0

  constructor(expected: number) {
    this.#wanted = new Set(probes(expected))
  }

  take(row: DeliveredRow): void {
    if (this.#wanted.has(this.count)) this.kept.set(this.count, row)
    this.count++
    this.sum += row['id'] as number
  }
}

/** The rows that are compared by value: first, middle, last, and a few between so that nulls and long names are among them. */
function probes(rows: number): number[] {
  const last = rows - 1
  return [0, last >> 1, last, ...Array.from({ length: 40 }, (_, i) => Math.floor(last * (i + 1) / 42))]
}

/** @throws when the result is not the rows of `ids` (ascending) */
export function checkDelivery(delivered: Delivered, ids: ArrayLike<number>): void {
  const count = 'columns' in delivered ? delivered.columns['id']!.length : 'rows' in delivered ? delivered.rows.length : delivered.tap.count
  if (count !== ids.length) throw new Error(`${count} rows instead of ${ids.length}`)
  for (const at of probes(ids.length)) {
    const row = 'rows' in delivered ? delivered.rows[at]! : 'tap' in delivered ? delivered.tap.kept.get(at)!
      : Object.fromEntries(['id', ...COLUMNS].map(name => [name, delivered.columns[name]![at]]))
    const expected = deliveredRow(ids[at]!)
    for (const name of ['id', ...COLUMNS]) {
      if (!Object.is(row[name] ?? null, expected[name])) {
        throw new Error(`row ${at}: ${name} is ${String(row[name])} instead of ${String(expected[name])}`)
      }
    }
  }
}
