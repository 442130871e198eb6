import { cellsOf, storageValues } from '../batch/cells.js'
import type { Field } from '../batch/column-type.js'
import { concatVectors, convertVector, unifyFields } from '../batch/combine.js'
import { idFromSource, type Id } from '../batch/ids.js'
import type { RowBatch } from '../batch/row-batch.js'
import { sameValue } from '../batch/same-value.js'
import { gatherVector } from '../batch/vector.js'
import type { RawColumn } from '../batch/window.js'
import { isDotted } from '../store/change.js'

/** Two rows of one id, counted through all batches. */
interface Repeat {
  position: number
  first: number
  again: number
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

/**
 * Sort the rows of batches by the ids asked for without touching their types: vectors are joined and picked from, rows nobody asked
 * for are passed over, equal repeats count once.
 *
 * @param positionOf where an id stands among those asked for
 * @returns undefined where the batches do not fit together: no id, a column that only some have, types that share none
 */
export function batchRows(batches: readonly RowBatch[], { count, names, idColumn, positionOf }:
{ count: number, names: readonly string[], idColumn: string, positionOf: (id: Id) => number | undefined }): BatchRows | undefined {
  const fields = unifiedFields(batches, names)
  const taken = fields && takeRows(batches, count, idColumn, positionOf)
  if (!taken) return undefined
  const raw = new Map<string, RawColumn>()
  const differing = new Map<number, string>()
  for (const [name, field] of fields) {
    const whole = concatVectors(field.type, batches.map(batch => convertVector(batch.vector(name)!, field.type)))
    const values = taken.repeats.length > 0 ? storageValues(whole) : []
    for (const { position, first, again } of taken.repeats) {
      if (!differing.has(position) && !sameValue(values[first], values[again])) differing.set(position, name)
    }
    raw.set(name, { field, vector: taken.order ? gatherVector(whole, taken.order) : whole })
  }
  return { found: taken.found, raw, differing: Array.from(differing, ([position, column]) => ({ position, column })) }
}

/** The columns' types over all batches. */
function unifiedFields(batches: readonly RowBatch[], names: readonly string[]): Map<string, Field> | undefined {
  const fields = new Map<string, Field>()
  for (const name of names) {
    const held = batches.flatMap(batch => batch.schema.find(field => field.name === name) ?? [])
    if (held.length === 0) continue
    const unified = held.length === batches.length ? unifyFields(held, isDotted(name)) : undefined
    if (!unified) return undefined
    fields.set(name, unified)
  }
  return fields
}

/** Which row answers each id; `order` is undefined when all rows do, as they stand. */
function takeRows(batches: readonly RowBatch[], count: number, idColumn: string, positionOf: (id: Id) => number | undefined):
{ found: Uint8Array, order: Uint32Array | undefined, repeats: Repeat[] } | undefined {
  const found = new Uint8Array(count)
  const rowAt = new Int32Array(count).fill(-1)
  const repeats: Repeat[] = []
  let [row, last, inOrder] = [0, -1, true]
  for (const batch of batches) {
    const idVector = batch.vector(idColumn)
    if (!idVector) return undefined
    const cells = cellsOf(idVector)
    for (let i = 0; i < batch.length; i++, row++) {
      const id = idFromSource(cells[i])
      if (id === undefined) return undefined
      const position = positionOf(id)
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
