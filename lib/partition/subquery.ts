import { isSameTree, namesOf, walk, type Alias, type Node, type Select } from '../sql/ast.js'
import { isComparison, type Expression } from '../sql/expression.js'
import { parseStatement, printStatement } from '../sql/grammar.js'
import { isOrderFree, isPlainOperator, isPlainType, volatilityOf } from '../sql/volatility.js'
import { parameterLiteral } from './parameter.js'
import { Uncacheable, type ReadingOptions, type Scope } from './scope.js'
import { isSteadyTime, isTimeType } from './times.js'

/** Kinds that a sub-query may hold; of anything else nobody knows whether its answer stays. */
const KNOWN: ReadonlySet<string> = new Set(['SelectStmt', 'ResTarget', 'ColumnRef', 'A_Const', 'A_Expr', 'A_Star', 'A_ArrayExpr', 'BoolExpr', 'BooleanTest', 'NullTest', 'CaseExpr', 'CaseWhen',
  'CoalesceExpr', 'MinMaxExpr', 'FuncCall', 'TypeCast', 'ParamRef', 'SubLink', 'RangeVar', 'RangeSubselect', 'JoinExpr', 'RowExpr', 'List', 'String', 'Integer', 'SortBy'])

const MARK = '\u0001'
/** A marked column as the printer writes it. */
const MARKED = /"\u0001(\d+)"\.(?:"(?:[^"]|"")*"|[\p{L}\p{N}_$]+)/gu

/** What printing a sub-query needs beside its tree. */
export interface SubqueryReading {
  readonly options: ReadingOptions
  /** The type of a column of the tables around, where it is known. */
  readonly typeOfOuter: (column: Expression) => string | undefined
  /** Types of what its answer is compared with. */
  readonly typesAround: readonly (string | undefined)[]
}

type Resolve = (names: readonly string[], location?: number) => Expression

interface Renaming {
  readonly scope: Scope
  readonly options: ReadingOptions
  readonly resolve: Resolve
  /** Columns of the tables around, in the order of their marks. */
  readonly outer: Expression[]
  count: number
}

/**
 * A sub-query that stays one, as text with the outer columns in it. Its own tables are renamed s1, s2, … in the order of their
 * appearance, so that no outer name can be captured.
 *
 * @throws {Uncacheable} its answer may change while the data stays
 */
export function printSubquery(select: Select, scope: Scope, { options, typeOfOuter, typesAround }: SubqueryReading, resolve: Resolve): (string | Expression)[] {
  checkStable(select, options)
  const types = timeTypesIn(select, options)
  const renaming: Renaming = { scope, options, resolve, outer: [], count: 0 }
  const tree: Node = { SelectStmt: renameSelect(select, undefined, renaming) }
  checkTimes(select, [...types, ...typesAround, ...renaming.outer.map(typeOfOuter)])
  const text = printStatement(tree).replace(/;\s*$/, '')
  // the printer is not ours: what it wrote must read back as what was meant
  if (!isSameTree(parseStatement(text), tree)) throw new Uncacheable('a sub-query that does not print exactly')
  const parts: (string | Expression)[] = []
  let at = 0
  for (const match of text.matchAll(MARKED)) {
    parts.push(text.slice(at, match.index), renaming.outer[Number(match[1])]!)
    at = match.index + match[0].length
  }
  parts.push(text.slice(at))
  return parts
}

/** The types of the time columns that a sub-query may mean: of its own tables every column of a name that it uses. */
function timeTypesIn(select: Select, { tableFacts }: ReadingOptions): string[] {
  const used = new Set<string>()
  const types = new Set<string>()
  walk({ SelectStmt: select }, ({ ColumnRef: column }) => { if (column) used.add(namesOf(column.fields).at(-1) ?? '') })
  walk({ SelectStmt: select }, ({ RangeVar: table }) => {
    const columns = table && tableFacts?.(table.schemaname, table.relname)?.columns
    for (const [name, { type }] of columns ?? []) if (used.has(name)) types.add(type)
  })
  return [...types]
}

/** A sub-query is not looked into as far as conditions are: with time columns it must be one type of them, compared with ISO texts or each other. */
function checkTimes(select: Select, types: readonly (string | undefined)[]): void {
  const [type, other] = new Set(types.filter(isTimeType))
  if (type === undefined) return
  if (type === 'timed') throw new Uncacheable('a sub-query over domains, arrays or ranges of times, which may depend on the session')
  if (other !== undefined) throw new Uncacheable(`a sub-query over ${type} and ${other}, which may depend on the session`)
  walk({ SelectStmt: select }, ({ A_Const: value, A_Expr: operator, FuncCall: call, TypeCast: cast }) => {
    const text = value?.sval?.sval
    const isOdd = (text !== undefined && !isSteadyTime(text, type)) || (operator?.kind === 'AEXPR_OP' && !isComparison(namesOf(operator.name).at(-1)!)) ||
      (call && !isOrderFree(namesOf(call.funcname).at(-1)!)) || cast
    if (isOdd) throw new Uncacheable(`a sub-query over ${type} that may depend on the session`)
  })
}

