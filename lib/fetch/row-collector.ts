import { types } from 'node:util'
import type { CollectedColumn } from '../batch/collected-column.js'
import { idAt, idFromSource, lowerBound, positionsWhere, type Id, type IdArray } from '../batch/ids.js'
import { arePlain, readProperty } from '../batch/read-property.js'
import { RowBatch } from '../batch/row-batch.js'
import type { FetchedBatch, RawColumn } from '../batch/window.js'
import { batchRows } from './batch-rows.js'
import { FetcherContractError, messageOf, type MillraceError } from '../errors.js'
import { readColumn } from './read-column.js'
import type { RunTexts } from './run-texts.js'
import { isSameIn, propertyIn, propertyOf, valueIn, type Property, type RowSlot } from './row-slots.js'

interface CollectorOptions {
  /** What was asked for: ascending, each once. */
  ids: IdArray
  batch: number
  idColumn: string
  /** What to take from rows. */
  slots: readonly RowSlot[]
  /** Learned from batch to batch. */
  texts: RunTexts
}

/** Rows taken at a time: few enough to stay in the processor's cache while column after column is read from them. */
const BLOCK_ROWS = 1024

/** Rows of an answer that were asked for. */
interface Placed {
  rows: readonly object[]
  /** Where each stands among the ids asked for. */
  positions: Uint32Array
  /** The positions follow one another without a gap. */
  isRun: boolean
}

/** Asking a revoked proxy what it is throws; it counts as a row, which cannot be read. */
function kindOf(item: unknown): 'batch' | 'rows' | 'row' {
  try {
    return item instanceof RowBatch ? 'batch' : Array.isArray(item) ? 'rows' : 'row'
  } catch {
    return 'row'
  }
}

/**
 * Sorts a fetcher's answer into columns, whatever order it comes in. Values are copied out of each row when it arrives, so a
 * fetcher may reuse its objects. Rows nobody asked for are dropped; equal repeats count once.
 */
export class RowCollector {
  readonly #options: CollectorOptions
  readonly #id: Property
  /** By position in `slots`; undefined before the first plain row. */
  #collected: readonly CollectedColumn[] | undefined
  readonly #seen: Uint8Array
  readonly #bad = new Map<number, MillraceError>()
  readonly #batches: RowBatch[] = []
  readonly mistakes: MillraceError[] = []
  #cursor = 0
  #rows = 0

  constructor(options: CollectorOptions) {
    this.#options = options
    this.#id = propertyOf(options.idColumn)
    this.#seen = new Uint8Array(options.ids.length)
  }

