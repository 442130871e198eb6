import { storageValues } from '../batch/cells.js'
import type { ColumnType, Field } from '../batch/column-type.js'
import { vectorOf } from '../batch/infer.js'
import { idAt } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import { hasNulls, type Vector } from '../batch/vector.js'
import type { FetchedBatch, RawColumn } from '../batch/window.js'
import { ColumnNotFoundError, FetcherContractError, JSONParseError, listSome, SchemaConflictError, type MillraceError } from '../errors.js'
import { followPath } from '../json/extract.js'
import type { RequestColumns } from './request-columns.js'

interface FlattenOptions {
  columns: RequestColumns
  idColumn: string
  table: string
  /** Declared types, by the column's name as requested. */
  types: ReadonlyMap<string, ColumnType>
}

/** Stands for JSON text that could not be parsed; the row fails. */
const UNPARSED = Symbol('unparsed')

/**
 * Turn what a fetcher delivered into typed columns under the requested names: plain columns as they came, dotted ones taken
 * out of their documents (or ready-made). Rows that lack a column, or whose JSON is not JSON, are marked bad.
 *
 * @returns the typed rows, and mistakes that concern the whole batch or some of its rows
 */
export function flattenBatch(batch: FetchedBatch, { columns, idColumn, table, types }: FlattenOptions): { rows: RowBatch, mistakes: MillraceError[] } {
  const { ids, raw = new Map<string, RawColumn>(), bad } = batch
  const mistakes: MillraceError[] = []
  const vectors = new Map<string, { vector: Vector, field?: Field, wide: boolean }>()
  const documents = new Map<string, readonly unknown[]>()

  const absent = (name: string, rows: readonly number[]): void => {
    if (rows.length === 0) return
    const error = new ColumnNotFoundError({ table, columns: [name],
      ...(rows.length < ids.length ? { detail: `absent in the rows of ids ${listSome(rows.map(row => idAt(ids, row)))}` } : {}) })
    mistakes.push(error)
    for (const row of rows) if (!bad.has(row)) bad.set(row, error)
  }
  const typed = (name: string, values: readonly unknown[], dotted: boolean): void => {
    const { vector, wide, bad: unusable, conflict } = vectorOf(values, { type: types.get(name), dotted })
    for (const { row, reason } of unusable) {
      const error = new FetcherContractError({ batch: batch.index, reason: `column ${name} of id ${idAt(ids, row)}: ${reason}` })
      mistakes.push(error)
      bad.set(row, error)
    }
    if (conflict) {
      const error = new SchemaConflictError({ column: name, cached: conflict[0], seen: conflict[1] })
      mistakes.push(error)
      for (let row = 0; row < ids.length; row++) if (!bad.has(row)) bad.set(row, error)
    } else vectors.set(name, { vector, wide })
  }

  for (const { name, column } of columns.plain) {
    const came = raw.get(column)
    if (came && 'vector' in came && (types.get(name) ?? came.field.type) === came.field.type) {
      vectors.set(name, { vector: came.vector, field: came.field, wide: came.field.wide === true })
      continue
    }
    const values = came ? 'vector' in came ? storageValues(came.vector) : came.values : []
    if (!came || 'values' in came) absent(name, rowsWithout(values, ids.length))
    typed(name, values.length === 0 ? new Array<null>(ids.length).fill(null) : values, false)
  }
  for (const { name, base, keys } of columns.paths) {
    const ready = raw.get(name)
    if (ready && 'vector' in ready) {
      vectors.set(name, { vector: ready.vector, field: ready.field, wide: ready.field.wide === true })
      continue
    }
    if (!documents.has(base)) documents.set(base, parseDocuments(raw.get(base), base, batch, mistakes))
    const parsed = documents.get(base)!
    const values = new Array<unknown>(ids.length)
    const without: number[] = []
    for (let row = 0; row < ids.length; row++) {
      const own = ready?.values[row]
      const document = own === undefined ? parsed[row] : undefined
      if (own !== undefined) values[row] = own
      else if (document === undefined) without.push(row)
      else values[row] = document === UNPARSED ? null : followPath(document, keys) ?? null
    }
    absent(name, without)
    typed(name, values, true)
  }

  const schema: Field[] = [{ name: idColumn, type: 'int64', nullable: false, ...(ids instanceof BigInt64Array ? { wide: true } : {}) }]
  const all: Vector[] = [{ form: 'fixed', type: 'int64', length: ids.length, values: ids }]
  for (const name of columns.names) {
    const column = vectors.get(name)
    if (!column) continue
    const { vector, field, wide } = column
    schema.push({ name, type: vector.type, nullable: hasNulls(vector), ...(field?.origin ? { origin: field.origin } : {}), ...(wide ? { wide: true } : {}) })
    all.push(vector)
  }
  return { rows: new RowBatch(schema, all), mistakes }
}

function rowsWithout(values: readonly unknown[], length: number): number[] {
  const rows: number[] = []
  for (let row = 0; row < length; row++) if (values[row] === undefined) rows.push(row)
  return rows
}

/** A base column's documents: text is parsed, once per row however many paths read it. */
function parseDocuments(column: RawColumn | undefined, base: string, batch: FetchedBatch, mistakes: MillraceError[]): unknown[] {
  if (!column) return []
  const values = 'vector' in column ? storageValues(column.vector) : column.values
  const documents = new Array<unknown>(values.length)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    documents[row] = value
    if (typeof value !== 'string') continue
    try {
      documents[row] = JSON.parse(value) as unknown
    } catch (cause) {
      const error = new JSONParseError({ column: base, id: idAt(batch.ids, row), cause })
      documents[row] = UNPARSED
      mistakes.push(error)
      batch.bad.set(row, error)
    }
  }
  return documents
}
