import type { RowBatch } from '../batch/row-batch.js'
import { InvalidArgumentError } from '../errors.js'
import type { DescribedColumn } from '../source/snapshot.js'
import { orderValues, sameOrderValue, type OrderValue } from './order-values.js'

/** How far a result has come: rows so far, the last order value, and how many of the last rows have it. */
export class ResultProgress {
  rows: number
  ties: number
  last: OrderValue | undefined
  readonly #order: DescribedColumn | undefined

  /** @param order none for a query without a watermark */
  constructor({ rows = 0, ties = 0, last, order }: { rows?: number, ties?: number, last?: OrderValue | undefined, order?: DescribedColumn | undefined } = {}) {
    this.rows = rows
    this.ties = ties
    this.last = last
    this.#order = order
  }

  /**
   * Take the next rows.
   *
   * @throws {InvalidArgumentError} one has no order value
   */
  add(batch: RowBatch): void {
    this.rows += batch.length
    const order = this.#order
    if (!order || batch.length === 0) return
    const values = orderValues(batch.vector(order.name)!, order)
    const last = values[values.length - 1]
    if (last === null || last === undefined || values.includes(null)) throw noOrderValue(order)
    let ties = 0
    while (ties < values.length && sameOrderValue(values[values.length - 1 - ties]!, last)) ties++
    const goesOn = ties === values.length && this.last !== undefined && sameOrderValue(this.last, last)
    this.ties = goesOn ? this.ties + ties : ties
    this.last = last
  }
}

/** The error of rows without an order value, where they are refused. */
export function noOrderValue({ name }: DescribedColumn): InvalidArgumentError {
  return new InvalidArgumentError({ argument: 'orderColumn', expected: "a column without NULLs (nullOrder: 'refetch' reads such rows anew each time)", found: `NULL in ${name}` })
}
