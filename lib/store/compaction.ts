import type { Field } from '../batch/column-type.js'
import { convertVector, scatterVectors } from '../batch/combine.js'
import { collectIds, WINDOW_ROWS, type IdSet } from '../batch/id-set.js'
import { positionsBetween, type IdArray } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import { hasNulls, nullVector, type Vector } from '../batch/vector.js'
import { batchBytes, SizeGuess } from './batch-bytes.js'
import type { Change, Manifest, PartEntry, TableKey } from './catalog.js'
import { fitsTable } from './change.js'
import type { CompactionPlan } from './compaction-plan.js'
import { mergeSteps, planCopies, type CompactionInput, type Copy } from './copy-plan.js'
import { idsOfRows, indexWindows } from './id-index.js'
import type { PartWriter } from './part-writer.js'
import { hides, type Snapshot } from './snapshot.js'
import type { StoreSettings } from './store-settings.js'

/** The table that is compacted. */
export interface CompactionTarget {
  readonly key: Pick<TableKey, 'folder' | 'idColumn'>
  readonly settings: StoreSettings
  snapshotOf(manifest: Manifest): Snapshot
  partWriter(fields: readonly Field[], partial?: readonly string[]): PartWriter
  commitParts(writers: readonly PartWriter[], change: Change): Promise<Manifest | undefined>
}

/**
 * Rewrite the plan's parts as parts of at most `partBytes`, split by id range, newest values first, invalid ones left out,
 * and commit the exchange. Row groups that nothing else touches are copied byte for byte. Undone by anybody else's removal of
 * an input; killed at any point it has changed nothing.
 *
 * @returns whether the exchange was committed
 * @throws {UnusablePartError} an input cannot be read
 */
export async function compact(store: CompactionTarget, manifest: Manifest, plan: CompactionPlan, signal?: AbortSignal): Promise<boolean> {
  const { reader } = store.settings
  // a tombstone may go once no part, old or new, is hidden by it
  const rest = manifest.parts.filter(part => !plan.parts.includes(part))
  const dropTombstones = plan.tombstones.filter(at => !rest.some(part => part.since < at))
  const output = new CompactionOutput(store, manifest, plan.parts)
  if (plan.parts.length > 0) await output.write(signal)
  const committed = await store.commitParts(output.parts, { remove: plan.parts.map(part => part.name), removeAll: true,
    ...(plan.parts.length > 0 ? { seq: Math.max(...plan.parts.map(part => part.seq)) } : {}), dropTombstones })
  plan.parts.forEach(part => reader.forget(store.key.folder, part.name))
  return committed !== undefined
}

/** Writes the new parts of one compaction. */
class CompactionOutput {
  /** Finished, not committed yet. */
  readonly parts: PartWriter[] = []
  readonly #store: CompactionTarget
  readonly #manifest: Manifest
  readonly #inputs: readonly PartEntry[]
  #writer: PartWriter | undefined
  #fields: readonly Field[] = []
  readonly #sizes = new SizeGuess()

  constructor(store: CompactionTarget, manifest: Manifest, inputs: readonly PartEntry[]) {
    this.#store = store
    this.#manifest = manifest
    this.#inputs = inputs
  }

