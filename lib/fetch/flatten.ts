import { cellsOf, declarableValues, storageValues } from '../batch/cells.js'
import { CollectedColumn } from '../batch/collected-column.js'
import type { ColumnType, Field } from '../batch/column-type.js'
import { vectorOf, vectorOfCollected, type Inferred } from '../batch/infer.js'
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

/** A requested column, found in what came: values to be typed, or a vector that is. */
type Found = { name: string, dotted: boolean } & ({ collected: CollectedColumn } | { values: readonly unknown[] } | { vector: Vector, field: Field })

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
    const collected = came?.collected ?? new CollectedColumn(ids.length)
    markAbsent(name, collected.absent(), flattening)
    return { name, dotted: false, collected }
  })
}

function pathColumns(flattening: Flattening): Found[] {
  const { columns, raw, types, batch: { ids } } = flattening
  const documents = new Map<string, (row: number) => unknown>()
  return columns.paths.map(({ name, base, keys, slot }): Found => {
    const came = raw.get(slot)
    if (came && 'vector' in came && !came.absent) return declared({ name, dotted: true, ...came }, types)
    const collected = !came ? new CollectedColumn(ids.length) : 'vector' in came ? readyValues(came) : came.collected
    const without: number[] = []
    for (const row of collected.absent()) {
      if (!documents.has(base)) documents.set(base, documentsOf(base, flattening))
      const document = documents.get(base)!(row)
      if (document === undefined) without.push(row)
      // an unparsed row fails; the column is shared with whoever joins the fetch, who has to find that out too
      else if (document !== UNPARSED) collected.set(row, followPath(document, keys) ?? null)
    }
    markAbsent(name, without, flattening)
    return { name, dotted: true, collected }
  })
}

/** A ready-made column that only some batches have, as values; where their rows would lose microseconds, without those. */
function readyValues({ vector, absent }: { vector: Vector, absent?: readonly number[] }): CollectedColumn {
  const isExact = !/^(list<)?timestamp/.test(vector.type)
  const values = isExact ? Array.from(cellsOf(vector) as ArrayLike<unknown>) : new Array<unknown>(vector.length).fill(undefined)
  for (const row of absent ?? []) values[row] = undefined
  return CollectedColumn.of(values)
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
  const { vector, wide, bad: unusable, conflict } = inferred(column, { type: types.get(name), dotted, bad })
  for (const { row, reason } of unusable) fail(row, reason)
  if (!conflict) return { vector, field: { type: vector.type, ...(wide ? { wide } : {}) } }
  const error = new SchemaConflictError({ column: name, cached: conflict[0], seen: conflict[1] })
  mistakes.push(error)
  for (let row = 0; row < ids.length; row++) if (!bad.has(row)) bad.set(row, error)
  return undefined
}

/** The values' type and vector. Rows that failed are nulls to it: they have no say in the type. */
function inferred(column: Exclude<Found, { vector: Vector }>, { type, dotted, bad }:
{ type: ColumnType | undefined, dotted: boolean, bad: ReadonlyMap<number, MillraceError> }): Inferred {
  if (bad.size === 0 && 'collected' in column) return vectorOfCollected(column.collected, { type, dotted })
  const values = 'collected' in column ? column.collected.values() : column.values
  return vectorOf(bad.size === 0 ? values : values.map((value, row) => bad.has(row) ? null : value), { type, dotted })
}

/**
 * A base column's documents by row, undefined where absent: text is parsed when first asked for, once however many paths read it.
 * A typed column that is no text holds no JSON text.
 */
function documentsOf(base: string, { raw, batch, mistakes }: Flattening): (row: number) => unknown {
  const column = raw.get(base)
  if (!column) return () => undefined
  const absent = new Set('vector' in column ? column.absent : [])
  if ('vector' in column && column.vector.type !== 'text' && column.vector.type !== 'json') {
    const cells = cellsOf(column.vector)
    return row => absent.has(row) ? undefined : cells[row]
  }
  const texts = 'vector' in column ? storageValues(column.vector) : column.collected.values()
  const parsed = new Map<number, unknown>()
  const parse = (row: number): unknown => {
    try {
      return JSON.parse(texts[row] as string)
    } catch (cause) {
      const error = new JSONParseError({ column: base, id: idAt(batch.ids, row), cause })
      mistakes.push(error)
      batch.bad.set(row, error)
      return UNPARSED
    }
  }
  return row => {
    if (absent.has(row)) return undefined
    if (typeof texts[row] !== 'string') return texts[row]
    if (!parsed.has(row)) parsed.set(row, parse(row))
    return parsed.get(row)
  }
}
