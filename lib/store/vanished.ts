import { collectIds } from '../batch/id-set.js'
import { idAt, type Id, type IdArray } from '../batch/ids.js'
import { invalidateTable } from './invalidate.js'
import { UnusablePartError, type Snapshot } from './snapshot.js'
import type { TableStore } from './table-store.js'

/**
 * Make the rows of these ids invalid in all columns: the source has them no more. Ids of which nothing is cached cost nothing.
 *
 * @param ids in any order
 */
export async function invalidateVanished(store: TableStore, ids: Iterable<Id>): Promise<void> {
  const snapshot = await store.snapshot()
  const columns = snapshot.columns.map(({ name }) => name)
  const cached: Id[] = []
  for (const window of (await collectIds(ids)).windows()) {
    const marks = await cachedIn(snapshot, window, columns)
    marks.forEach((mark, at) => { if (mark === 1) cached.push(idAt(window, at)) })
  }
  if (cached.length > 0) await invalidateTable(store, { ids: cached })
}

/** One byte per id, 1 = some column of it is cached (or cannot be known not to be). */
async function cachedIn(snapshot: Snapshot, ids: IdArray, columns: readonly string[]): Promise<Uint8Array> {
  const marks = new Uint8Array(ids.length)
  try {
    for (const column of columns) {
      const { misses } = await snapshot.cover(ids, [column])
      let next = 0
      for (let at = 0; at < ids.length; at++) {
        if (misses[next] === at) next++
        else marks[at] = 1
      }
    }
  } catch (error) {
    if (!(error instanceof UnusablePartError)) throw error
    marks.fill(1)
  }
  return marks
}