  /** Read, merge and write everything; when that fails nothing is left. */
  async write(signal?: AbortSignal): Promise<void> {
    try {
      await this.#write(signal)
    } catch (error) {
      for (const writer of this.#writer ? [...this.parts, this.#writer] : this.parts) await writer.abort()
      throw error
    }
  }

  async #write(signal: AbortSignal | undefined): Promise<void> {
    const { settings } = this.#store
    const snapshot = this.#store.snapshotOf({ ...this.#manifest, parts: this.#inputs })
    const inputs: CompactionInput[] = []
    for (const part of this.#inputs) inputs.push({ part, tail: await snapshot.tail(part), hasHoles: this.#hasHoles(part) })
    this.#fields = mergedFields(this.#store, this.#manifest, this.#inputs)
    const copies = planCopies(inputs, this.#fields, settings)
    const ids = await idsExcept(inputs, copies, signal)
    for (const step of mergeSteps(ids.windows(WINDOW_ROWS), copies)) {
      signal?.throwIfAborted()
      if ('copy' in step) await this.#copy(step.copy, snapshot)
      else await this.#merge(step.ids, snapshot)
    }
    await this.#finish()
  }

  async #copy({ part, tail, group }: Copy, snapshot: Snapshot): Promise<void> {
    const meta = tail.rowGroups[group]!
    const bytes = await snapshot.readEncoded(part, group)
    const writer = await this.#writerFor(bytes.length)
    await writer.appendEncoded(meta, bytes, idsOfRows(tail.index, tail.firstRows[group]!, meta.rows))
  }

  async #merge(ids: IdArray, snapshot: Snapshot): Promise<void> {
    const { batch, presence } = await readWindow(snapshot, ids, this.#fields)
    const rawPerRow = batchBytes(batch) / batch.length
    for (let from = 0; from < batch.length;) {
      const left = batch.length - from
      const to = from + Math.min(left, this.#sizes.groupRows(left, left * rawPerRow, this.#store.settings.partBytes))
      const writer = await this.#writerFor(this.#sizes.encoded((to - from) * rawPerRow))
      const before = writer.bytes
      await writer.append([batch.slice(from, to)], new Map([...presence].map(([name, bits]) => [name, bits.subarray(from, to)])))
      this.#sizes.learn((to - from) * rawPerRow, writer.bytes - before)
      from = to
    }
  }

  /** The writer that takes the next `bytes`: another one when the part would grow too large. */
  async #writerFor(bytes: number): Promise<PartWriter> {
    if (this.#writer && this.#writer.bytes + bytes > this.#store.settings.partBytes) await this.#finish()
    // a column that is whole in the end loses its bitmap again
    const partial = this.#fields.slice(1).filter(field => !heldWhole(this.#manifest, this.#inputs, field)).map(field => field.name)
    return this.#writer ??= this.#store.partWriter(this.#fields, partial)
  }

  async #finish(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    if (!writer) return
    await writer.finish({ since: this.#manifest.version, createdMs: Math.min(...this.#inputs.map(part => part.createdMs)) })
    this.parts.push(writer)
  }

  #hasHoles(part: PartEntry): boolean {
    return this.#manifest.tombstones.some(tombstone => part.columns.some(({ name }) => hides(tombstone, part, name)))
  }
}

/** Whether every part answers a column for all its ids: holds it, in a type that still counts, and no tombstone hides any of it. */
function heldWhole({ tombstones }: Manifest, parts: readonly PartEntry[], field: Field): boolean {
  return parts.every(part => part.columns.some(column => column.name === field.name && !column.partial && fitsTable(column, field)) &&
    !tombstones.some(tombstone => hides(tombstone, part, field.name)))
}

/** The inputs' ids but those of copied row groups. */
async function idsExcept(inputs: readonly CompactionInput[], copies: readonly Copy[], signal?: AbortSignal): Promise<IdSet> {
  async function * arrays(): AsyncGenerator<IdArray> {
    for (const { part, tail } of inputs) {
      const copied = new Set(copies.filter(copy => copy.part === part).map(copy => copy.group))
      for (const [group, { rows }] of tail.rowGroups.entries()) {
        if (!copied.has(group)) yield idsOfRows(tail.index, tail.firstRows[group]!, rows)
      }
    }
  }
  return await collectIds(arrays(), signal)
}

/** The ids of some parts, in arrays, repeats included. */
export async function * idsOf(snapshot: Snapshot, parts: readonly PartEntry[]): AsyncGenerator<IdArray> {
  for (const part of parts) yield * indexWindows((await snapshot.tail(part)).index, WINDOW_ROWS)
}

/** All columns any input holds, in the table's order, the id first; nullable where an input says so or lacks some of the column. */
export function mergedFields(store: Pick<CompactionTarget, 'key'>, manifest: Manifest, parts: readonly PartEntry[]): Field[] {
  const { idColumn } = store.key
  const inputs = parts.flatMap(part => part.columns)
  const held = new Set(inputs.map(column => column.name))
  const ids = inputs.filter(column => column.name === idColumn)
  const others = manifest.columns.filter(field => held.has(field.name) && field.name !== idColumn)
  return [{ name: idColumn, type: ids[0]!.type, nullable: false, ...(ids.some(id => id.wide) ? { wide: true } : {}) },
    ...others.map(field => ({ ...field, nullable: !heldWhole(manifest, parts, field) || inputs.some(column => column.name === field.name && column.nullable) }))]
}

/**
 * One window's rows with every column some input holds for them; what none holds is null, and marked absent.
 * Left out are ids that nothing of `fields` is held for: not even the id, unless `byColumns` says that an id alone does not count.
 */
export async function readWindow(snapshot: Snapshot, ids: IdArray, fields: readonly Field[], { byColumns = false }: { byColumns?: boolean } = {}):
Promise<{ batch: RowBatch, presence: Map<string, Uint8Array> }> {
  const idField = fields[0]!
  const names = fields.slice(1).map(field => field.name)
  const idVector: Vector = { form: 'fixed', type: idField.type, length: ids.length, values: ids }
  const presence = new Map<string, Uint8Array>()
  const anywhere = byColumns ? new Uint8Array(ids.length) : await held(snapshot, ids, idField.name)
  const columns: Vector[] = []
  for (const [c, name] of names.entries()) {
    const field = fields[c + 1]!
    const { answers, misses } = await snapshot.cover(ids, [name])
    const bits = without(ids.length, misses)
    bits.forEach((bit, i) => { anywhere[i]! |= bit })
    presence.set(name, bits)
    const pieces = (await snapshot.read({ answers })).get(name) ?? []
    columns.push(misses.length === ids.length ? nullVector(field.type, ids.length)
      : scatterVectors(field.type, ids.length, pieces.map(piece => ({ ...piece, vector: convertVector(piece.vector, field.type) }))))
  }
  const kept = positionsBetween(0, ids.length).filter(i => anywhere[i] === 1)
  const schema = fields.map((field, c) => ({ ...field, nullable: c > 0 && hasNulls(columns[c - 1]!) }))
  const whole = new RowBatch(schema, [idVector, ...columns])
  if (kept.length === ids.length) return { batch: whole, presence }
  for (const [name, bits] of presence) presence.set(name, kept.length === 0 ? new Uint8Array(0) : Uint8Array.from(kept, i => bits[i]!))
  return { batch: whole.gather(kept), presence }
}

/** One byte per id, 1 = some part holds the column for it. */
async function held(snapshot: Snapshot, ids: IdArray, column: string): Promise<Uint8Array> {
  return without(ids.length, (await snapshot.cover(ids, [column])).misses)
}

function without(length: number, positions: Uint32Array): Uint8Array {
  const bits = new Uint8Array(length).fill(1)
  for (const position of positions) bits[position] = 0
  return bits
}
