import type { Transform } from 'node:stream'
import { checkColumnTypes, type ColumnType } from '../lib/batch/column-type.js'
import { positionsBetween } from '../lib/batch/ids.js'
import type { Window } from '../lib/batch/window.js'
import { HitReader } from '../lib/fetch/hit-reader.js'
import type { RowPlan } from '../lib/fetch/row-plan.js'
import { requestColumns } from '../lib/fetch/request-columns.js'
import { tableOf, type CacheReference } from '../lib/store/cache-reference.js'
import type { Snapshot } from '../lib/store/snapshot.js'
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
 * requested column is cached for it; a cached null counts. What cannot be read is a miss, with a warning. The next window's hits are
 * read while the one before is on its way.
 */
export function cacheSplitter({ columns, columnTypes, plan, ...reference }: CacheSplitterOptions): Transform {
  const store = tableOf(reference)
  const idColumn = reference.idColumn ?? 'id'
  const types = checkColumnTypes(columnTypes)
  const { names } = requestColumns(columns, idColumn)
  // a request of nothing but ids: whoever holds the id answers
  const wanted = names.length > 0 ? names : [idColumn]

  return stage<Window, Window>('cache-splitter', async function * (source) {
    let hits = plan?.snapshot && new HitReader(plan.snapshot, store, wanted)
    let opened = plan !== undefined
    const isRead = (window: Window): boolean => !plan || plan.missesOf(window.index) !== undefined
    try {
      for await (const window of ahead(source, next => { if (hits && isRead(next)) hits.begin(next) })) {
        window.run.columns ??= names
        if (!opened) {
          opened = true
          const snapshot = await openSnapshot(store, window, types)
          hits = snapshot && new HitReader(snapshot, store, wanted)
        }
        if (!hits || !isRead(window)) {
          if (!plan) window.run.report.misses += window.ids.length
          yield Object.assign(window, { hitCount: 0, hits: new Map() })
          continue
        }
        const { cover, pieces } = await hits.read(window)
        window.run.report.bytesRead = hits.bytesRead
        const misses = cover?.misses ?? positionsBetween(0, window.ids.length)
        const known = plan?.missesOf(window.index) ?? misses
        window.run.report.hits += plan ? known.length - misses.length : window.ids.length - misses.length
        window.run.report.misses += plan ? misses.length - known.length : misses.length
        yield Object.assign(window, { hits: pieces, hitCount: window.ids.length - misses.length, misses,
          ...(plan && misses.length > known.length ? { late: without(misses, known) } : {}) })
      }
    } finally {
      await hits?.settled()
    }
  })
}

/** The items of a source; each is asked for while the one before it is still being looked at, and told of when it comes. */
async function * ahead<T>(source: AsyncIterable<T>, onComing: (item: T) => void): AsyncGenerator<T, void, undefined> {
  const input = source[Symbol.asyncIterator]()
  const ask = async (): Promise<IteratorResult<T>> => {
    const next = await input.next()
    if (next.done !== true) onComing(next.value)
    return next
  }
  for (let coming = ask(); ;) {
    const next = await coming
    if (next.done === true) return
    coming = ask()
    // where nobody asks for it any more
    coming.catch(() => undefined)
    yield next.value
  }
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

/** The members of `all` that are not in `some`; both ascend. */
function without(all: Uint32Array, some: Uint32Array): Uint32Array {
  let at = 0
  return all.filter(position => {
    while (at < some.length && some[at]! < position) at++
    return some[at] !== position
  })
}
