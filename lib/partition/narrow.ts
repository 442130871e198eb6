import { randomBytes } from 'node:crypto'
import { InvalidArgumentError, UnsupportedQueryError } from '../errors.js'
import { isSameTree, type Node, type Select } from '../sql/ast.js'
import { parseSelect, parseStatement, printStatement } from '../sql/grammar.js'
import { quoteIdentifier } from '../sql/quote.js'
import { shapeOf, type QueryOptions } from './decompose.js'
import { narrowForeign } from './foreign-sql.js'
import { fitsType } from './key-fit.js'
import { keyArray, keyLiteral, keyTexts } from './key-literals.js'
import type { PartitionKeyValue } from './key-types.js'
import { tableText } from './scope.js'
import type { QueryShape } from './shape.js'

/** The ways to put a restriction into a query. */
export const NARROWING_METHODS = ['IN', 'VALUES', 'ANY', 'TMP_TABLE_IN', 'TMP_TABLE_JOIN', 'IN_SUBQUERY'] as const
/** How a restriction is put into a query. */
export type NarrowingMethod = typeof NARROWING_METHODS[number]

/** What a query is narrowed with, and how. */
export interface NarrowOptions extends QueryOptions {
  /** The partitions to keep. undefined: nothing is known, the query stays. An empty set: there are none. */
  keys?: Iterable<PartitionKeyValue> | undefined
  /** Instead of `keys`: SQL whose single column holds them. */
  subquery?: string | undefined
  /** Default 'IN', for a sub-query 'IN_SUBQUERY'. IN and ANY become VALUES where a key from another table's column may not fit the narrowed one. */
  method?: NarrowingMethod | undefined
  /** Rows whose key is NULL stay, unless a condition, the catalogue or 'none' rules them out (default 'keep'). */
  nullKeys?: 'keep' | 'none' | undefined
  /** Whether a temporary table is analysed (default true). */
  analyzeTmpTable?: boolean | undefined
}

/** A narrowed query. */
export interface NarrowedQuery {
  readonly sql: string
  /** To be run before it, in order, on the same connection. */
  readonly statements: readonly string[]
}

/** The tree of `select`, with a name in place of a condition, as text. */
function withCondition(select: Select, fromClause: readonly Node[] | undefined, targetList: readonly Node[] | undefined, mark: string): string {
  const condition: Node = { ColumnRef: { fields: [{ String: { sval: mark } }] } }
  const args = [...select.whereClause?.BoolExpr?.boolop === 'AND_EXPR' ? select.whereClause.BoolExpr.args : select.whereClause ? [select.whereClause] : [], condition]
  const whereClause: Node = args.length === 1 ? condition : { BoolExpr: { boolop: 'AND_EXPR', args } }
  const tree: Node = { SelectStmt: { ...select, whereClause, ...(fromClause ? { fromClause } : {}), ...(targetList ? { targetList } : {}) } }
  const text = printStatement(tree)
  // the printer is not ours: what it wrote must read back as what was meant
  if (!isSameTree(parseStatement(text), tree)) throw new UnsupportedQueryError({ construct: 'a query that does not print exactly' })
  return text
}

/** Adds a condition to the outermost WHERE. */
export function addCondition(select: Select, condition: string, changes: { fromClause?: readonly Node[], targetList?: readonly Node[] } = {}): string {
  const mark = `millrace_${randomBytes(9).toString('hex')}`
  return withCondition(select, changes.fromClause, changes.targetList, mark).replace(mark, () => condition)
}

/** `*` as the names it stands for, so that a table that is joined adds no column. Undefined where that is not the same. */
export function spelledOut({ targetList = [], fromClause = [] }: Select): readonly Node[] | undefined {
  const isStar = (node: Node): boolean => node.ResTarget?.val.ColumnRef?.fields.length === 1 && node.ResTarget.val.ColumnRef.fields[0]?.A_Star !== undefined
  if (!targetList.some(isStar)) return targetList
  const names: string[] = []
  const collect = (item: Node): boolean => {
    const name = item.RangeVar ? item.RangeVar.alias?.aliasname ?? item.RangeVar.relname : item.RangeSubselect?.alias?.aliasname
    if (name !== undefined) return names.push(name) > 0
    const join = item.JoinExpr
    return join !== undefined && !join.usingClause && !join.isNatural && !join.alias && collect(join.larg) && collect(join.rarg)
  }
  if (!fromClause.every(collect)) return undefined
  const stars = names.map((name): Node => ({ ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: name } }, { A_Star: {} }] } } } }))
  return targetList.flatMap(target => isStar(target) ? stars : [target])
}

