import { UnsupportedQueryError } from '../errors.js'
import type { CalledFunction, NamedRelation, Offence } from './unsafe-shape.js'
import { findingsOf } from './unsafe-shape.js'

/** One item of the outermost ORDER BY. */
export interface SortItem {
  /** The output column it names, or its position from 1; undefined for an expression. */
  output: string | number | undefined
  isDescending: boolean
  /** Undefined where the statement leaves it to the database. */
  nullsFirst: boolean | undefined
  /** Character position in the text, from 0. */
  position: number | undefined
}

/** A statement that can be wrapped as a sub-select. */
export interface QueryShape {
  /** The statement alone, without what separates it from others. */
  text: string
  sort: readonly SortItem[]
  functions: readonly (CalledFunction & { position: number | undefined })[]
  relations: readonly (NamedRelation & { position: number | undefined })[]
  operators: readonly (CalledFunction & { position: number | undefined })[]
  /** Names behind a dot: columns, or functions of one row. */
  attributes: readonly (CalledFunction & { position: number | undefined })[]
  /** Names that the statement itself defines, by WITH. */
  ownRelations: readonly string[]
}

type Node = Record<string, unknown>

/** The parser counts bytes, callers count characters, both from 0. */
function characterAt(sql: string, byte: number | undefined): number | undefined {
  return byte === undefined ? undefined : Buffer.from(sql, 'utf8').subarray(0, byte).toString('utf8').length
}

/**
 * Judge a PostgreSQL statement by its parse tree: whether a result of it can be extended by the rows beyond a bound. What the tree
 * cannot tell (volatile functions, views) is listed for the catalogue.
 *
 * @param original the text that `sql` stands for, byte for byte as long: what is returned is taken from it
 * @throws {UnsupportedQueryError} names the first construct that stands in the way, and where
 */
export async function queryShape(sql: string, original = sql): Promise<QueryShape> {
  const { parse, scan, hasSqlDetails } = await import('libpg-query')
  const bytes = Buffer.from(sql, 'utf8')
  let parsed: Awaited<ReturnType<typeof parse>>
  try {
    parsed = await parse(sql)
  } catch (cause) {
    const position = hasSqlDetails(cause) ? characterAt(sql, cause.sqlDetails?.cursorPosition) : undefined
    throw new UnsupportedQueryError({ construct: 'this text', reason: (cause as Error).message, cause, ...(position === undefined ? {} : { position }) })
  }
  const [statement, second] = parsed.stmts ?? []
  if (!statement?.stmt) throw new UnsupportedQueryError({ construct: 'a text without a statement', reason: 'one SELECT is needed' })
  const { tokens } = await scan(sql)
  if (second) {
    const start = second.stmt_location ?? 0
    const at = tokens.find(token => token.start >= start && !/COMMENT/.test(token.tokenName))?.start
    throw unsupported(sql, { construct: 'a second statement', reason: 'one at a time', at })
  }
  const findings = findingsOf(statement.stmt, tokens)
  const select = (statement.stmt as { SelectStmt?: Node }).SelectStmt
  const [first] = findings.offences.sort((a, b) => (a.at ?? Infinity) - (b.at ?? Infinity))
  if (first) throw unsupported(sql, first)
  if (!select?.['targetList']) throw new UnsupportedQueryError({ construct: 'a statement without columns', reason: 'one SELECT is needed' })
  const start = statement.stmt_location ?? 0
  const end = statement.stmt_len ? start + statement.stmt_len : bytes.length
  const placed = <T extends { at: number | undefined }>(items: readonly T[]): (T & { position: number | undefined })[] =>
    items.map(item => ({ ...item, position: characterAt(sql, item.at) }))
  return { text: Buffer.from(original, 'utf8').subarray(start, end).toString('utf8'), ownRelations: findings.ownRelations, sort: sortOf(select, sql),
    functions: placed(findings.functions), relations: placed(findings.relations),
    operators: placed(findings.operators), attributes: placed(findings.attributes) }
}

