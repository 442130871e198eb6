import { lowerBound, type Id, type IdArray } from '../batch/ids.js'
import { locate, type IdIndex, type Located } from './id-index.js'
import type { RowSelection } from './part-reader.js'

/**
 * What one part can say about some columns of a window: its ids, the rows it really holds them for (undefined = all), and the
 * ids that a later tombstone hides.
 */
export interface Candidate<P> {
  part: P
  index: IdIndex
  isPresent?: ((row: number) => boolean) | undefined
  hidden?: readonly HiddenIds[] | undefined
  /** Its values are of a type that no longer counts: its ids are missing, and older values do not come back for them. */
  outdated?: boolean
}

/** Ids that are hidden: listed, or all of a range, both ends included. */
export type HiddenIds = IdIndex | { idMin: Id, idMax: Id }

/** Rows of one part and the window positions they answer. */
export interface Answer<P> {
  part: P
  rows: RowSelection
  /** Window positions, ascending; a number when they are consecutive from there. */
  at: number | Uint32Array
}

/** Who answers which position of a window: index into the candidates, and the row there; -1 is nobody, -2 an outdated one. */
export interface Owners {
  /** Set when one candidate answers the whole window with consecutive rows. */
  whole?: { candidate: number, firstRow: number }
  owner: Int16Array
  row: Uint32Array
  missing: number
}

/**
 * Decide which candidate answers each id: the first that holds it, so order them newest first. Presence decides, never the
 * values: a cached null is an answer.
 *
 * @param ids ascending, each once
 */
export function assignOwners<P>(candidates: readonly Candidate<P>[], ids: IdArray): Owners {
  const first = candidates[0]
  if (first && !first.isPresent && !first.hidden && first.outdated !== true) {
    const found = locate(first.index, ids)
    if (found.count === ids.length && found.firstRow !== undefined) {
      return { whole: { candidate: 0, firstRow: found.firstRow }, owner: new Int16Array(0), row: new Uint32Array(0), missing: 0 }
    }
  }
  const owner = new Int16Array(ids.length).fill(-1)
  const row = new Uint32Array(ids.length)
  let missing = ids.length
  for (let c = 0; c < candidates.length && missing > 0; c++) {
    const { index, isPresent, hidden, outdated } = candidates[c]!
    const found = locate(index, ids)
    const hiddenAt = hidden && hiddenPositions(hidden, ids)
    for (let i = 0; i < found.count; i++) {
      const position = positionOf(found, i)
      const partRow = found.rows ? found.rows[i]! : found.firstRow! + i
      if (owner[position] !== -1 || hiddenAt?.[position] === 1 || isPresent?.(partRow) === false) continue
      if (outdated === true) {
        owner[position] = -2
        continue
      }
      owner[position] = c
      row[position] = partRow
      missing--
    }
  }
  return { owner, row, missing }
}

function positionOf(found: Located, i: number): number {
  return found.positions ? found.positions[i]! : found.from! + i
}

function hiddenPositions(hidden: readonly HiddenIds[], ids: IdArray): Uint8Array {
  const marks = new Uint8Array(ids.length)
  for (const some of hidden) {
    if ('idMin' in some) {
      const from = lowerBound(ids, some.idMin)
      for (let i = from; i < ids.length && ids[i]! <= some.idMax; i++) marks[i] = 1
      continue
    }
    const found = locate(some, ids)
    for (let i = 0; i < found.count; i++) marks[positionOf(found, i)] = 1
  }
  return marks
}

/** The answers per part, leaving out the positions marked in `skip`. */
export function answersOf<P>(candidates: readonly Candidate<P>[], owners: Owners, length: number, skip?: Uint8Array): Answer<P>[] {
  if (owners.whole && !skip) {
    const { candidate, firstRow } = owners.whole
    return [{ part: candidates[candidate]!.part, rows: { firstRow, count: length }, at: 0 }]
  }
  const counts = new Uint32Array(candidates.length)
  const ownerAt = (i: number): number => skip?.[i] === 1 ? -1 : owners.whole ? owners.whole.candidate : owners.owner[i]!
  for (let i = 0; i < length; i++) {
    const c = ownerAt(i)
    if (c >= 0) counts[c]!++
  }
  const rows = candidates.map((_, c) => new Uint32Array(counts[c]!))
  const positions = candidates.map((_, c) => new Uint32Array(counts[c]!))
  counts.fill(0)
  for (let i = 0; i < length; i++) {
    const c = ownerAt(i)
    if (c < 0) continue
    const k = counts[c]!++
    rows[c]![k] = owners.whole ? owners.whole.firstRow + i : owners.row[i]!
    positions[c]![k] = i
  }
  return candidates.flatMap(({ part }, c): Answer<P>[] => {
    const count = counts[c]!
    if (count === 0) return []
    const own = rows[c]!
    const at = positions[c]!
    return [{ part, at: isRun(at) ? at[0]! : at, rows: isRun(own) ? { firstRow: own[0]!, count } : own }]
  })
}

function isRun(values: Uint32Array): boolean {
  return values[values.length - 1]! - values[0]! === values.length - 1
}
