import { hasNulls, type Vector } from '../batch/vector.js'
import { widenTypes, type ColumnType, type Field, type FieldType } from '../batch/column-type.js'
import { concatBatches, convertVector, scatterVectors, type Piece } from '../batch/combine.js'
import { lowerBound, positionsBetween, type IdArray } from '../batch/ids.js'
import { idsIn, RowBatch } from '../batch/row-batch.js'
import type { FetchedPiece, Window } from '../batch/window.js'
import { SchemaConflictError } from '../errors.js'
import type { Run } from '../run.js'
import { isDotted } from '../store/change.js'

/** Fetched pieces of at least so many rows, on average, stay pieces; smaller ones are joined. */
const MIN_PIECE_ROWS = 4096

/** A window, put together: what to cache, and what to deliver. */
export interface MergedWindow {
  /** The fetched rows under the run's types, ids ascending over all. */
  fetched: readonly RowBatch[]
  /** All rows of the window, ids ascending over all. */
  rows: readonly RowBatch[]
  /** Columns whose cached type gave way. */
  retyped: readonly string[]
}

interface MergeOptions {
  idColumn: string
  /** The columns to deliver, in order, without the id. */
  names: readonly string[]
  /** Deliver ids the source does not have as rows of nulls. */
  nullRows: boolean
}

/**
 * Put hits and fetched rows of a window together, sorted by id. Types are widened through the run; a batch whose types
 * cannot be widened fails with `SchemaConflictError` and leaves gaps, like any id that failed.
 */
export function mergeWindow(window: Window, { idColumn, names, nullRows }: MergeOptions): MergedWindow {
  const { ids, run } = window
  const retyped: string[] = []
  const fetched = (window.fetched ?? []).flatMap(piece => acceptTypes(piece, run, names, retyped) ? goodRows(piece) : [])
  const typeOf = (name: string): ColumnType => run.types.get(name)?.type ?? 'null'
  const idField: Field = { name: idColumn, type: 'int64', nullable: false, ...(ids instanceof BigInt64Array ? { wide: true } : {}) }

  const schema = [idField, ...names.map((name): Field => ({ name, nullable: true, ...run.types.get(name) ?? { type: 'null' } }))]
  const typed = fetched.map(({ batch, from, to }) => asSchema(batch.slice(from, to), schema))
  // what is cached and what is delivered is in order of id; pieces are not, where a part turned out damaged and came late
  const ordered = inOrder(typed) ? inPieces(schema, typed) : [byId(concatBatches(schema, typed))]
  if (rowsOf(typed) === ids.length) return { fetched: ordered, rows: ordered, retyped }

  const hits = window.hits ?? new Map<string, readonly Piece[]>()
  const filled = new Uint8Array(ids.length)
  if (window.hitCount === ids.length) filled.fill(1)
  else for (const { vector, at } of hits.values().next().value ?? []) mark(filled, at, vector.length)
  for (const { from, to, at } of fetched) mark(filled, at, to - from)
  if (nullRows) for (const missing of window.missing ?? []) markMissing(filled, ids, missing)
  const { kept, position } = compactPositions(filled)
  if (kept === 0) return { fetched: ordered, rows: [], retyped }

  const outIds = kept === ids.length ? ids : ids.filter((_: unknown, i: number) => filled[i] === 1) as IdArray
  const vectors: Vector[] = [{ form: 'fixed', type: 'int64', length: kept, values: outIds }]
  const outFields: Field[] = [idField]
  for (const name of names) {
    const type = typeOf(name)
    const pieces: Piece[] = (hits.get(name) ?? []).map(({ vector, at }) => ({ vector: convertVector(vector, type), at: moved(at, vector.length, position) }))
    typed.forEach((batch, i) => pieces.push({ vector: batch.vector(name)!, at: moved(fetched[i]!.at, batch.length, position) }))
    const vector = scatterVectors(type, kept, pieces)
    vectors.push(vector)
    outFields.push({ name, ...run.types.get(name) ?? { type }, nullable: hasNulls(vector) })
  }
  return { fetched: ordered, rows: [new RowBatch(outFields, vectors)], retyped }
}

/** A fetched batch's rows under the run's types. */
function asSchema(batch: RowBatch, schema: readonly Field[]): RowBatch {
  const vectors = schema.map(({ name, type }) => convertVector(batch.vector(name)!, type))
  return new RowBatch(schema.map((field, c) => ({ ...field, nullable: hasNulls(vectors[c]!) })), vectors)
}