function checkStable(select: Select, options: ReadingOptions): void {
  walk({ SelectStmt: select }, node => {
    for (const kind of Object.keys(node)) {
      if (/^[A-Z]/.test(kind) && !KNOWN.has(kind)) throw new Uncacheable(`a sub-query with ${kind}`)
    }
    if (node.SelectStmt) checkSelect(node.SelectStmt)
    if (node.FuncCall) {
      const names = namesOf(node.FuncCall.funcname)
      const isFine = options.isFragment || isOrderFree(names.at(-1)!) || volatilityOf(names, options.volatility) === 'immutable'
      if (!isFine || node.FuncCall.over) throw new Uncacheable(`a sub-query with the function ${names.at(-1)!}`, node.FuncCall.location)
    }
    if (node.A_Expr && !namesOf(node.A_Expr.name).every(name => isPlainOperator(name) || name.includes('BETWEEN'))) {
      throw new Uncacheable('a sub-query with an unusual operator', node.A_Expr.location)
    }
    if (node.TypeCast && !isPlainType(namesOf(node.TypeCast.typeName.names).at(-1) ?? '')) throw new Uncacheable('a sub-query with a cast', node.TypeCast.location)
    const literal = node.A_Const?.sval?.sval
    if (literal !== undefined && (/\b(now|today|tomorrow|yesterday)\b/i.test(literal) || literal.includes(MARK))) throw new Uncacheable('a sub-query with an unusual literal')
  })
}

function checkSelect({ limitCount, limitOffset, distinctClause, lockingClause, windowClause, intoClause, withClause, valuesLists, larg, rarg }: Select): void {
  const why = limitCount || limitOffset ? 'LIMIT' : distinctClause?.some(item => Object.keys(item).length > 0) ? 'DISTINCT ON' : lockingClause ? 'row locks'
    : windowClause ? 'window functions' : intoClause ? 'INTO' : withClause ? 'WITH' : valuesLists ? 'VALUES' : undefined
  if (why) throw new Uncacheable(`a sub-query with ${why}`)
  // the walk sees wrapped nodes, and the branches of UNION are bare
  if (larg) checkSelect(larg)
  if (rarg) checkSelect(rarg)
}

/** A table of a sub-query: its new name, and its columns where they are known. */
interface Item { readonly name: string, readonly columns: ReadonlyMap<string, unknown> | undefined, readonly isTable: boolean }

/** The FROM of one SELECT within a sub-query. */
interface Level {
  readonly items: Map<string, Item>
  /** Bare names in GROUP BY and ORDER BY, which may be those of outputs. */
  readonly sorted: ReadonlySet<string>
  readonly parent: Level | undefined
}

function itemOf(name: string, level: Level | undefined): Item | undefined {
  return level && (level.items.get(name) ?? itemOf(name, level.parent))
}

function renameSelect(select: Select, parent: Level | undefined, renaming: Renaming): Select {
  if (select.larg && select.rarg) return { ...select, larg: renameSelect(select.larg, parent, renaming), rarg: renameSelect(select.rarg, parent, renaming) }
  const sorted = new Set<string>()
  walk([select.groupClause ?? [], select.sortClause ?? []], ({ ColumnRef: column }) => { if (column?.fields.length === 1) sorted.add(namesOf(column.fields)[0]!) })
  const level: Level = { items: new Map(), sorted, parent }
  for (const item of select.fromClause ?? []) nameItems(item, level, renaming)
  return renameChildren(select, level, renaming) as Select
}

function nameItems(item: Node, level: Level, renaming: Renaming): void {
  const add = (name: string, alias: Alias | undefined, columns: Item['columns'], isTable: boolean): void => {
    if (alias?.colnames) throw new Uncacheable('renamed columns in a sub-query')
    if (level.items.has(name)) throw new Uncacheable('one name twice in a sub-query')
    level.items.set(name, { name: `s${++renaming.count}`, columns, isTable })
  }
  if (item.RangeVar) {
    const { relname, schemaname, alias } = item.RangeVar
    if (schemaname === undefined && renaming.scope.query(relname)) throw new Uncacheable('a WITH query in a sub-query')
    add(alias?.aliasname ?? relname, alias, renaming.options.tableFacts?.(schemaname, relname)?.columns, true)
  } else if (item.JoinExpr) {
    if (item.JoinExpr.alias || item.JoinExpr.isNatural || item.JoinExpr.usingClause) throw new Uncacheable('a join by column names in a sub-query')
    nameItems(item.JoinExpr.larg, level, renaming)
    nameItems(item.JoinExpr.rarg, level, renaming)
  } else if (item.RangeSubselect?.alias && !item.RangeSubselect.lateral) add(item.RangeSubselect.alias.aliasname, item.RangeSubselect.alias, undefined, false)
  else throw new Uncacheable('an unusual FROM in a sub-query')
}

