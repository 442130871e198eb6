import { cellsOf, declarableValues, storageValues } from '../batch/cells.js'
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

/** A requested column, found in what came: JS values to be typed, or a vector that is. */
type Found = { name: string, dotted: boolean } & ({ values: readonly unknown[] } | { vector: Vector, field: Field })

/** What is the same for all columns of a batch: its rows, their mistakes, and which rows failed. */
interface Flattening extends FlattenOptions {
  batch: FetchedBatch
  raw: ReadonlyMap<string, RawColumn>
  mistakes: MillraceError[]
}

/**
 * Turn what a fetcher delivered into typed columns under the requested names: plain columns as they came, dotted ones taken
 * out of their documents (or ready-made). Rows that lack a column, or whose JSON is not JSON, are marked bad.
 *
 * @returns the typed rows, and mistakes that concern the whole batch or some of its rows
 */
export function flattenBatch(batch: FetchedBatch, options: FlattenOptions): { rows: RowBatch, mistakes: MillraceError[] } {
  const { columns, idColumn } = options
  const { ids } = batch
  const flattening: Flattening = { ...options, batch, raw: batch.raw ?? new Map<string, RawColumn>(), mistakes: [] }
  // first everything that makes rows fail, then the types: a row that fails has no say in them
  const found = new Map([...plainColumns(flattening), ...pathColumns(flattening)].map(column => [column.name, column]))
  const schema: Field[] = [{ name: idColumn, type: 'int64', nullable: false, ...(ids instanceof BigInt64Array ? { wide: true } : {}) }]
  const vectors: Vector[] = [{ form: 'fixed', type: 'int64', length: ids.length, values: ids }]
  for (const name of columns.names) {
    const column = typedColumn(found.get(name)!, flattening)
    if (!column) continue
    schema.push({ ...column.field, name, nullable: hasNulls(column.vector) })
    vectors.push(column.vector)
  }
  return { rows: new RowBatch(schema, vectors), mistakes: flattening.mistakes }
}

function plainColumns(flattening: Flattening): Found[] {
  const { columns, raw, types, batch: { ids } } = flattening
  return columns.plain.map(({ name, column }): Found => {
    const came = raw.get(column)
    if (came && 'vector' in came) {
      markAbsent(name, came.absent ?? [], flattening)
      return declared({ name, dotted: false, ...came }, types)
    }
    const values = came?.values ?? []
    markAbsent(name, rowsWithout(values, ids.length), flattening)
    return { name, dotted: false, values: came ? values : new Array<null>(ids.length).fill(null) }
  })
}

function pathColumns(flattening: Flattening): Found[] {
  const { columns, raw, types, batch: { ids } } = flattening
  const documents = new Map<string, readonly unknown[]>()
  return columns.paths.map(({ name, base, keys, slot }): Found => {
    const came = raw.get(slot)
    if (came && 'vector' in came && !came.absent) return declared({ name, dotted: true, ...came }, types)
    const ready = came && 'vector' in came ? readyValues(came) : came
    if (!documents.has(base)) documents.set(base, parseDocuments(base, flattening))
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
    markAbsent(name, without, flattening)
    return { name, dotted: true, values }
  })
}

/** A ready-made column that only some batches have, as values; where their rows would lose microseconds, without those. */
function readyValues({ vector, absent }: Exclude<RawColumn, { values: unknown }>): { values: unknown[] } {
  const isExact = !/^(list<)?timestamp/.test(vector.type)
  const values = isExact ? Array.from(cellsOf(vector) as ArrayLike<unknown>) : new Array<unknown>(vector.length).fill(undefined)
  for (const row of absent ?? []) values[row] = undefined
  return { values }
}

/** A vector stays what it is, unless the caller declares another type for it. */
function declared(column: Found & { vector: Vector }, types: ReadonlyMap<string, ColumnType>): Found {
  const { name, dotted, vector } = column
  const type = types.get(name)
  return type === undefined || type === vector.type ? column : { name, dotted, values: Array.from(declarableValues(vector, type) as ArrayLike<unknown>) }
}

/** The rows in which a column is absent fail: absent is not null, and must not be cached as null. */
function markAbsent(name: string, rows: readonly number[], { table, batch: { ids, bad }, mistakes }: Flattening): void {
  if (rows.length === 0) return
  const error = new ColumnNotFoundError({ table, columns: [name],
    ...(rows.length < ids.length ? { detail: `absent in the rows of ids ${listSome(rows.map(row => idAt(ids, row)))}` } : {}) })
  mistakes.push(error)
  for (const row of rows) if (!bad.has(row)) bad.set(row, error)
}

/** A column with its type; undefined where its values share none, and then all rows fail. */
function typedColumn(column: Found, { types, batch: { ids, bad, index }, mistakes }: Flattening): { vector: Vector, field: Omit<Field, 'name' | 'nullable'> } | undefined {
  const { name, dotted } = column
  const fail = (row: number, reason: string): void => {
    const error = new FetcherContractError({ batch: index, reason: `column ${name} of id ${idAt(ids, row)}: ${reason}` })
    mistakes.push(error)
    bad.set(row, error)
  }
  if ('vector' in column) {
    const { vector, field: { type, origin, wide } } = column
    if (dotted && type.startsWith('float') && vector.form === 'fixed') vector.values.forEach((value: number | bigint, row: number) => {
      if (Number.isNaN(value) && vector.valid?.[row] !== 0) fail(row, 'NaN, which JSON has no form for')
    })
    return { vector, field: { type, ...(origin ? { origin } : {}), ...(wide ? { wide } : {}) } }
  }
  const values = bad.size === 0 ? column.values : column.values.map((value, row) => bad.has(row) ? null : value)
  const { vector, wide, bad: unusable, conflict } = vectorOf(values, { type: types.get(name), dotted })
  for (const { row, reason } of unusable) fail(row, reason)
  if (!conflict) return { vector, field: { type: vector.type, ...(wide ? { wide } : {}) } }
  const error = new SchemaConflictError({ column: name, cached: conflict[0], seen: conflict[1] })
  mistakes.push(error)
  for (let row = 0; row < ids.length; row++) if (!bad.has(row)) bad.set(row, error)
  return undefined
}

function rowsWithout(values: readonly unknown[], length: number): number[] {
  const rows: number[] = []
  for (let row = 0; row < length; row++) if (values[row] === undefined) rows.push(row)
  return rows
}

/** A base column's documents: text is parsed, once per row however many paths read it. A typed column that is no text holds no JSON text. */
function parseDocuments(base: string, { raw, batch, mistakes }: Flattening): readonly unknown[] {
  const column = raw.get(base)
  if (!column) return []
  const isText = 'values' in column || column.vector.type === 'text' || column.vector.type === 'json'
  const values = 'values' in column ? column.values : isText ? storageValues(column.vector) : cellsOf(column.vector)
  const absent = new Set('vector' in column ? column.absent : [])
  const documents = new Array<unknown>(values.length)
  for (let row = 0; row < values.length; row++) {
    const value = values[row]
    documents[row] = absent.has(row) ? undefined : value
    if (typeof value !== 'string' || !isText) continue
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
