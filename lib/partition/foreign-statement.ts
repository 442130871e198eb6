import { UnsupportedQueryError } from '../errors.js'
import { namesOf, walk, type Node, type Select } from '../sql/ast.js'
import { isPureFunction, type ForeignSql } from '../sql/foreign-shape.js'
import { characterAt, parseSelect } from '../sql/grammar.js'
import { foreignText, spellingsOf, type ForeignText } from './foreign-text.js'
import type { ReadingOptions, TableFacts } from './scope.js'

/** Operators that bind, and compare, alike in all three. What a condition may be made of is narrower. */
const OPERATORS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>=', '+', '-', '*', '/', '~~', '!~~', 'BETWEEN', 'NOT BETWEEN'])
/** Over whole numbers their answer does not depend on the order of rows. */
const AGGREGATES: ReadonlySet<string> = new Set(['count', 'min', 'max', 'sum', 'avg'])

/** Types of which equal values are the same value. */
const EXACT: ReadonlySet<string> = new Set(['int8', 'text', 'date', 'uuid'])

function refuse(construct: string, sql: string, location?: number, reason?: string): never {
  const position = characterAt(sql, location)
  throw new UnsupportedQueryError({ construct, ...(position === undefined ? {} : { position }), ...(reason === undefined ? {} : { reason }) })
}

/** The tables of FROM. Joins other than INNER and LEFT, and anything but tables, are refused. */
function tablesOf(select: Select, sql: string): NonNullable<Node['RangeVar']>[] {
  const itemsOf = (item: Node): NonNullable<Node['RangeVar']>[] => {
    const { RangeVar: table, JoinExpr: join } = item
    if (table && table.inh && !table.catalogname && !table.alias?.colnames) return [table]
    // SQLite joins comma and JOIN from left to right, which shows in RIGHT and FULL joins
    const isPlain = join && (join.jointype === 'JOIN_INNER' || join.jointype === 'JOIN_LEFT') && !join.usingClause && !join.isNatural && !join.alias
    if (!isPlain) return refuse(join ? `a join of the kind ${join.isNatural ? 'NATURAL' : join.usingClause ? 'USING' : join.jointype.replace('JOIN_', '')}` : 'something other than a table in FROM', sql, table?.location, 'only tables, INNER and LEFT JOIN … ON are narrowed in this database')
    return [...itemsOf(join.larg), ...itemsOf(join.rarg)]
  }
  return (select.fromClause ?? []).flatMap(itemsOf)
}

function checkNames(tables: readonly NonNullable<Node['RangeVar']>[], text: ForeignText, dialect: ForeignSql): void {
  if (dialect === 'sqlite') return
  for (const { relname, schemaname, alias, location } of tables) {
    for (const name of [relname, schemaname]) {
      const other = name === undefined ? undefined : spellingsOf(text, name).find(spelling => spelling !== name)
      if (other !== undefined) refuse(`the table name ${other}`, text.spelled, location, 'case counts in names of tables: quote it with backticks')
    }
    if (alias && spellingsOf(text, alias.aliasname).length > 1) refuse(`the alias ${alias.aliasname} in several cases`, text.spelled, location)
  }
}

/** Groups whose representative is certain, and aggregates over whole numbers. */
function checkGroups(select: Select, typeOf: (node: Node) => string | undefined, sql: string): void {
  const { distinctClause, groupClause, targetList = [], limitCount, limitOffset, havingClause } = select
  if (havingClause) refuse('HAVING', sql)
  if (!distinctClause && !groupClause) return
  const construct = groupClause ? 'GROUP BY' : 'DISTINCT'
  if (limitCount || limitOffset) refuse(`${construct} with LIMIT`, sql)
  const isInteger = (node: Node): boolean => typeOf(node) === 'int8'
  const isExact = (node: Node): boolean => EXACT.has(typeOf(node) ?? '')
  const keys = (groupClause ?? []).map(item => namesOf(item.ColumnRef?.fields).at(-1))
  const isFine = ({ ResTarget: target }: Node): boolean => {
    const call = target?.val.FuncCall
    if (call) return groupClause !== undefined && AGGREGATES.has(namesOf(call.funcname).join('.')) && !call.over && (call.args ?? []).every(isInteger)
    return target !== undefined && isExact(target.val) && (!groupClause || keys.includes(namesOf(target.val.ColumnRef?.fields).at(-1)))
  }
  if (!targetList.every(isFine) || !(groupClause ?? []).every(isExact)) {
    refuse(construct, sql, undefined, 'which row stands for a group is only certain for columns of whole numbers, days, and texts that compare by their bytes')
  }
}

/** What decides that a query answers, row by row, what PostgreSQL's grammar makes of its text. */
function checkTree(select: Select, sql: string, dialect: ForeignSql): void {
  if (select.withClause) refuse('WITH', sql, select.withClause.location)
  if (select.windowClause) refuse('WINDOW', sql)
  walk(select, ({ A_Expr: operator, FuncCall: call, RangeSubselect: derived }) => {
    if (operator && (operator.kind === 'AEXPR_SIMILAR' || !namesOf(operator.name).every(name => OPERATORS.has(name)))) {
      refuse(`the operator ${namesOf(operator.name).join('.')}`, sql, operator.location, 'it may bind otherwise in this database')
    }
    if (derived) refuse('a sub-query in FROM', sql)
    if (!call) return
    const [name = '', schema] = namesOf(call.funcname).toReversed()
    const isAggregate = schema === undefined && AGGREGATES.has(name) && select.groupClause !== undefined
    if (call.over || (!isAggregate && !isPureFunction(schema, name, dialect))) {
      refuse(`the function ${name}()`, sql, call.location, 'it may give other values each time, or stand for many rows')
    }
  })
}

/**
 * Reads a MySQL or SQLite query: one that PostgreSQL's grammar takes for the same, over tables that the catalogue knows.
 *
 * @throws {UnsupportedQueryError} names what stands in the way
 */
export function parseForeign(sql: string, { dialect, tableFacts }: { dialect: ForeignSql, tableFacts: ReadingOptions['tableFacts'] }): Select {
  const text = foreignText(sql, dialect)
  const { spelled } = text
  const select = parseSelect(spelled)
  if (select.op !== 'SETOP_NONE') refuse(select.op.replace('SETOP_', ''), spelled, undefined, 'a set of partitions holds for one of its branches')
  const tables = tablesOf(select, spelled)
  checkTree(select, spelled, dialect)
  checkNames(tables, text, dialect)
  const facts = tables.map(({ schemaname, relname, alias, location }): [string, TableFacts] => {
    const found = tableFacts?.(schemaname, relname)
    return found ? [alias?.aliasname ?? relname, found] : refuse(`${relname}, which is no table that is known`, spelled, location, 'only tables are known to keep their rows: name those behind it')
  })
  const typeOf = (node: Node): string | undefined => {
    const [column = '', table] = namesOf(node.ColumnRef?.fields).toReversed()
    const types = facts.filter(([name]) => table === undefined || name === table).flatMap(([, { columns }]) => columns.get(column)?.type ?? [])
    return types.length === 1 ? types[0] : undefined
  }
  checkGroups(select, typeOf, spelled)
  return select
}
