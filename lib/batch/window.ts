import type { MillraceError } from '../errors.js'
import type { Run } from '../run.js'
import type { CollectedColumn } from './collected-column.js'
import type { Field } from './column-type.js'
import type { Piece } from './combine.js'
import type { IdArray } from './ids.js'
import type { RowBatch } from './row-batch.js'
import type { Vector } from './vector.js'

/**
 * What flows from stage to stage: at most 65,536 sorted ids of a request, which gain hits, misses and fetched rows on their
 * way. Columnar throughout; rows appear at the edge only.
 */
export interface Window {
  readonly index: number
  /** Ascending, each once. */
  readonly ids: IdArray
  readonly run: Run
  /** Cached values per column, as pieces that name window positions. Set by the cache splitter. */
  hits?: ReadonlyMap<string, readonly Piece[]>
  hitCount?: number
  /** Window positions that must be fetched, ascending. Undefined before the splitter: all. */
  misses?: Uint32Array
  /** Positions among `misses` that no plan knew of (a part turned out damaged), ascending. */
  late?: Uint32Array
  /** Fetched rows, and where they go. Set by the batch fetcher. */
  fetched?: readonly FetchedPiece[]
  /** Ids the source does not have, of the batches this window needed; they may belong to neighbours as well. */
  missing?: readonly IdArray[]
}

/** Rows `from` (inclusive) to `to` (exclusive) of a fetched batch and their window positions. */
export interface FetchedPiece {
  batch: FetchedBatch
  from: number
  to: number
  at: number | Uint32Array
}

/** A column as a fetcher delivered it: values of rows, or a vector with its type and the rows in which it is absent. */
export type RawColumn = { collected: CollectedColumn } | { vector: Vector, field: Field, absent?: readonly number[] }

/** The answer to one batch. A batch may span windows. */
export interface FetchedBatch {
  readonly index: number
  /** The ids whose rows came, ascending. */
  readonly ids: IdArray
  /** What came, by column name: plain columns, base columns of paths, ready-made dotted columns. Dropped once flattened. */
  raw: ReadonlyMap<string, RawColumn> | undefined
  /** Requested ids without a row, ascending. */
  readonly missing: IdArray
  /** Typed rows in the order of `ids`, the id first. Set by the json flattener. */
  rows?: RowBatch
  /** When they were asked for, in ms since 1970. */
  readonly askedMs?: number
  /** Rows that must not be delivered, with the reason, by row. */
  readonly bad: Map<number, MillraceError>
}
