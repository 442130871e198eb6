import { idAt, idFromSource, lowerBound, type Id, type IdArray } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import { sameValue } from '../batch/same-value.js'
import type { FetchedBatch } from '../batch/window.js'
import { JsonDocument } from '../json/json-document.js'
import { batchRows } from './batch-rows.js'
import { FetcherContractError, messageOf, type MillraceError } from '../errors.js'
import type { RequestColumns } from './request-columns.js'
import { ownValue, RowReader } from './row-reader.js'

interface CollectorOptions {
  /** What was asked for: ascending, each once. */
  ids: IdArray
  batch: number
  idColumn: string
  columns: Pick<RequestColumns, 'plain' | 'paths' | 'bases'>
  /** Columns whose texts do not repeat, learned from batch to batch. */
  distinct?: Set<string>
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
 * fetcher may reuse its objects, and what is inside them. Rows nobody asked for are dropped; equal repeats count once.
 */
export class RowCollector {
  readonly #options: CollectorOptions
  readonly #reader: RowReader
  readonly #seen: Uint8Array
  readonly #bad = new Map<number, MillraceError>()
  readonly #batches: RowBatch[] = []
  readonly mistakes: MillraceError[] = []
  #cursor = 0
  #rows = 0

  constructor(options: CollectorOptions) {
    this.#options = options
    this.#seen = new Uint8Array(options.ids.length)
    this.#reader = new RowReader(options.ids.length, options.columns, options.distinct ?? new Set())
  }

  /** Take one item of a fetcher's answer: a row, an array of rows, or a RowBatch. */
  add(item: unknown): void {
    const kind = kindOf(item)
    if (kind === 'batch') this.#batches.push(item as RowBatch)
    else if (kind === 'rows') for (const row of item as readonly unknown[]) this.#addRow(row)
    else this.#addRow(item)
  }

  /**
   * Everything that came, in the order of the ids.
   *
   * @throws {FetcherContractError} RowBatches that do not fit together, or came among rows: as rows they would lose what only vectors hold
   */
  finish(): FetchedBatch {
    if (this.#batches.length > 0) return this.#fromBatches()
    const found = positionsWhere(this.#seen, 1)
    return this.#fetched(found, this.#reader.finish(found.length === this.#options.ids.length ? undefined : found))
  }

  /** The answer, from what was seen and what of it is bad. */
  #fetched(found: Uint32Array, columns: Pick<FetchedBatch, 'raw' | 'paths'>): FetchedBatch {
    const { ids, batch } = this.#options
    const all = found.length === ids.length
    const bad = new Map<number, MillraceError>()
    if (this.#bad.size > 0) found.forEach((position, row) => { if (this.#bad.has(position)) bad.set(row, this.#bad.get(position)!) })
    return { index: batch, ids: all ? ids : pick(ids, found), ...columns, missing: all ? ids.subarray(0, 0) : pick(ids, positionsWhere(this.#seen, 0)), bad }
  }

  #addRow(row: unknown): void {
    const { batch, idColumn } = this.#options
    const number = this.#rows++
    if (typeof row !== 'object' || row === null) {
      this.#contract(`row ${number} is ${row === null ? 'null' : `a ${typeof row}`}, not an object`)
      return
    }
    let position: number | undefined
    try {
      const own = ownValue(row as Record<string, unknown>, idColumn)
      const id = idFromSource(own)
      if (id === undefined) {
        this.#contract(`row ${number} has ${own === undefined ? `no ${idColumn}` : `${idColumn} ${describe(own)}, which is no id`}`)
        return
      }
      position = this.#positionOf(id)
      if (position === undefined) return
      if (this.#seen[position] === 1) this.#compare(row as Record<string, unknown>, position)
      else {
        this.#seen[position] = 1
        this.#reader.read(row as Record<string, unknown>, position)
      }
    } catch (cause) {
      const error = new FetcherContractError({ batch, reason: `row ${number} cannot be read: ${messageOf(cause)}`, cause })
      this.mistakes.push(error)
      if (position !== undefined) this.#bad.set(position, error)
    }
  }

  /** A second row of an id: fine when equal, else that id fails. */
  #compare(row: Record<string, unknown>, position: number): void {
    const before = this.#reader.valuesAt(position)
    const at = this.#reader.valuesOf(row).findIndex((value, c) => !sameValue(comparable(value), comparable(before[c])))
    const differing = this.#reader.names[at]
    if (differing !== undefined && !this.#bad.has(position)) this.#differ(position, differing)
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
    // eslint-disable-next-line eqeqeq -- a bigint id and the same number are one id
    if (ids[this.#cursor]! == id) return this.#cursor++
    const at = lowerBound(ids, id)
    // eslint-disable-next-line eqeqeq
    if (at >= ids.length || ids[at]! != id) return undefined
    this.#cursor = at + 1
    return at
  }

  #contract(reason: string): void {
    this.mistakes.push(new FetcherContractError({ batch: this.#options.batch, reason }))
  }

  /** RowBatches keep their vectors. */
  #fromBatches(): FetchedBatch {
    const { ids, batch, idColumn, columns } = this.#options
    const names = [...new Set([...columns.bases, ...columns.paths.map(({ name }) => name)])]
    const rows = this.#rows > 0 ? undefined
      : batchRows(this.#batches, { count: ids.length, names, idColumn, positionOf: id => this.#positionOf(id) })
    if (!rows) {
      throw new FetcherContractError({ batch, reason: this.#rows > 0 ? 'it answered with rows and RowBatches; expected one kind'
        : this.#batches.some(rows => !rows.vector(idColumn)) ? `a RowBatch has no ${idColumn}`
        : `its RowBatches differ in columns or types, or have no ids under ${idColumn}` })
    }
    this.#seen.set(rows.found)
    for (const { position, column } of rows.differing) this.#differ(position, column)
    return this.#fetched(positionsWhere(this.#seen, 1), { raw: rows.raw })
  }
}

/** What two rows of one id are compared by. */
function comparable(value: unknown): unknown {
  return value instanceof JsonDocument ? JSON.parse(value.text) : value
}

function positionsWhere(marks: Uint8Array, mark: number): Uint32Array {
  const positions = new Uint32Array(marks.length)
  let count = 0
  for (let i = 0; i < marks.length; i++) if (marks[i] === mark) positions[count++] = i
  return positions.subarray(0, count)
}

function pick(ids: IdArray, positions: Uint32Array): IdArray {
  const picked = ids instanceof Float64Array ? new Float64Array(positions.length) : new BigInt64Array(positions.length)
  for (let i = 0; i < positions.length; i++) picked[i] = ids[positions[i]!]!
  return picked
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' && value !== null ? 'an object' : String(value)
}
