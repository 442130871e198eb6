import { InvalidArgumentError } from '../errors.js'
import { cellsOf, columnOf, type Column } from './cells.js'
import type { Field } from './column-type.js'
import type { IdArray } from './ids.js'
import { rowFactory, type Row } from './row-factory.js'
import { smallIntegers } from './small-integers.js'
import { gatherVector, sliceVector, type Vector } from './vector.js'

/** Rows made at a time: few enough that what their columns are decoded into stays in the processor's cache, and dies young. */
const BLOCK_ROWS = 2048

/**
 * The columnar unit that flows: some rows, sorted by id, each id once, a vector per column. The first column is the id.
 *
 * Immutable: `ids`, `column()` and rows are copies of the caller's own. (A stream's batch may still have to be cached when its reader
 * sorts a column.)
 */
export class RowBatch<R extends object = Row> implements Iterable<R> {
  readonly length: number
  readonly schema: readonly Field[]
  /** One vector per field, in the schema's order. */
  readonly vectors: readonly Vector[]
  readonly #columns = new Map<string, Column>()
  #ids: IdArray | undefined

  constructor(schema: readonly Field[], vectors: readonly Vector[]) {
    const length = vectors[0]?.length ?? 0
    const odd = vectors.findIndex(vector => vector.length !== length)
    if (odd !== -1 || vectors.length !== schema.length) {
      throw new InvalidArgumentError({ argument: `vectors[${odd === -1 ? vectors.length : odd}]`,
        expected: `${schema.length} columns of ${length} rows`, found: `${vectors[odd]?.length ?? 'none'}` })
    }
    checkNames(schema)
    this.length = length
    this.schema = schema
    this.vectors = vectors
  }

  get columnNames(): string[] {
    return this.schema.map(field => field.name)
  }

  /** The ids, ascending: a Float64Array when all are safe integers, else a BigInt64Array. */
  get ids(): IdArray {
    return this.#ids ??= idsIn(this).slice()
  }

  /** The vector of one column, or undefined. */
  vector(name: string): Vector | undefined {
    const at = this.schema.findIndex(field => field.name === name)
    return at === -1 ? undefined : this.vectors[at]
  }

  /** One column's values: a typed array where numeric and without nulls, else an array. Decoded once. */
  column(name: string): Column {
    const known = this.#columns.get(name)
    if (known) return known
    const vector = this.#vectorOf(name)
    const column = columnOf(vector)
    const own = 'values' in vector && column === vector.values ? column.slice() : column
    this.#columns.set(name, own)
    return own
  }

  /** All rows as plain objects. */
  toRows(): R[] {
    const rows = new Array<R>(this.length)
    fillRows(this, rows, 0)
    return rows
  }

  /** Rows are made a few at a time: what a reader does not keep dies young. */
  [Symbol.iterator](): IterableIterator<R> {
    let next = 0
    let rows: readonly R[] = []
    let at = 0
    const iterator: IterableIterator<R> = {
      next: () => {
        if (at === rows.length) {
          if (next === this.length) return { done: true, value: undefined }
          const from = next
          next = Math.min(from + BLOCK_ROWS, this.length)
          rows = this.slice(from, next).toRows()
          at = 0
        }
        return { done: false, value: rows[at++]! }
      },
      [Symbol.iterator]: () => iterator
    }
    return iterator
  }

  /** Rows `from` (inclusive) to `to` (exclusive), sharing memory. */
  slice(from: number, to: number): RowBatch<R> {
    if (from === 0 && to === this.length) return this
    return new RowBatch(this.schema, this.vectors.map(vector => sliceVector(vector, from, to)))
  }

  /** The rows at these positions, in that order. */
  gather(rows: Uint32Array): RowBatch<R> {
    return new RowBatch(this.schema, this.vectors.map(vector => gatherVector(vector, rows)))
  }

  /** These columns, in this order. */
  select(names: readonly string[]): RowBatch<R> {
    const at = names.map(name => this.schema.findIndex(field => field.name === name))
    const missing = at.indexOf(-1)
    if (missing !== -1) throw unknownColumn(names[missing]!, this.columnNames)
    return new RowBatch(at.map(i => this.schema[i]!), at.map(i => this.vectors[i]!))
  }

  #vectorOf(name: string): Vector {
    const vector = this.vector(name)
    if (!vector) throw unknownColumn(name, this.columnNames)
    return vector
  }
}

/** Make a batch's rows and put them into a longer array, from `at` on. */
export function fillRows<R extends object>(batch: RowBatch<R>, rows: R[], at: number): void {
  const factory = rowFactory(batch.columnNames)
  for (let from = 0; from < batch.length; from += BLOCK_ROWS) {
    const block = batch.slice(from, Math.min(from + BLOCK_ROWS, batch.length))
    factory(block.vectors.map(rowCells), block.length, rows as Row[], at + from)
  }
}

/** Small integers go into an object as they are; out of an array of doubles each would take a number object of its own. */
function rowCells(vector: Vector): Column {
  const cells = cellsOf(vector)
  return vector.type === 'int64' && cells instanceof Float64Array ? smallIntegers(cells) ?? cells : cells
}

/** A batch's ids as it holds them, not to be changed. */
export function idsIn({ vectors: [vector] }: RowBatch<object>): IdArray {
  if (vector?.form !== 'fixed') throw new TypeError('a batch without ids')
  return vector.values as IdArray
}

/** Rows are objects: two columns of one name would be one property, and `__proto__` would set the prototype. */
function checkNames(schema: readonly Field[]): void {
  const seen = new Set<string>()
  for (const { name } of schema) {
    if (seen.has(name) || name === '__proto__') {
      throw new InvalidArgumentError({ argument: 'schema', expected: name === '__proto__' ? 'no column called __proto__' : 'each column once',
        found: `column ${name}${name === '__proto__' ? '' : ' again'}` })
    }
    seen.add(name)
  }
}

export function unknownColumn(name: string, names: readonly string[]): InvalidArgumentError {
  return new InvalidArgumentError({ argument: 'column', expected: `one of ${names.join(', ')}`, found: name })
}
