import { convertVector, scatterVectors } from '../batch/combine.js'
import type { Field } from '../batch/column-type.js'
import { WINDOW_ROWS } from '../batch/id-set.js'
import { idsBetween, positionsBetween } from '../batch/ids.js'
import { RowBatch } from '../batch/row-batch.js'
import { CacheUnusableError, messageOf } from '../errors.js'
import type { Run } from '../run.js'
import type { Manifest } from '../store/catalog.js'
import type { QueryRecord } from '../store/query-record.js'
import { UnusablePartError, type Snapshot } from '../store/snapshot.js'
import { warningOf, type TableStore } from '../store/table-store.js'
import { isRecordOf, type QueryIdentity } from './identity.js'
import { ROW_HASH } from '../store/query-record.js'
import { fieldsOf } from './row-numbers.js'

/** A query's cached rows, complete and checked. */
export interface CachedQuery {
  record: QueryRecord
  snapshot: Snapshot
}

/** What the cache knows of a query: its rows if they can be used, and the state a commit is prepared on. */
export interface CacheState {
  manifest: Manifest | undefined
  cached: CachedQuery | undefined
}

const HASH_FIELD: Field = { name: ROW_HASH, type: 'int64', nullable: true }

/** Parts of fewer rows do not get a window of their own. */
const MIN_WINDOW_ROWS = 4096

/** The columns that a query's parts hold beside the row's number. */
export function storedColumns({ columns, hasRowHashes }: Pick<QueryRecord, 'columns' | 'hasRowHashes'>): readonly Field[] {
  return hasRowHashes ? [...columns, HASH_FIELD] : columns
}

/**
 * Look a query up. Every byte of its parts is checked before a row is taken: what was delivered cannot be taken back when damage
 * shows later. Damaged parts are set aside, with a warning; the query then counts as not cached.
 */
export async function lookUp(store: TableStore, identity: QueryIdentity, run: Run): Promise<CacheState> {
  let manifest: Manifest | undefined
  try {
    manifest = await store.manifest(warning => run.warn(warning))
    run.since = manifest.version
    const { query: record } = manifest
    if (!record || !isRecordOf(record, identity)) return { manifest, cached: undefined }
    const snapshot = store.snapshotOf(manifest, new Map(record.columns.map(({ name, type }) => [name, type])))
    const isWhole = await isComplete(snapshot, record)
    if (isWhole) await snapshot.check()
    return { manifest, cached: isWhole ? { record, snapshot } : undefined }
  } catch (error) {
    if (error instanceof UnusablePartError) await setAside(store, error, run)
    else run.trouble(warningOf('CACHE_READ_FAILED', error), error)
    return { manifest, cached: undefined }
  }
}

/** Say that a part cannot be used, and take a damaged one out of the table. */
export async function setAside(store: TableStore, { part, corruption, ids, cause }: UnusablePartError, run: Run): Promise<void> {
  const warnings = corruption ? await store.dropDamaged(part, corruption, ids) : [warningOf('CACHE_READ_FAILED', cause, store.settings.blobs.pathOf(store.key.folder, part.name))]
  for (const warning of warnings) run.warn(warning)
}

/**
 * Go on without a part that could be read no more: its query was cleared, or damage came after the check.
 *
 * @throws {CacheCorruptionError | CacheUnusableError} rows of it were delivered already
 * @throws the error itself, where it is about no part
 */
export async function leaveOut(error: unknown, store: TableStore, run: Run): Promise<void> {
  if (!(error instanceof UnusablePartError)) throw error
  await setAside(store, error, run)
  if (run.report.rows === 0) return
  const { part, corruption, cause } = error
  throw corruption ?? new CacheUnusableError({ file: store.settings.blobs.pathOf(store.key.folder, part.name), reason: messageOf(cause), cause })
}

/** Whether the parts hold every row that the record counts. */
async function isComplete(snapshot: Snapshot, record: QueryRecord): Promise<boolean> {
  const names = storedColumns(record).map(({ name }) => name)
  for (const { from, to } of windowsOf(snapshot, 0, record.rows)) {
    const { misses } = await snapshot.cover(idsBetween(from, to), names)
    if (misses.length > 0) return false
  }
  return true
}

/** Rows in windows that end where a part does, but for small parts: what one part answers need not be put together. */
function * windowsOf({ manifest: { parts } }: Snapshot, first: number, end: number): Generator<{ from: number, to: number }> {
  const large = parts.filter(({ rows }) => rows >= MIN_WINDOW_ROWS)
  const borders = large.flatMap(({ idMin, idMax }) => [Number(idMin), Number(idMax) + 1]).sort((a, b) => a - b)
  for (let from = first, border = 0; from < end;) {
    while (border < borders.length && borders[border]! <= from) border++
    const to = Math.min(end, from + WINDOW_ROWS, borders[border] ?? end)
    yield { from, to }
    from = to
  }
}

/** Cached rows: those of the result among the numbers from `first` on. */
export interface NumberedRows {
  batch: RowBatch
  first: number
  /** What to add to `first` for each row's number; undefined: the numbers have no gaps. */
  offsets: Uint32Array | undefined
}

/**
 * The result's cached rows from one number (inclusive) to another (exclusive), some columns of them, in batches.
 *
 * @throws {UnusablePartError} a part was damaged after it was checked
 */
export async function * readRows(cached: CachedQuery, from = 0, to = cached.record.rows, names?: readonly string[]): AsyncGenerator<RowBatch> {
  for await (const { batch } of readNumbered(cached, from, to, names)) if (batch.length > 0) yield batch
}

/** As `readRows`, with the rows' numbers. */
export async function * readNumbered(cached: CachedQuery, from: number, to: number, names?: readonly string[]): AsyncGenerator<NumberedRows> {
  const dropped = cached.record.dropped ?? []
  let next = 0
  for await (const { batch, first } of readStored(cached, from, to, names)) {
    while (next < dropped.length && dropped[next]! < first) next++
    const gone = new Set<number>()
    for (; next < dropped.length && dropped[next]! < first + batch.length; next++) gone.add(dropped[next]! - first)
    const offsets = gone.size === 0 ? undefined : positionsBetween(0, batch.length).filter(i => !gone.has(i))
    yield { batch: offsets ? batch.gather(offsets) : batch, first, offsets }
  }
}

/** Stored rows by number, also those that left the result. */
export async function * readStored({ snapshot, record }: CachedQuery, from: number, to: number, names?: readonly string[]): AsyncGenerator<{ batch: RowBatch, first: number }> {
  const fields = names ? storedColumns(record).filter(({ name }) => names.includes(name)) : record.columns
  const columns = fields.map(({ name }) => name)
  for (const window of windowsOf(snapshot, from, to)) {
    const ids = idsBetween(window.from, window.to)
    const pieces = await snapshot.read(await snapshot.cover(ids, columns))
    const vectors = fields.map(({ name, type }) => scatterVectors(type, ids.length,
      pieces.get(name)!.map(piece => ({ ...piece, vector: convertVector(piece.vector, type) }))))
    yield { batch: new RowBatch(fieldsOf(fields, vectors), vectors), first: window.from }
  }
}
