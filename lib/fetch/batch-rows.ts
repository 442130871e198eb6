import { cellsOf, declarableValues, storageValues } from '../batch/cells.js'
import { CollectedColumn } from '../batch/collected-column.js'
import type { Field } from '../batch/column-type.js'
import { concatVectors, convertVector, unifyFields } from '../batch/combine.js'
import { idFromSource, type Id, type IdArray } from '../batch/ids.js'
import type { RowBatch } from '../batch/row-batch.js'
import { sameValue } from '../batch/same-value.js'
import { gatherVector, nullVector } from '../batch/vector.js'
import type { RawColumn } from '../batch/window.js'
import { SchemaConflictError } from '../errors.js'
import type { RowSlot } from './row-slots.js'

/** Two rows of one id, counted through all batches. */
interface Repeat {
  position: number
  first: number
  again: number
}

/** Which rows of the batches answer which id. */
interface Taken {
  /** One byte per id asked for, 1 = found. */
  found: Uint8Array
  /** The found rows in the order of the ids; undefined when all rows are, as they stand. */
  order: Uint32Array | undefined
  repeats: Repeat[]
}

/** What RowBatches hold of the ids asked for. */
export interface BatchRows {
  /** One byte per id asked for, 1 = found. */
  found: Uint8Array
  /** Typed columns of the found rows, in the order of the ids. */
  raw: Map<string, RawColumn>
  /** Positions whose repeated rows differ, and in which column. */
  differing: { position: number, column: string }[]
}

interface BatchRowsOptions {
  /** What was asked for, ascending. */
  ids: IdArray
  slots: readonly RowSlot[]
  idColumn: string
  /** Where an id stands among those asked for. */
  positionOf: (id: Id) => number | undefined
  /** Told of each row whose id is none. */
  onBadId: (row: number, value: unknown) => void
}

/**
 * Sort the rows of batches by the ids asked for without touching their types: vectors are joined and picked from, rows nobody asked
 * for are passed over, equal repeats count once. A column that some batches lack is absent in their rows.
 *
 * @throws {SchemaConflictError} a column whose types share none, and none is declared
 */
export function batchRows(batches: readonly RowBatch[], options: BatchRowsOptions): BatchRows {
  const taken = takeRows(batches, options)
  const raw = new Map<string, RawColumn>()
  const differing = new Map<number, string>()
  for (const slot of options.slots) {
    const name = slot.property?.name
    if (name === undefined || !batches.some(batch => batch.vector(name))) continue
    const { column, values } = joinColumn(batches, name, slot)
    const all = taken.repeats.length > 0 ? values() : []
    for (const { position, first, again } of taken.repeats) {
      if (!differing.has(position) && !sameValue(all[first], all[again])) differing.set(position, name)
    }
    raw.set(name, taken.order ? picked(column, taken.order) : column)
  }
  return { found: taken.found, raw, differing: Array.from(differing, ([position, column]) => ({ position, column })) }
}

/** The rows of a raw column at these positions, in that order. */
export function picked(column: RawColumn, order: Uint32Array): RawColumn {
  if ('collected' in column) return { collected: column.collected.pick(order) }
  const { vector, field, absent } = column
  if (!absent) return { vector: gatherVector(vector, order), field }
  const lacking = new Set(absent)
  const rows = Array.from(order.keys()).filter(row => lacking.has(order[row]!))
  return { vector: gatherVector(vector, order), field, ...(rows.length > 0 ? { absent: rows } : {}) }
}