function unsupported(sql: string, { construct, reason, at }: Offence): UnsupportedQueryError {
  const position = characterAt(sql, at)
  return new UnsupportedQueryError({ construct, reason, ...(position === undefined ? {} : { position }) })
}

interface ColumnRef { fields: readonly { String?: { sval?: string }, A_Star?: object }[], location?: number }

/** The names of a column reference, `t.x` → `['t', 'x']`, with undefined for a star at its end; undefined for everything else. */
function namesOf(node: unknown): (string | undefined)[] | undefined {
  return (node as { ColumnRef?: ColumnRef } | undefined)?.ColumnRef?.fields.map(field => field.String?.sval)
}

interface Join { jointype?: string, isNatural?: boolean, larg?: { JoinExpr?: Join }, rarg?: { JoinExpr?: Join }, usingClause?: readonly { String: { sval: string } }[] }

/** Whether a name may stand for another value than both sides' columns of that name: an outer join has made one of the two. */
function isMerged(name: string, join: Join | undefined): boolean {
  if (!join) return false
  const merges = join.isNatural === true || join.usingClause?.some(({ String: { sval } }) => sval === name) === true
  return (merges && join.jointype !== 'JOIN_INNER') || isMerged(name, join.larg?.JoinExpr) || isMerged(name, join.rarg?.JoinExpr)
}

/** Whether two column references say the same, one of them with fewer words: `x`, `t.x` and `s.t.x` are one column, or ambiguous. */
function isSuffix(a: readonly unknown[], b: readonly unknown[]): boolean {
  const length = Math.min(a.length, b.length)
  return a.slice(a.length - length).every((name, i) => name === b[b.length - length + i])
}

/** ORDER BY, each item as the output column it means. */
function sortOf(select: Node, sql: string): SortItem[] {
  const targets = (select['targetList'] as readonly { ResTarget?: { name?: string, val?: unknown } }[]).map(({ ResTarget }) => ({ name: ResTarget?.name, ref: namesOf(ResTarget?.val) }))
  const joins = ((select['fromClause'] ?? []) as readonly { JoinExpr?: Join }[]).map(({ JoinExpr }) => JoinExpr)
  const outputOf = (node: unknown): string | number | undefined => {
    const constant = (node as { A_Const?: { ival?: { ival?: number } } }).A_Const
    if (constant) return constant.ival?.ival
    const names = namesOf(node)
    const name = names?.at(-1)
    if (!names || name === undefined) return undefined
    // a bare name is an output column's first, then an input column's; that one may stand in the list under another name
    if (names.length === 1 && targets.some(target => target.name === name)) return name
    const merged = joins.some(join => isMerged(name, join))
    const same = targets.filter(({ ref }) => ref && isSuffix(ref, names) && (!merged || ref.length === names.length))
    if (same.length > 0) return same.some(target => target.name === undefined) ? name : same[0]!.name
    // what a star or the database names so, or `t.x` by the star of `t`
    const tables = names.slice(0, -1)
    const isStarred = targets.some(({ ref }) => ref !== undefined && ref.at(-1) === undefined && isSuffix(ref.slice(0, -1), tables) && (!merged || ref.length > 1))
    return names.length === 1 || isStarred ? name : undefined
  }
  return ((select['sortClause'] ?? []) as readonly { SortBy: { node: unknown, sortby_dir?: string, sortby_nulls?: string } }[]).map(({ SortBy }) => {
    const { node, sortby_dir: direction, sortby_nulls: nulls } = SortBy
    const at = locationIn(node)
    return { output: direction === 'SORTBY_USING' ? undefined : outputOf(node), isDescending: direction === 'SORTBY_DESC',
      nullsFirst: nulls === 'SORTBY_NULLS_FIRST' ? true : nulls === 'SORTBY_NULLS_LAST' ? false : undefined, position: characterAt(sql, at) }
  })
}

function locationIn(node: unknown): number | undefined {
  for (const value of Object.values((node ?? {}) as Record<string, { location?: number } | undefined>)) if (value?.location !== undefined) return value.location
  return undefined
}
