import { FetcherContractError, InvalidArgumentError, SchemaConflictError } from '../errors.js'
import { CollectedColumn } from './collected-column.js'
import { checkColumnTypes, type Field } from './column-type.js'
import { idArray, idFromSource, invalidId, type Id } from './ids.js'
import { vectorOfCollected } from './infer.js'
import { arePlain, isInherited, readProperty } from './read-property.js'
import { RowBatch } from './row-batch.js'
import type { Row } from './row-factory.js'
import { hasNulls, type Vector } from './vector.js'

/** Options of `fromRows` and `fromColumns`. */
export interface FromOptions {
  /** Declared types by column name, instead of inference. */
  types?: Readonly<Record<string, string>> | undefined
  /** The id column (default `id`); it comes first, and its values must be ids. */
  idColumn?: string | undefined
}

/**
 * Columns of JS values → RowBatch. All of one length; the id column first in the result.
 *
 * @throws {InvalidArgumentError} no id column, lengths that differ, a value that is no id
 * @throws {SchemaConflictError} values of a column that share no type
 * @throws {FetcherContractError} a value that no column can hold
 */
export function fromColumns(columns: Readonly<Record<string, ArrayLike<unknown>>>, { types, idColumn = 'id' }: FromOptions = {}): RowBatch {
  const declared = checkColumnTypes(types)
  if (!Object.hasOwn(columns, idColumn)) {
    throw new InvalidArgumentError({ argument: 'columns', expected: `a column ${idColumn} (or the option idColumn)`, found: Object.keys(columns).join(', ') })
  }
  const ids = Array.from(columns[idColumn]!, (value, i): Id => {
    const id = idFromSource(value)
    if (id === undefined) throw invalidId(`${idColumn}[${i}]`, value)
    return id
  })
  const values = idArray(ids)
  const schema: Field[] = [{ name: idColumn, type: 'int64', nullable: false, ...(values instanceof BigInt64Array ? { wide: true } : {}) }]
  const vectors: Vector[] = [{ form: 'fixed', type: 'int64', length: ids.length, values }]
  for (const [name, column] of Object.entries(columns)) {
    if (name === idColumn) continue
    if (column.length !== ids.length) {
      throw new InvalidArgumentError({ argument: `columns.${name}`, expected: `${ids.length} values, as many as ${idColumn}`, found: String(column.length) })
    }
    const { vector, wide, bad: [bad], conflict } = vectorOfCollected(CollectedColumn.of(column), { type: declared.get(name) })
    if (conflict) throw new SchemaConflictError({ column: name, cached: conflict[0], seen: conflict[1] })
    if (bad) throw new FetcherContractError({ batch: 0, reason: `column ${name} of id ${ids[bad.row]}: ${bad.reason}` })
    schema.push({ name, type: vector.type, nullable: hasNulls(vector), ...(wide ? { wide: true } : {}) })
    vectors.push(vector)
  }
  return new RowBatch(schema, vectors)
}

/**
 * Rows → RowBatch, in the rows' order. A key some row lacks is null there.
 *
 * @throws as `fromColumns`
 */
export function fromRows(rows: readonly Row[], options: FromOptions = {}): RowBatch {
  const names = namesIn(rows)
  if (names.has('__proto__')) throw new InvalidArgumentError({ argument: 'rows', expected: 'columns of other names than __proto__' })
  const mayRead = arePlain(rows)
  const columns: Record<string, unknown[]> = {}
  for (const name of names) {
    const values = columns[name] = new Array<unknown>(rows.length)
    if (mayRead && !isInherited(name)) readProperty(rows, name, values)
    else for (let i = 0; i < rows.length; i++) values[i] = Object.hasOwn(rows[i]!, name) ? rows[i]![name] : null
  }
  if (rows.length === 0) columns[options.idColumn ?? 'id'] = []
  return fromColumns(columns, options)
}

/** The keys of all rows, in the order in which they are met. */
function namesIn(rows: readonly Row[]): Set<string> {
  const names = new Set<string>()
  let before: readonly string[] = []
  for (const [i, row] of rows.entries()) {
    if (typeof (row as unknown) !== 'object' || (row as unknown) === null) {
      throw new InvalidArgumentError({ argument: `rows[${i}]`, expected: 'an object', found: String(row) })
    }
    const keys = Object.keys(row)
    // rows are alike, as a rule
    if (keys.length === before.length && keys.every((key, k) => key === before[k])) continue
    for (const key of keys) names.add(key)
    before = keys
  }
  return names
}
