import type { Field } from '../batch/column-type.js'
import { WINDOW_ROWS } from '../batch/id-set.js'
import type { IdArray } from '../batch/ids.js'
import { lowerBound, type Id } from '../batch/ids.js'
import type { Codec } from '../parquet/codec.js'
import type { PlacedRowGroup } from '../parquet/column-chunk.js'
import type { PartEntry } from './catalog.js'
import type { PartTail } from './part-tail.js'

/** Smaller row groups are worth re-encoding: many of them make reading slow. */
const MIN_COPIED_ROWS = WINDOW_ROWS / 2

/** A row group of an input that goes into the output as it is. */
export interface Copy {
  part: PartEntry
  tail: PartTail
  group: number
  idMin: Id
  idMax: Id
}

/** A part that is compacted, and what it says about itself. */
export interface CompactionInput {
  part: PartEntry
  tail: PartTail
  /** Some of its rows were made invalid. */
  hasHoles: boolean
}

/**
 * The row groups that can be copied byte for byte, by id: of exactly the output's schema and codec, large enough to be worth it,
 * small enough to fit, and with no id between their first and last in any other input.
 */
export function planCopies(inputs: readonly CompactionInput[], fields: readonly Field[], { codec, partBytes }: { codec: Codec, partBytes: number }): Copy[] {
  const ranges = inputs.map(({ tail }) => tail.rowGroups.map(idRange))
  const isAlone = (input: number, range: IdRange): boolean => ranges.every((others, other) =>
    other === input || others.every(known => known !== undefined && (known.idMax < range.idMin || range.idMax < known.idMin)))
  return inputs.flatMap(({ part, tail, hasHoles }, input): Copy[] => {
    if (hasHoles || part.columns.some(column => column.partial) || !sameFields(tail.fields, fields)) return []
    return tail.rowGroups.flatMap((group, g): Copy[] => {
      const range = ranges[input]![g]
      const fits = group.rows >= MIN_COPIED_ROWS && group.bytes <= partBytes && group.columns.every(chunk => chunk.codec === codec)
      return range && fits && isAlone(input, range) ? [{ part, tail, group: g, ...range }] : []
    })
  }).sort((a, b) => a.idMin < b.idMin ? -1 : 1)
}

interface IdRange { idMin: Id, idMax: Id }

function idRange({ idMin, idMax }: PlacedRowGroup): IdRange | undefined {
  return idMin === undefined || idMax === undefined ? undefined : { idMin, idMax }
}

function sameFields(a: readonly Field[], b: readonly Field[]): boolean {
  return a.length === b.length && a.every((field, c) => {
    const other = b[c]!
    return field.name === other.name && field.type === other.type && field.nullable === other.nullable &&
      field.origin === other.origin && (field.wide ?? false) === (other.wide ?? false)
  })
}

/** What comes next in the output: rows to merge, or a row group to copy. */
export type Step = { ids: IdArray } | { copy: Copy }

/** Put windows of ids and copied row groups into one order by id. No id lies between a copy's first and last. */
export function * mergeSteps(windows: Iterable<IdArray>, copies: readonly Copy[]): Generator<Step> {
  let next = 0
  for (const ids of windows) {
    let from = 0
    for (; next < copies.length; next++) {
      const at = lowerBound(ids, copies[next]!.idMin, from)
      if (at === ids.length) break
      if (at > from) yield { ids: ids.subarray(from, at) }
      yield { copy: copies[next]! }
      from = at
    }
    if (from < ids.length) yield { ids: ids.subarray(from) }
  }
  for (; next < copies.length; next++) yield { copy: copies[next]! }
}