function renameChildren(value: object, level: Level, renaming: Renaming): unknown {
  if (Array.isArray(value)) return value.map(item => typeof item === 'object' && item !== null ? renameChildren(item as object, level, renaming) : item as unknown)
  const node = value as Node
  if (node.ColumnRef) return renameColumn(node, level, renaming)
  if (node.SelectStmt) return { SelectStmt: renameSelect(node.SelectStmt, level, renaming) }
  if (node.ParamRef) {
    const bound = renaming.options.params[(node.ParamRef.number ?? 0) - 1]
    const literal = bound === undefined ? undefined : parameterLiteral(bound, false)
    if (literal?.k !== 'text') throw new Uncacheable('an unbound parameter in a sub-query', node.ParamRef.location)
    return { A_Const: { sval: { sval: literal.value } } }
  }
  if (node.RangeVar) {
    const { relname, alias } = node.RangeVar
    return { RangeVar: { ...node.RangeVar, alias: { aliasname: level.items.get(alias?.aliasname ?? relname)!.name } } }
  }
  if (node.RangeSubselect?.alias) {
    // it does not see the tables beside it
    const inner = renameSelect(node.RangeSubselect.subquery.SelectStmt!, level.parent, renaming)
    return { RangeSubselect: { ...node.RangeSubselect, subquery: { SelectStmt: inner }, alias: { aliasname: level.items.get(node.RangeSubselect.alias.aliasname)!.name } } }
  }
  return Object.fromEntries(Object.entries(value).map(([name, child]: [string, unknown]) =>
    [name, typeof child === 'object' && child !== null ? renameChildren(child, level, renaming) : child]))
}

function columnOf({ name }: Item, field: Node): Node {
  return { ColumnRef: { fields: [{ String: { sval: name } }, field] } }
}

function renameColumn(node: Node, level: Level, renaming: Renaming): Node {
  const { fields, location } = node.ColumnRef!
  const parts = namesOf(fields)
  if (fields.length === 1) {
    if (fields[0]!.A_Star) return node
    const item = holderOf(parts[0]!, level, location)
    return item ? columnOf(item, fields[0]!) : markOuter(parts, location, renaming)
  }
  const inner = itemOf(parts.at(-2)!, level)
  // a name with a schema means a table without an alias, and the search path may be what gives the inner one its schema
  if (inner && parts.length > 2) throw new Uncacheable('a column with its schema in a sub-query', location)
  // s.f may also be written for f(s)
  if (inner?.columns && !fields[1]!.A_Star && !inner.columns.has(parts[1]!)) throw new Uncacheable(`${parts.join('.')}, which is no column, in a sub-query`, location)
  if (inner) return columnOf(inner, fields[1]!)
  if (fields.some(field => field.A_Star)) throw new Uncacheable('a whole row in a sub-query', location)
  return markOuter(parts, location, renaming)
}

/** The nearest table that has a column named without it; undefined for those around the sub-query. */
function holderOf(column: string, level: Level | undefined, location: number | undefined): Item | undefined {
  if (!level) return undefined
  const items = [...level.items.values()]
  const isKnown = items.every(({ columns }) => columns !== undefined)
  // of one table whose columns nobody knows: were it another's, the text would not run
  const [holder, second] = isKnown ? items.filter(({ columns }) => columns!.has(column)) : items
  if (holder && !second && (isKnown || holder.isTable)) return holder
  if (holder || level.items.has(column) || level.sorted.has(column)) throw new Uncacheable(`${column} of no certain table in a sub-query`, location)
  return holderOf(column, level.parent, location)
}

function markOuter(parts: readonly string[], location: number | undefined, { outer, resolve }: Renaming): Node {
  const column = resolve(parts, location)
  if (column.k !== 'col') throw new Uncacheable('a computed column in a sub-query', location)
  const mark = `${MARK}${outer.push(column) - 1}`
  return { ColumnRef: { fields: [{ String: { sval: mark } }, { String: { sval: column.column } }] } }
}