/** A column over all batches, and its values as they compare. */
function joinColumn(batches: readonly RowBatch[], name: string, slot: RowSlot): { column: RawColumn, values: () => readonly unknown[] } {
  const fields = batches.flatMap(batch => batch.schema.find(field => field.name === name) ?? [])
  const field = unifyFields(fields, slot.path !== undefined)
  if (!field) {
    const values = plainValues(batches, name, slot, fields)
    return { column: { collected: CollectedColumn.of(values) }, values: () => values }
  }
  const vector = concatVectors(field.type, batches.map(batch => {
    const own = batch.vector(name)
    return own ? convertVector(own, field.type) : nullVector(field.type, batch.length)
  }))
  const absent = fields.length < batches.length ? rowsLacking(batches, name) : undefined
  return { column: { vector, field, ...(absent ? { absent } : {}) }, values: () => field.type === 'json' ? cellsOf(vector) as readonly unknown[] : storageValues(vector) }
}

/** Types that share none go by their values, where somebody says what these are to become: a declared type, or paths into documents. */
function plainValues(batches: readonly RowBatch[], name: string, { declared, isDocument }: RowSlot, fields: readonly Field[]): unknown[] {
  if (declared === undefined && !isDocument) {
    const at = fields.findIndex((_, i) => unifyFields(fields.slice(0, i + 1), false) === undefined)
    throw new SchemaConflictError({ column: name, cached: unifyFields(fields.slice(0, at), false)!.type, seen: fields[at]!.type })
  }
  return batches.flatMap(batch => {
    const vector = batch.vector(name)
    if (!vector) return new Array<undefined>(batch.length).fill(undefined)
    if (declared) return Array.from(declarableValues(vector, declared) as ArrayLike<unknown>)
    // of documents the text; text of other types is none
    if (vector.type === 'text' || vector.type === 'json') return [...storageValues(vector)]
    return Array.from(cellsOf(vector) as ArrayLike<unknown>, cell => typeof cell === 'string' ? null : cell)
  })
}

function rowsLacking(batches: readonly RowBatch[], name: string): number[] {
  const rows: number[] = []
  let at = 0
  for (const batch of batches) {
    if (!batch.vector(name)) for (let i = 0; i < batch.length; i++) rows.push(at + i)
    at += batch.length
  }
  return rows
}

function takeRows(batches: readonly RowBatch[], { ids, idColumn, positionOf, onBadId }: BatchRowsOptions): Taken {
  const found = new Uint8Array(ids.length)
  if (isJust(batches, ids, idColumn)) return { found: found.fill(1), order: undefined, repeats: [] }
  const rowAt = new Int32Array(ids.length).fill(-1)
  const repeats: Repeat[] = []
  let [row, last, inOrder] = [0, -1, true]
  for (const batch of batches) {
    const idVector = batch.vector(idColumn)
    const cells = idVector ? cellsOf(idVector) : []
    for (let i = 0; i < batch.length; i++, row++) {
      const id = idFromSource(cells[i])
      const position = id === undefined ? undefined : positionOf(id)
      if (id === undefined) onBadId(row, cells[i])
      if (position === undefined || found[position] === 1) {
        inOrder = false
        if (position !== undefined) repeats.push({ position, first: rowAt[position]!, again: row })
        continue
      }
      if (position < last) inOrder = false
      last = position
      found[position] = 1
      rowAt[position] = row
    }
  }
  return { found, order: inOrder ? undefined : Uint32Array.from(rowAt.filter(at => at >= 0)), repeats }
}

/** Whether the batches hold a row for each id, in order, and no others. */
function isJust(batches: readonly RowBatch[], ids: IdArray, idColumn: string): boolean {
  let at = 0
  return batches.every(batch => {
    const vector = batch.vector(idColumn)
    if (vector?.form !== 'fixed' || vector.type !== 'int64' || vector.valid !== undefined || at + vector.length > ids.length) return false
    const asked = ids.subarray(at, at += vector.length)
    if (vector.values instanceof Float64Array && asked instanceof Float64Array) return isSame(vector.values, asked)
    return vector.values instanceof BigInt64Array && asked instanceof BigInt64Array && vector.values.every((id, i) => id === asked[i])
  }) && at === ids.length
}

function isSame(numbers: Float64Array, others: Float64Array): boolean {
  for (let i = 0; i < numbers.length; i++) if (numbers[i] !== others[i]) return false
  return true
}
