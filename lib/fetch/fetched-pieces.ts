import { idAt, lowerBound, type IdArray } from '../batch/ids.js'
import type { FetchedBatch, FetchedPiece } from '../batch/window.js'

/** Where a batch's rows belong in a window; undefined when none does. Both id lists ascend. */
export function pieceFor(batch: FetchedBatch, ids: IdArray): FetchedPiece | undefined {
  if (ids.length === 0 || batch.ids.length === 0) return undefined
  const from = lowerBound(batch.ids, idAt(ids, 0))
  const to = lowerBound(batch.ids, idAt(ids, ids.length - 1), from)
  // eslint-disable-next-line eqeqeq -- a bigint id and the same number are one id
  const end = to < batch.ids.length && batch.ids[to]! == ids[ids.length - 1]! ? to + 1 : to
  if (end === from) return undefined
  const first = lowerBound(ids, idAt(batch.ids, from))
  const last = first + end - from - 1
  // as many ids of the window lie between the first and the last as the batch has: they are the same
  // eslint-disable-next-line eqeqeq
  if (ids[last] == batch.ids[end - 1]!) return { batch, from, to: end, at: first }
  return { batch, from, to: end, at: positionsOf(batch.ids, from, end, ids) }
}

/** Positions in `ids` of `some[from … to)`, every one of which is in it. */
function positionsOf(some: IdArray, from: number, to: number, ids: IdArray): Uint32Array {
  const positions = new Uint32Array(to - from)
  let at = lowerBound(ids, idAt(some, from))
  for (let i = from; i < to; i++) {
    while (ids[at]! < some[i]!) at++
    positions[i - from] = at++
  }
  return positions
}

/** The ids at these positions. */
export function idsAt(ids: IdArray, positions: Uint32Array): IdArray {
  if (positions.length === ids.length) return ids
  const picked = ids instanceof Float64Array ? new Float64Array(positions.length) : new BigInt64Array(positions.length)
  for (let i = 0; i < positions.length; i++) picked[i] = ids[positions[i]!]!
  return picked
}
