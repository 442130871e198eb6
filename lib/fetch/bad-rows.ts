import type { Window } from '../batch/window.js'
import { idAt, idArray, type Id, type IdArray } from '../batch/ids.js'
import type { MillraceError } from '../errors.js'

/** Rows of one fetched batch that were not delivered for the same kind of mistake; `cause` is the first one's. */
export interface BadRows {
  batch: number
  ids: IdArray
  cause: MillraceError
}

/** The window's rows that failed, each batch's by kind of mistake: what a report lists beside the batches that failed whole. */
export function badRows({ fetched = [] }: Pick<Window, 'fetched'>): BadRows[] {
  return fetched.flatMap(({ batch, from, to }) => {
    if (batch.bad.size === 0) return []
    const kinds = new Map<string, { ids: Id[], cause: MillraceError }>()
    for (let row = from; row < to; row++) {
      const cause = batch.bad.get(row)
      if (!cause) continue
      const kind = kinds.get(cause.code) ?? { ids: [], cause }
      kinds.set(cause.code, kind)
      kind.ids.push(idAt(batch.ids, row))
    }
    return [...kinds.values()].map(({ ids, cause }) => ({ batch: batch.index, ids: idArray(ids), cause }))
  })
}
