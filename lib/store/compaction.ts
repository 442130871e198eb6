import type { Field } from '../batch/column-type.js'
import { convertVector, scatterVectors } from '../batch/combine.js'
import { collectIds, WINDOW_ROWS } from '../batch/id-set.js'
import type { IdArray } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import { hasNulls, nullVector, type Vector } from '../batch/vector.js'
import type { Change, Manifest, PartEntry, TableKey } from './catalog.js'
import type { CompactionPlan } from './compaction-plan.js'
import { indexWindows } from './id-index.js'
import type { NewPart, PartWriter } from './part-writer.js'
import type { Snapshot } from './snapshot.js'
import type { StoreSettings } from './store-settings.js'

/** The table that is compacted. */
export interface CompactionTarget {
  readonly key: Pick<TableKey, 'folder' | 'idColumn'>
  readonly settings: StoreSettings
  snapshotOf(manifest: Manifest): Snapshot
  partWriter(fields: readonly Field[], partial?: readonly string[]): PartWriter
  commit(change: Change): Promise<Manifest | undefined>
}

/**
 * Rewrite the plan's parts as parts of at most `partBytes`, split by id range, newest values first, invalid ones left out,
 * and commit the exchange. Undone by anybody else's removal of an input; killed at any point it has changed nothing.
 *
 * @returns whether the exchange was committed
 */
export async function compact(store: CompactionTarget, manifest: Manifest, plan: CompactionPlan, signal?: AbortSignal): Promise<boolean> {
  const { folder } = store.key
  const { reader, partBytes, blobs } = store.settings
  const view: Manifest = { ...manifest, parts: plan.parts }
  const snapshot = store.snapshotOf(view)
  const ids = await collectIds(idsOf(store, plan.parts, snapshot), signal)
  const fields = mergedFields(store, manifest, plan.parts)
  const names = fields.slice(1).map(field => field.name)
  const hasHoles = manifest.tombstones.some(tombstone => plan.parts.some(part => part.since < tombstone.seq))
  const done: NewPart[] = []
  let writer: PartWriter | undefined
  try {
    for (const window of ids.windows(WINDOW_ROWS)) {
      signal?.throwIfAborted()
      const { batch, presence } = await readWindow(snapshot, window, fields)
      if (batch.length === 0) continue
      const needs = batch.schema.some((field, c) => field.nullable && writer?.fields[c]?.nullable === false)
      if (writer && (writer.bytes >= partBytes * 0.9 || needs)) {
        done.push(await writer.finish({ since: manifest.version }))
        writer = undefined
      }
      // a column that is whole in the end loses its bitmap again
      writer ??= store.partWriter(batch.schema, names.filter(name => hasHoles || !everywhere(plan.parts, name)))
      await writer.append(batch, presence)
    }
    if (writer) done.push(await writer.finish({ since: manifest.version }))
    writer = undefined
  } catch (error) {
    await writer?.abort()
    await Promise.all(done.map(part => blobs.delete(folder, part.name).catch(() => undefined)))
    throw error
  }
  const seq = Math.max(...plan.parts.map(part => part.seq))
  // a tombstone may go once no part, old or new, is hidden by it
  const rest = manifest.parts.filter(part => !plan.parts.includes(part))
  const dropTombstones = plan.tombstones.filter(at => !rest.some(part => part.since < at))
  const createdMs = Math.min(...plan.parts.map(part => part.createdMs))
  const committed = await store.commit({ add: done.map(part => ({ ...part, createdMs })), remove: plan.parts.map(part => part.name), removeAll: true, seq, dropTombstones })
  if (!committed) await Promise.all(done.map(part => blobs.delete(folder, part.name)))
  plan.parts.forEach(part => reader.forget(folder, part.name))
  return committed !== undefined
}

function everywhere(parts: readonly PartEntry[], name: string): boolean {
  return parts.every(part => part.columns.some(column => column.name === name && !column.partial))
}

/** The ids of some parts, in arrays, repeats included. */
export async function * idsOf(store: Pick<CompactionTarget, 'settings' | 'key'>, parts: readonly PartEntry[], request: object): AsyncGenerator<IdArray> {
  for (const part of parts) {
    const { index } = await store.settings.reader.tail(store.key.folder, part, request)
    yield * indexWindows(index, WINDOW_ROWS)
  }
}

/** All columns any input holds, in the table's order, the id first. */
export function mergedFields(store: Pick<CompactionTarget, 'key'>, manifest: Manifest, parts: readonly PartEntry[]): Field[] {
  const held = new Set(parts.flatMap(part => part.columns.map(column => column.name)))
  const id = parts[0]!.columns[0]!
  const others = manifest.columns.filter(field => held.has(field.name) && field.name !== store.key.idColumn)
  return [{ name: id.name, type: id.type, nullable: false }, ...others]
}

/**
 * One window's rows with every column some input holds for them; what none holds is null, and marked absent.
 * Ids that no column of `fields` is held for are left out.
 */
export async function readWindow(snapshot: Snapshot, ids: IdArray, fields: readonly Field[]):
Promise<{ batch: RowBatch, presence: Map<string, Uint8Array> }> {
  const idField = fields[0]!
  const names = fields.slice(1).map(field => field.name)
  const idVector: Vector = { form: 'fixed', type: idField.type, length: ids.length, values: ids }
  const presence = new Map<string, Uint8Array>()
  const anywhere = new Uint8Array(ids.length)
  const columns: Vector[] = []
  for (const [c, name] of names.entries()) {
    const field = fields[c + 1]!
    const { answers, misses } = await snapshot.cover(ids, [name])
    const bits = new Uint8Array(ids.length).fill(1)
    for (const position of misses) bits[position] = 0
    bits.forEach((bit, i) => { anywhere[i]! |= bit })
    presence.set(name, bits)
    const pieces = (await snapshot.read({ answers })).get(name) ?? []
    columns.push(misses.length === ids.length ? nullVector(field.type, ids.length)
      : scatterVectors(field.type, ids.length, pieces.map(piece => ({ ...piece, vector: convertVector(piece.vector, field.type) }))))
  }
  const kept = Uint32Array.from(ids.keys()).filter(i => anywhere[i] === 1 || names.length === 0)
  const schema = fields.map((field, c) => ({ ...field, nullable: c > 0 && hasNulls(columns[c - 1]!) }))
  const whole = new RowBatch(schema, [idVector, ...columns])
  if (kept.length === ids.length) return { batch: whole, presence }
  for (const [name, bits] of presence) presence.set(name, kept.length === 0 ? new Uint8Array(0) : Uint8Array.from(kept, i => bits[i]!))
  return { batch: whole.gather(kept), presence }
}