  get #columns(): readonly CollectedColumn[] {
    const { slots, ids, texts } = this.#options
    return this.#collected ??= slots.map(({ key }) => texts.column(key, ids.length))
  }

  /** Take one item of a fetcher's answer: a row, an array of rows, or a RowBatch. */
  add(item: unknown): void {
    const kind = kindOf(item)
    if (kind === 'batch') this.#batches.push(item as RowBatch)
    else if (kind === 'rows') this.#addMany(item as readonly unknown[], row => this.#addRow(row))
    else this.#addRow(item)
  }

  /** Take a whole answer that is an array: of rows, as a rule. */
  addAll(items: readonly unknown[]): void {
    this.#addMany(items, item => this.add(item))
  }

  /**
   * Everything that came, in the order of the ids.
   *
   * @throws {FetcherContractError} plain rows and RowBatches in one answer
   * @throws {SchemaConflictError} RowBatches whose types share none
   */
  finish(): FetchedBatch {
    const { slots, batch, texts } = this.#options
    if (this.#batches.length > 0) {
      // plain rows have no types that could be set against those of a batch: its microseconds, decimals and dates would be lost
      if (this.#rows > 0) throw new FetcherContractError({ batch, reason: 'it mixes plain rows and RowBatches (make batches of the rows: fromRows(rows, { types }))' })
      return this.#fromBatches()
    }
    const found = this.#found()
    const raw = new Map<string, RawColumn>()
    this.#columns.forEach((column, c) => {
      texts.learn(slots[c]!.key, column)
      raw.set(slots[c]!.key, { collected: found ? column.pick(found) : column })
    })
    return this.#fetched(raw, found)
  }

  /** Positions for which a row came; undefined when one came for each. */
  #found(): Uint32Array | undefined {
    return this.#seen.includes(0) ? positionsWhere(this.#seen, 1) : undefined
  }

  /** The answer, from what was seen and what of it is bad. */
  #fetched(raw: Map<string, RawColumn>, found: Uint32Array | undefined): FetchedBatch {
    const { ids, batch } = this.#options
    if (!found) return { index: batch, ids, raw, missing: ids.subarray(0, 0), bad: this.#bad }
    const bad = new Map<number, MillraceError>()
    if (this.#bad.size > 0) found.forEach((position, row) => { if (this.#bad.has(position)) bad.set(row, this.#bad.get(position)!) })
    return { index: batch, ids: pick(ids, found), raw, missing: pick(ids, positionsWhere(this.#seen, 0)), bad }
  }

  /** @param addOne takes an item that needs a look of its own */
  #addMany(items: readonly unknown[], addOne: (item: unknown) => void): void {
    for (let from = 0; from < items.length; from += BLOCK_ROWS) {
      // no slice: that asks the class of the array, which may be the caller's, for another one
      const block = new Array<unknown>(Math.min(BLOCK_ROWS, items.length - from))
      for (let i = 0; i < block.length; i++) block[i] = items[from + i]
      if (!this.#addColumns(block)) for (const item of block) addOne(item)
    }
  }

  /**
   * Take rows column by column, which is several times faster than row by row; false, with nothing taken, where some item needs a look of
   * its own: it is no plain row, its id is none or came before, it cannot be read, or it shares an object with its neighbour.
   */
  #addColumns(items: readonly unknown[]): boolean {
    const { slots } = this.#options
    const values = new Array<unknown>(items.length)
    let placed: Placed | undefined
    try {
      if (this.#id.isInherited || items.length === 0 || !arePlain(items) || hasGetters(items[0]!, slots)) return false
      readProperty(items, this.#id.name, values)
      placed = this.#place(items, values)
      if (!placed) return false
      const { rows, positions, isRun } = placed
      const at = isRun ? positions[0]! : positions
      const isTaken = slots.every((slot, c) => {
        if (!readColumn(rows, slot, values)) return false
        this.#columns[c]!.setAll(values, rows.length, at)
        return true
      })
      if (isTaken) {
        this.#rows += items.length
        return true
      }
    } catch {
      // row by row it shows which one is to blame
    }
    placed?.positions.forEach(position => { this.#seen[position] = 0 })
    return false
  }

  /** The rows that were asked for, marked as seen; undefined, with nothing marked, where an id is none or came before. */
  #place(items: readonly object[], ids: readonly unknown[]): Placed | undefined {
    const seen = this.#seen
    const positions = new Uint32Array(items.length)
    const kept = new Uint32Array(items.length)
    let [count, isRun, isUsual] = [0, true, true]
    for (let i = 0; i < items.length && isUsual; i++) {
      const value = ids[i]
      const id = typeof value === 'number' && Number.isSafeInteger(value) ? value : idFromSource(value)
      const position = id === undefined ? undefined : this.#positionOf(id)
      isUsual = id !== undefined && (position === undefined || seen[position] === 0)
      if (!isUsual || position === undefined) continue
      seen[position] = 1
      isRun &&= count === 0 || positions[count - 1] === position - 1
      positions[count] = position
      kept[count++] = i
    }
    const taken = positions.subarray(0, count)
    if (isUsual) return { rows: count === items.length ? items : Array.from(kept.subarray(0, count), i => items[i]!), positions: taken, isRun: isRun && count > 0 }
    for (const position of taken) seen[position] = 0
    return undefined
  }

  #addRow(row: unknown): void {
    const { batch, slots } = this.#options
    const number = this.#rows++
    if (typeof row !== 'object' || row === null) {
      this.#contract(`row ${number} is ${row === null ? 'null' : `a ${typeof row}`}, not an object`)
      return
    }
    let position: number | undefined
    try {
      const own = propertyIn(row, this.#id)
      const id = idFromSource(own)
      if (id === undefined) {
        this.#badId(number, own)
        return
      }
      position = this.#positionOf(id)
      if (position === undefined) return
      if (this.#seen[position] === 1) this.#compare(row, position)
      else {
        this.#seen[position] = 1
        for (let c = 0; c < slots.length; c++) this.#columns[c]!.set(position, valueIn(row, slots[c]!))
      }
    } catch (cause) {
      const error = new FetcherContractError({ batch, reason: `row ${number} cannot be read: ${messageOf(cause)}`, cause })
      this.mistakes.push(error)
      if (position !== undefined) this.#bad.set(position, error)
    }
  }

  /** A second row of an id: fine when equal, else that id fails. */
  #compare(row: object, position: number): void {
    const { slots } = this.#options
    const kept = (key: string): unknown => this.#columns[slots.findIndex(slot => slot.key === key)]?.valueAt(position)
    const differing = slots.find(slot => !isSameIn(row, slot, kept))
    if (differing && !this.#bad.has(position)) this.#differ(position, differing.property?.name ?? differing.key.slice(1))
  }

  #differ(position: number, column: string): void {
    const error = new FetcherContractError({ batch: this.#options.batch,
      reason: `two different rows of id ${idAt(this.#options.ids, position)} (column ${column})` })
    this.#bad.set(position, error)
    this.mistakes.push(error)
  }

  /** Where an id stands among those asked for; most answers come in order. */
  #positionOf(id: Id): number | undefined {
    const { ids } = this.#options
    const next = ids[this.#cursor]
    if (next === id) return this.#cursor++
    // eslint-disable-next-line eqeqeq -- a bigint id and the same number are one id
    if (next !== undefined && next == id) return this.#cursor++
    const at = lowerBound(ids, id)
    // eslint-disable-next-line eqeqeq
    if (at >= ids.length || ids[at]! != id) return undefined
    this.#cursor = at + 1
    return at
  }

  #badId(row: number, value: unknown): void {
    const { idColumn } = this.#options
    this.#contract(`row ${row} has ${value === undefined ? `no ${idColumn}` : `${idColumn} ${describe(value)}, which is no id`}`)
  }

  #contract(reason: string): void {
    this.mistakes.push(new FetcherContractError({ batch: this.#options.batch, reason }))
  }

  /** RowBatches keep their vectors. */
  #fromBatches(): FetchedBatch {
    const { ids, idColumn, slots } = this.#options
    const rows = batchRows(this.#batches, { ids, slots, idColumn, positionOf: id => this.#positionOf(id), onBadId: (row, value) => this.#badId(row, value) })
    this.#seen.set(rows.found)
    for (const { position, column } of rows.differing) this.#differ(position, column)
    return this.#fetched(rows.raw, this.#found())
  }
}

/** Whether some property of an object is computed, and may hand out one object for all rows; the rows of one answer are alike. */
function hasGetters(row: object, slots: readonly RowSlot[]): boolean {
  return types.isProxy(row) || slots.some(({ property, path }) => [property?.name, path?.base.name].some(name =>
    name !== undefined && Object.getOwnPropertyDescriptor(row, name)?.get !== undefined))
}

function pick(ids: IdArray, positions: Uint32Array): IdArray {
  const picked = ids instanceof Float64Array ? new Float64Array(positions.length) : new BigInt64Array(positions.length)
  for (let i = 0; i < positions.length; i++) picked[i] = ids[positions[i]!]!
  return picked
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' && value !== null ? 'an object' : String(value)
}
