import type { ColumnType, Field } from '../batch/column-type.js'
import type { RowBatch } from '../batch/row-batch.js'
import type { SortItem } from '../sql/query-shape.js'

/** A column of an answer, as the database describes it. */
export interface DescribedColumn extends Field {
  /** The database's own name of the type, as its casts take it. */
  sqlType: string
  /** Read as a number that cannot hold every value of the database's own type: what differs there may look equal. */
  isRounded?: boolean
}

/** One statement within a snapshot. */
export interface SnapshotQuery {
  params?: readonly unknown[] | undefined
  /** Rows per RowBatch (default: the source's). */
  batchRows?: number | undefined
  /** Types that `describe` found, by column: for databases whose columns have none of their own. */
  types?: ReadonlyMap<string, ColumnType> | undefined
}

/**
 * One unchanging, read-only view of a database: everything asked through it sees the same state. One statement at a time.
 *
 * An implementer refuses statements that write, settles whatever happens to the connection, and gives the connection back in
 * `close`, which never throws.
 */
export interface SourceSnapshot {
  /** What decides the meaning of names beyond the statement (user, search path), as text; null where nothing does. */
  readonly session: string | null
  /** What a statement returns, without running it. */
  describe(sql: string, params: readonly unknown[]): Promise<readonly DescribedColumn[]>
  /** Stream a statement's rows. An empty answer is one batch without rows, which carries the columns. */
  query(sql: string, options?: SnapshotQuery): AsyncIterable<RowBatch>
  close(): Promise<void>
}

/** What ends a snapshot's waits. */
export interface SnapshotOptions {
  signal?: AbortSignal | undefined
  /** The longest silence tolerated from the database, in ms; 0 = no limit. */
  timeoutMs?: number | undefined
}

/** A statement that was found fit to be wrapped and extended. */
export interface JudgedQuery {
  /** The statement alone. */
  text: string
  /** Its outermost ORDER BY. */
  sort: readonly SortItem[]
}

/** How a database spells what an incremental query needs. */
export interface SqlDialect {
  readonly name: string
  /** `$1`, `$2` … that may stand anywhere, or a `?` each. */
  readonly hasNumberedParameters: boolean
  /** A name as SQL text, exactly as given. */
  quote(name: string): string
  /** The expression that rows are ordered and compared by, or undefined where equal values of the type may look different. */
  orderBy(expression: string, column: DescribedColumn): string | undefined
  /**
   * What the type of a judged statement's order column does not tell: whether values of it that differ may be equal.
   *
   * @throws {InvalidArgumentError} they may
   */
  checkOrder?(column: DescribedColumn, statement: { text: string, params: readonly unknown[] }, snapshot: SourceSnapshot): Promise<void>
  /** An expression's value as text that `fromText` reads back exactly. */
  toText(expression: string, column: DescribedColumn): string
  fromText(placeholder: string, column: DescribedColumn): string
  /** What the driver binds for such a text (default: the text). */
  parameter?(text: string, column: DescribedColumn): unknown
  /** A value less an overlap: an interval as text for times, a distance for numbers; undefined where the type has neither. */
  less?(value: string, overlap: string, column: DescribedColumn): string | undefined
  /**
   * What is bound for an overlap (default: its text).
   *
   * @throws {InvalidArgumentError} it is none for this column
   */
  overlap?(text: string, column: DescribedColumn): unknown
  /** A checksum of the row `alias`, as a 64-bit integer. */
  rowHash?(alias: string, columns: readonly DescribedColumn[]): string
  /**
   * Whether the statement's result can be extended by the rows beyond a bound.
   *
   * @throws {UnsupportedQueryError} names what stands in the way
   */
  judge(sql: string, snapshot: SourceSnapshot): Promise<JudgedQuery>
}