function inPieces(schema: readonly Field[], batches: readonly RowBatch[]): readonly RowBatch[] {
  return batches.length < 2 || rowsOf(batches) >= batches.length * MIN_PIECE_ROWS ? batches : [concatBatches(schema, batches)]
}

function rowsOf(batches: readonly RowBatch[]): number {
  return batches.reduce((sum, { length }) => sum + length, 0)
}

/** Whether each batch's ids are above those before it; within a batch they ascend. */
function inOrder(batches: readonly RowBatch[]): boolean {
  return batches.every((batch, i) => {
    const before = batches[i - 1]
    return !before || idsIn(before)[before.length - 1]! < idsIn(batch)[0]!
  })
}

/** A batch's rows, ids ascending. */
function byId(batch: RowBatch): RowBatch {
  const ids = idsIn(batch)
  return batch.gather(positionsBetween(0, ids.length).sort((a, b) => ids[a]! < ids[b]! ? -1 : 1))
}

/** Widen the run's types by a fetched batch's; false when they conflict, and the batch is to be left out. */
function acceptTypes({ batch }: FetchedPiece, run: Run, names: readonly string[], retyped: string[]): boolean {
  const { rows, bad } = batch
  if (!rows || bad.size >= rows.length) return false
  // all columns or none: a batch that is left out must not decide the type of any
  const accepted = new Map<string, FieldType>()
  const giving: string[] = []
  for (const name of names) {
    const seen = rows.schema.find(field => field.name === name)
    if (!seen) return false
    const known = run.types.get(name)
    const widened = known ? widenTypes(known, seen, isDotted(name)) : seen
    if (!widened && !run.mayRetype(name)) {
      const error = new SchemaConflictError({ column: name, cached: known!.type, seen: seen.type })
      run.mistake(error)
      for (let row = 0; row < rows.length; row++) if (!bad.has(row)) bad.set(row, error)
      return false
    }
    if (!widened) giving.push(name)
    const { type, wide, origin } = widened ?? seen
    accepted.set(name, { type, ...(wide ? { wide } : {}), ...(origin ? { origin } : {}) })
  }
  for (const [name, type] of accepted) {
    run.types.set(name, type)
    if (rows.schema.find(field => field.name === name)!.type !== 'null') run.fetchedTypes.add(name)
  }
  retyped.push(...giving)
  return true
}

interface GoodRows {
  batch: RowBatch
  from: number
  to: number
  at: number | Uint32Array
}

/** A piece without the rows that must not be delivered. */
function goodRows({ batch: { rows, bad }, from, to, at }: FetchedPiece): GoodRows[] {
  if (!rows) return []
  if (bad.size === 0) return [{ batch: rows, from, to, at }]
  const kept: number[] = []
  for (let row = from; row < to; row++) if (!bad.has(row)) kept.push(row)
  if (kept.length === 0) return []
  const positions = Uint32Array.from(kept, row => typeof at === 'number' ? at + row - from : at[row - from]!)
  return [{ batch: rows.gather(Uint32Array.from(kept)), from: 0, to: kept.length, at: positions }]
}

function mark(filled: Uint8Array, at: number | Uint32Array, count: number): void {
  if (typeof at === 'number') filled.fill(1, at, at + count)
  else for (let i = 0; i < count; i++) filled[at[i]!] = 1
}

function markMissing(filled: Uint8Array, ids: IdArray, missing: IdArray): void {
  for (const id of missing) {
    const at = lowerBound(ids, id)
    // eslint-disable-next-line eqeqeq -- a bigint id and the same number are one id
    if (at < ids.length && ids[at]! == id) filled[at] = 1
  }
}

/** Where each filled position goes when the gaps close; undefined when there are none. */
function compactPositions(filled: Uint8Array): { kept: number, position: Uint32Array | undefined } {
  if (!filled.includes(0)) return { kept: filled.length, position: undefined }
  const position = new Uint32Array(filled.length)
  let kept = 0
  for (let i = 0; i < filled.length; i++) {
    position[i] = kept
    if (filled[i] === 1) kept++
  }
  return { kept, position: kept === filled.length ? undefined : position }
}

function moved(at: number | Uint32Array, count: number, position: Uint32Array | undefined): number | Uint32Array {
  if (!position) return at
  return typeof at === 'number' ? position.slice(at, at + count) : at.map(i => position[i]!)
}