interface Context {
  readonly shape: QueryShape
  readonly column: string
  readonly keepsNulls: boolean
  readonly analyze: boolean
  /** The anchor's type, where it is known. */
  readonly type: string | undefined
}

function orNull(condition: string, { column, keepsNulls }: Context): string {
  return keepsNulls ? `(${condition} OR ${column} IS NULL)` : condition
}

/** Names that no other call uses, so that one session can hold several. */
function temporaryName(): string {
  return `tmp_partition_keys_${randomBytes(5).toString('hex')}`
}

/** Where keys come from: the columns that hold them, the anchor's first. */
function keySources({ shape: { anchor, keyColumns, tables } }: Context): string[] {
  const sources = [anchor.table, ...keyColumns.keys()].map(table => {
    const { schema, name } = tables[table]!
    return `SELECT x.${quoteIdentifier(keyColumns.get(table)!)} AS partition_key FROM ${tableText(schema, name)} AS x`
  })
  return [...new Set(sources)]
}

/** Whether a WITH query has the name of a table that `keySources` reads. */
function hasHiddenTable({ anchor, keyColumns, tables, select }: Context['shape']): boolean {
  const names = new Set(select.withClause?.ctes.map(({ CommonTableExpr: query }) => query?.ctename))
  return [anchor.table, ...keyColumns.keys()].some(table => tables[table]!.schema === undefined && names.has(tables[table]!.name))
}

/** A table whose one column has the type that all key columns fit, so that every key can be stored, and compares as in IN. */
function createTable(name: string, context: Context): string {
  return `CREATE TEMPORARY TABLE ${name} AS ${keySources(context).join(' UNION ALL ')} WITH NO DATA`
}

function fillStatements(name: string, rows: string, context: Context): string[] {
  return [createTable(name, context), `INSERT INTO ${name} (partition_key) ${rows}`, ...(context.analyze ? [`ANALYZE ${name}`] : [])]
}

function throughTable(rows: string, isJoin: boolean, context: Context): NarrowedQuery {
  const { shape, column } = context
  const name = temporaryName()
  const statements = fillStatements(name, rows, context)
  const targetList = spelledOut(shape.select)
  // a join would lose rows without a key; and where it would show in `*`, it must not be
  if (!isJoin || context.keepsNulls || !targetList || namesKeyColumn(shape.select)) {
    return { statements, sql: addCondition(shape.select, orNull(`${column} IN (SELECT ${name}.partition_key FROM ${name})`, context)) }
  }
  // two keys may be one value of the column, and a join would answer its rows twice
  const distinct = parseSelect(`SELECT FROM (SELECT DISTINCT ${name}.partition_key FROM ${name}) AS ${name}`)
  const fromClause = [...shape.select.fromClause ?? [], ...distinct.fromClause ?? []]
  return { statements, sql: addCondition(shape.select, `${column} = ${name}.partition_key`, { fromClause, targetList }) }
}

/** A bare `partition_key` in the query would become ambiguous beside the temporary table's. */
function namesKeyColumn(select: Select): boolean {
  return JSON.stringify(select).includes('"partition_key"')
}

function withKeys(keys: Iterable<PartitionKeyValue>, method: NarrowingMethod, context: Context): NarrowedQuery {
  const { shape, column } = context
  const all = keyTexts(keys)
  const { texts, isBare } = all
  if (texts.length === 0) return { statements: [], sql: addCondition(shape.select, context.keepsNulls ? `${column} IS NULL` : 'false') }
  const literals = texts.map(text => keyLiteral(text, isBare))
  const rows = literals.map(literal => `(${literal})`).join(', ')
  const condition = (text: string): NarrowedQuery => ({ statements: [], sql: addCondition(shape.select, orNull(text, context)) })
  const list = `${column} IN (${literals.join(', ')})`
  const sources = keySources(context)
  const fits = sources.length === 1 || fitsType(all, context.type)
  switch ((method === 'ANY' || (method === 'IN' && !isBare)) && !fits ? 'VALUES' : method) {
    case 'IN': return condition(list)
    case 'ANY': return condition(`${column} = ANY (${keyArray(all)})`)
    case 'VALUES': {
      // a WITH query of a table's name would be read in its place
      if (!isBare && hasHiddenTable(shape)) return condition(list)
      // first rows of the columns' own types give the quoted ones a type that they fit; without them they would be text
      const typed = (fits ? sources.slice(0, 1) : sources).map(source => `((${source} LIMIT 0))`)
      return condition(`${column} IN (VALUES ${isBare ? rows : `${typed.join(', ')}, ${rows}`})`)
    }
    case 'TMP_TABLE_IN': case 'TMP_TABLE_JOIN': return throughTable(`VALUES ${rows}`, method === 'TMP_TABLE_JOIN', context)
    case 'IN_SUBQUERY': throw new InvalidArgumentError({ argument: 'method', expected: 'a sub-query for IN_SUBQUERY', found: 'keys' })
  }
}

