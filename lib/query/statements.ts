import { InvalidArgumentError } from '../errors.js'
import type { DescribedColumn, SqlDialect } from '../source/snapshot.js'
import { ROW_HASH } from '../store/query-record.js'
import type { OrderPlan } from './order-plan.js'

/** A statement and its parameters. */
export interface Statement {
  text: string
  params: unknown[]
}

/** A value to bind, in the text's order. */
interface Bound { bind: unknown }

type Piece = string | Bound | typeof INNER | readonly Piece[]

/** Stands for the user's statement as a sub-select called `q`. */
const INNER = Symbol('the statement')

/** The name of a key's text among a statement's columns. */
export const KEY_TEXT = '#text'

/** Which rows: from a value on (below another), or after a value and a key. */
export type RowBound = { from?: string | undefined, to?: string } | { after: string, key: string }

/** Writes the statements that an incremental query sends, around the user's own, which is never changed. */
export class Statements {
  readonly #dialect: SqlDialect
  readonly #inner: Statement
  readonly #plan: OrderPlan

  /** @param inner a statement that was judged, and its parameters */
  constructor(dialect: SqlDialect, inner: Statement, plan: OrderPlan) {
    this.#dialect = dialect
    this.#inner = inner
    this.#plan = plan
  }

  /**
   * The highest order value and the highest key at it, as texts: `value`, `key`. Beside them, when there is a watermark, whether
   * the value is `below` it, and the watermark less the overlap, as `bound`. No row: the source has none.
   */
  head(watermark?: string, overlap?: string): Statement {
    const { order, key } = this.#plan
    const at = watermark === undefined ? undefined : this.#value(watermark, order)
    const columns: Piece[] = [this.#dialect.toText(this.#name(order), order), ' AS value, ', key ? this.#dialect.toText(this.#name(key), key) : 'NULL', ' AS ', this.#dialect.quote('key')]
    if (at) columns.push(', CASE WHEN ', this.#by(order), ' < ', at, ' THEN 1 ELSE 0 END AS below')
    if (watermark !== undefined && overlap !== undefined) columns.push(', ', this.#less(watermark, overlap), ' AS bound')
    return this.#render(['SELECT ', columns, ' FROM ', INNER, ' WHERE ', this.#name(order), ' IS NOT NULL ORDER BY ', this.#by(order), ' DESC',
      key ? `, ${this.#name(key)} DESC` : '', ' LIMIT 1'])
  }

  /** An order value less the overlap, as text: `bound`. */
  bound(value: string, overlap: string): Statement {
    return this.#render(['SELECT ', this.#less(value, overlap), ' AS bound'])
  }

  /** The keys of the rows with the watermark's order value, in order: those up to its key, and NULLs. */
  tieKeys(watermark: string, text: string): Statement {
    const { order } = this.#plan
    const key = this.#plan.key!
    return this.#render(['SELECT ', this.#name(key), ' FROM ', INNER, ' WHERE ', this.#by(order), ' = ', this.#value(watermark, order),
      ' AND (', this.#name(key), ' <= ', this.#value(text, key), ' OR ', this.#name(key), ' IS NULL) ORDER BY ', this.#name(key)])
  }

  /** One row, `one`, when there are rows without an order value. */
  nulls(): Statement {
    return this.#render(['SELECT 1 AS one FROM ', INNER, ' WHERE ', this.#name(this.#plan.order), ' IS NULL LIMIT 1'])
  }

  /** The rows from the bound on, all of them without one, in order. */
  rows(bound: RowBound | undefined, { withHashes = false } = {}): Statement {
    const { order, key, ties } = this.#plan
    const by = this.#by(order)
    const where: Piece[] = bound && 'after' in bound
      ? [by, ' >= ', this.#value(bound.after, order), ' AND (', by, ' > ', this.#value(bound.after, order), ' OR ', this.#name(key!), ' > ', this.#value(bound.key, key!), ')']
      : this.#between(bound?.from, bound?.to)
    return this.#render(['SELECT q.*', withHashes ? `, ${this.#hash()}` : '', ' FROM ', INNER, ' WHERE ', where,
      ' ORDER BY ', [this.#by(order), ...ties.map(({ column, isDescending }) => `${this.#name(column)}${isDescending ? ' DESC' : ''}`)].join(', ')])
  }

  /** The keys of the rows from a value on: the key column, and the key as text, `#text`. */
  keys(from: string): Statement {
    const key = this.#plan.key!
    return this.#render(['SELECT ', this.#name(key), ', ', this.#dialect.toText(this.#name(key), key), ' AS ', this.#dialect.quote(KEY_TEXT), ' FROM ', INNER,
      ' WHERE ', this.#between(from, undefined)])
  }

  /** One row, `one`, when one of the keys (as text) stands at a row below a value. */
  keysBelow(value: string, keys: readonly string[]): Statement {
    const key = this.#plan.key!
    return this.#render(['SELECT 1 AS one FROM ', INNER, ' WHERE ', this.#by(this.#plan.order), ' < ', this.#value(value, this.#plan.order), ' AND ',
      this.#name(key), ' IN (', keys.flatMap((text, i) => [i === 0 ? '' : ', ', this.#value(text, key)]), ') LIMIT 1'])
  }

  /** The rows without an order value. */
  nullRows(): Statement {
    const { order, ties } = this.#plan
    return this.#render(['SELECT q.* FROM ', INNER, ' WHERE ', this.#name(order), ' IS NULL',
      ties.length > 0 ? ` ORDER BY ${ties.map(({ column, isDescending }) => `${this.#name(column)}${isDescending ? ' DESC' : ''}`).join(', ')}` : ''])
  }

  /** Count and sum of the rows' checksums from one value (inclusive) to another (exclusive; the end when absent): `n`, `total`. */
  checksum(from: string | undefined, to: string | undefined): Statement {
    return this.#render(['SELECT COUNT(*) AS n, CAST(SUM(', this.#dialect.rowHash!('q', this.#plan.columns), ') AS ', this.#dialect.name === 'postgres' ? 'text' : 'CHAR', ') AS total FROM ', INNER, ' WHERE ', this.#between(from, to)])
  }

  #between(from: string | undefined, to: string | undefined): Piece[] {
    const { order } = this.#plan
    const where: Piece[] = from === undefined ? [this.#name(order), ' IS NOT NULL'] : [this.#by(order), ' >= ', this.#value(from, order)]
    if (to !== undefined) where.push(' AND ', this.#by(order), ' < ', this.#value(to, order))
    return where
  }

  #hash(): string {
    return `${this.#dialect.rowHash!('q', this.#plan.columns)} AS ${this.#dialect.quote(ROW_HASH)}`
  }

  #name(column: DescribedColumn): string {
    return `q.${this.#dialect.quote(column.name)}`
  }

  #by(column: DescribedColumn): string {
    return this.#dialect.orderBy(this.#name(column), column)!
  }

  #value(text: string, column: DescribedColumn): Piece {
    return filled(this.#dialect.fromText(PLACE, column), [this.#bound(text, column)])
  }

  #bound(text: string, column: DescribedColumn): Bound {
    return { bind: this.#dialect.parameter ? this.#dialect.parameter(text, column) : text }
  }

  #less(watermark: string, overlap: string): Piece {
    const { order } = this.#plan
    const less = this.#dialect.less?.(this.#dialect.fromText(PLACE, order), PLACE, order)
    if (less === undefined) throw new InvalidArgumentError({ argument: 'overlap', expected: 'an order column of numbers, dates or timestamps', found: `${order.name} of type ${order.sqlType}` })
    return filled(this.#dialect.toText(less, order), [this.#bound(watermark, order), { bind: this.#dialect.overlap ? this.#dialect.overlap(overlap, order) : overlap }])
  }

  #render(pieces: readonly Piece[]): Statement {
    const { hasNumberedParameters } = this.#dialect
    // a parameter that the text does not use has no type, and PostgreSQL refuses it
    const params: unknown[] = hasNumberedParameters && pieces.includes(INNER) ? [...this.#inner.params] : []
    let text = ''
    const write = (piece: Piece): void => {
      if (typeof piece === 'string') text += piece
      else if (piece === INNER) {
        // the line break ends a comment that stands at the statement's end
        text += `(\n${this.#inner.text}\n) AS q`
        if (!hasNumberedParameters) params.push(...this.#inner.params)
      } else if (isBound(piece)) {
        params.push(piece.bind)
        text += hasNumberedParameters ? `$${params.length}` : '?'
      } else piece.forEach(write)
    }
    write(pieces)
    return { text, params }
  }
}

/** Cannot stand in a type's name or in SQL. */
const PLACE = '\0'

/** SQL with its places filled, in turn and from the start again: an expression may hold another several times. */
function filled(sql: string, bounds: readonly Bound[]): Piece[] {
  return sql.split(PLACE).flatMap((text, i) => i === 0 ? [text] : [bounds[(i - 1) % bounds.length]!, text])
}

function isBound(piece: Exclude<Piece, string | symbol>): piece is Bound {
  return !Array.isArray(piece)
}
