import type { Transform } from 'node:stream'
import { checkColumnTypes, type ColumnType } from '../lib/batch/column-type.js'
import type { Piece } from '../lib/batch/combine.js'
import { positionsBetween } from '../lib/batch/ids.js'
import type { Window } from '../lib/batch/window.js'
import { coverSafely, passOver, type RowPlan } from '../lib/fetch/row-plan.js'
import { requestColumns } from '../lib/fetch/request-columns.js'
import { tableOf, type CacheReference } from '../lib/store/cache-reference.js'
import { UnusablePartError, type Cover, type Snapshot } from '../lib/store/snapshot.js'
import { warningOf, type TableStore } from '../lib/store/table-store.js'
import { stage } from './stage.js'

/** Options of `cacheSplitter`. */
export interface CacheSplitterOptions extends CacheReference {
  /** Requested columns, dotted ones included. */
  columns: readonly string[]
  /** Declared types by column name; cached values of other types do not count (see `jsonFlattener`). */
  columnTypes?: Readonly<Record<string, string>> | undefined
  /** The plan whose snapshot and misses to use. */
  plan?: RowPlan | undefined
}

/**
 * Window → Window. Splits each window into hits, whose cached columns it reads, and misses. An id is a hit only if every
 * requested column is cached for it; a cached null counts. What cannot be read is a miss, with a warning.
 */
export function cacheSplitter({ columns, columnTypes, plan, ...reference }: CacheSplitterOptions): Transform {
  const store = tableOf(reference)
  const idColumn = reference.idColumn ?? 'id'
  const types = checkColumnTypes(columnTypes)
  const { names } = requestColumns(columns, idColumn)
  // a request of nothing but ids: whoever holds the id answers
  const wanted = names.length > 0 ? names : [idColumn]

  return stage<Window, Window>('cache-splitter', async function * (source) {
    let snapshot: Snapshot | undefined = plan?.snapshot
    let opened = plan !== undefined
    for await (const window of source) {
      window.run.columns ??= names
      if (!opened) {
        opened = true
        snapshot = await openSnapshot(store, window, types)
      }
      const planned = plan?.missesOf(window.index)
      if (!snapshot || (plan && planned === undefined)) {
        if (!plan) window.run.report.misses += window.ids.length
        yield Object.assign(window, { hitCount: 0, hits: new Map() })
        continue
      }
      const { cover, pieces } = await readHits(snapshot, store, window, wanted)
      window.run.report.bytesRead = snapshot.bytesRead
      const misses = cover?.misses ?? positionsBetween(0, window.ids.length)
      const known = plan ? planned! : misses
      window.run.report.hits += plan ? known.length - misses.length : window.ids.length - misses.length
      window.run.report.misses += plan ? misses.length - known.length : misses.length
      yield Object.assign(window, { hits: pieces, hitCount: window.ids.length - misses.length, misses,
        ...(plan && misses.length > known.length ? { late: without(misses, known) } : {}) })
    }
  })
}

async function openSnapshot(store: TableStore, { run }: Window, types: ReadonlyMap<string, ColumnType>): Promise<Snapshot | undefined> {
  try {
    const snapshot = await store.snapshot(warning => run.warn(warning), types)
    run.adopt({ ...snapshot.manifest, columns: snapshot.columns })
    return snapshot
  } catch (error) {
    run.trouble(warningOf('CACHE_READ_FAILED', error), error)
    return undefined
  }
}

/** Cover and values of a window's hits. Parts that turn out damaged are dropped, and the window is looked at again. */
async function readHits(snapshot: Snapshot, store: TableStore, { ids, run }: Window, columns: readonly string[]):
Promise<{ cover: Cover | undefined, pieces: ReadonlyMap<string, readonly Piece[]> }> {
  for (;;) {
    const cover = await coverSafely(snapshot, store, ids, columns, run)
    if (!cover) return { cover, pieces: new Map() }
    try {
      return { cover, pieces: await snapshot.read(cover) }
    } catch (error) {
      if (error instanceof UnusablePartError) {
        await passOver(error, snapshot, store, run)
        continue
      }
      run.trouble(warningOf('CACHE_READ_FAILED', error), error)
      return { cover: undefined, pieces: new Map() }
    }
  }
}

/** The members of `all` that are not in `some`; both ascend. */
function without(all: Uint32Array, some: Uint32Array): Uint32Array {
  let at = 0
  return all.filter(position => {
    while (at < some.length && some[at]! < position) at++
    return some[at] !== position
  })
}
