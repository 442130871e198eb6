import { InvalidArgumentError } from '../errors.js'
import { newReport, type RunReport } from '../report.js'
import { buildVector } from './build.js'
import { columnOf, fillColumn, type Column } from './cells.js'
import type { ColumnType, Field } from './column-type.js'
import { convertVector, unifyFields } from './combine.js'
import { formatTable } from './format-table.js'
import { fillRows, type RowBatch } from './row-batch.js'
import type { Row } from './row-factory.js'
import { hasNulls, type Vector } from './vector.js'

/**
 * A whole result: batches under one schema, sorted by id. Columns and rows are made when they are asked for.
 */
export class Table<R extends object = Row> implements Iterable<R> {
  readonly length: number
  readonly schema: readonly Field[]
  /** The columnar form it is kept in. */
  readonly batches: readonly RowBatch<R>[]
  readonly report: RunReport
  readonly #columns = new Map<string, Column>()

  /** @param columns the schema when there are no batches */
  constructor(batches: readonly RowBatch<R>[], { report = newReport(), columns = [] }: { report?: RunReport, columns?: readonly Field[] } = {}) {
    this.batches = batches
    this.report = report
    this.length = batches.reduce((sum, batch) => sum + batch.length, 0)
    const first = batches[0]
    this.schema = first
      ? first.schema.map((field, c) => unifyFields(batches.map(batch => batch.schema[c]!), true) ?? field)
      : columns
  }

  get columnNames(): string[] {
    return this.schema.map(field => field.name)
  }

  /** One column over all rows: a typed array where numeric and without nulls, else an array. */
  column(name: string): Column {
    const known = this.#columns.get(name)
    if (known) return known
    const field = this.schema.find(each => each.name === name)
    if (!field) throw new InvalidArgumentError({ argument: 'column', expected: `one of ${this.columnNames.join(', ')}`, found: name })
    const column = this.length === 0 ? columnOf(buildVector(field.type, [])) : joinColumns(this.batches, field)
    this.#columns.set(name, column)
    return column
  }

  /** All rows as plain objects. */
  toRows(): R[] {
    const rows = new Array<R>(this.length)
    let at = 0
    for (const batch of this.batches) {
      fillRows(batch, rows, at)
      at += batch.length
    }
    return rows
  }

  * [Symbol.iterator](): Generator<R> {
    for (const batch of this.batches) yield * batch
  }

  /** Names, types, first and last rows, aligned. */
  toString(): string {
    return formatTable(this)
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

type NumberArray = Float64Array | Float32Array | Int32Array | BigInt64Array

/** Batches' columns as one: typed while all are of one kind (int64 and doubles of integers become int64), else plain. */
function joinColumns(batches: readonly RowBatch<object>[], { name, type }: Field): Column {
  if (batches.length === 1) return batches[0]!.column(name)
  const length = batches.reduce((sum, batch) => sum + batch.length, 0)
  const vectors = batches.map(batch => widened(batch.vector(name)!, type))
  if (vectors.every(vector => vector.form === 'fixed' && !hasNulls(vector))) return joinTyped(vectors.map(columnOf), length)
  const joined = new Array<unknown>(length)
  // an array that was to hold small integers alone would be copied at its first double, and again at its first null
  joined[0] = null
  let at = 0
  for (const vector of vectors) {
    fillColumn(vector, joined, at)
    at += vector.length
  }
  return joined
}

/** Integers as the wider numbers that the table has in the column: an array of one kind is made of arrays of one kind. */
function widened(vector: Vector, type: ColumnType): Vector {
  return vector.type === 'int32' && (type === 'int64' || type === 'float64') || vector.type === 'int64' && type === 'float64' ? convertVector(vector, type) : vector
}

function joinTyped(columns: readonly Column[], length: number): Column {
  let at = 0
  const isOneKind = columns.every(column => column.constructor === columns[0]!.constructor)
  if (columns.every(column => ArrayBuffer.isView(column)) && (isOneKind || columns.every(holdsIntegers))) {
    const joined = isOneKind ? new (columns[0]!.constructor as new (length: number) => NumberArray)(length) : new BigInt64Array(length)
    for (const column of columns as readonly NumberArray[]) {
      joined.set((joined instanceof BigInt64Array && !(column instanceof BigInt64Array) ? BigInt64Array.from(column, BigInt) : column) as never, at)
      at += column.length
    }
    return joined
  }
  const joined = new Array<unknown>(length)
  for (const column of columns) for (let i = 0; i < column.length; i++) joined[at++] = column[i]
  return joined
}

function holdsIntegers(column: Column): boolean {
  return column instanceof BigInt64Array || (column instanceof Float64Array && column.every(Number.isSafeInteger))
}