function withSubquery(subquery: string, method: NarrowingMethod, context: Context): NarrowedQuery {
  const text = subquery.trim().replace(/;$/, '')
  if (!parseStatement(text).SelectStmt) throw new InvalidArgumentError({ argument: 'subquery', expected: 'a SELECT', found: 'another statement' })
  switch (method) {
    case 'IN_SUBQUERY': return { statements: [], sql: addCondition(context.shape.select, orNull(`${context.column} IN (${text})`, context)) }
    case 'TMP_TABLE_IN': case 'TMP_TABLE_JOIN': return throughTable(`SELECT DISTINCT * FROM (${text}) AS keys`, method === 'TMP_TABLE_JOIN', context)
    case 'IN': case 'VALUES': case 'ANY': throw new InvalidArgumentError({ argument: 'method', expected: 'IN_SUBQUERY, TMP_TABLE_IN or TMP_TABLE_JOIN for a sub-query', found: method })
  }
}

/**
 * Puts a restriction to some partitions into a query's outermost WHERE.
 *
 * @throws {UnsupportedQueryError} the restriction could change the query's rows
 */
export function narrowQuery(sql: string, { keys, subquery, method, nullKeys = 'keep', analyzeTmpTable = true, ...reading }: NarrowOptions): NarrowedQuery {
  const chosen = method ?? (subquery === undefined ? 'IN' : 'IN_SUBQUERY')
  if (!NARROWING_METHODS.includes(chosen)) throw new InvalidArgumentError({ argument: 'method', expected: NARROWING_METHODS.join(', '), found: String(method) })
  const shape = shapeOf(sql, reading)
  if (keys === undefined && subquery === undefined) return { sql, statements: [] }
  if (shape.hazard) {
    const { construct, position } = shape.hazard
    throw new UnsupportedQueryError({ construct, ...(position === undefined ? {} : { position }), reason: 'which rows it answers with depends on how it is run' })
  }
  const dialect = reading.catalogue?.dialect
  if (dialect) {
    if (chosen !== 'IN') throw new InvalidArgumentError({ argument: 'method', expected: `IN for a query of ${dialect}`, found: chosen })
    return { statements: [], sql: narrowForeign(sql, keys!, { shape, dialect, keepsNulls: shape.isNullable && nullKeys !== 'none' }) }
  }
  const column = `${quoteIdentifier(shape.anchor.alias)}.${quoteIdentifier(shape.anchor.column)}`
  const { schema, name } = shape.tables[shape.anchor.table]!
  const type = reading.catalogue?.tableFacts(schema, name)?.columns.get(shape.keyColumns.get(shape.anchor.table)!)?.type
  const context: Context = { shape, column, type, keepsNulls: shape.isNullable && nullKeys !== 'none', analyze: analyzeTmpTable }
  return subquery === undefined ? withKeys(keys!, chosen, context) : withSubquery(subquery, chosen, context)
}

/**
 * A query restricted to some partitions, as one text: the statements of the TMP_TABLE methods come first, separated by `;`.
 *
 * Without `keys` and `subquery` nothing is known, and the query comes back as it is; with an empty set it answers nothing but rows
 * without a key.
 *
 * @throws {UnsupportedQueryError} the restriction could change the query's rows
 */
export function extendQueryWithPartitionKeys(sql: string, options: NarrowOptions): string {
  const narrowed = narrowQuery(sql, options)
  return [...narrowed.statements, narrowed.sql].join(';\n')
}

