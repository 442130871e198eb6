import { namesOf, textOf, walk, type Alias, type Join, type Node, type Select, type SubLink } from '../sql/ast.js'
import type { Expression } from '../sql/expression.js'
import { aggregateOf, volatilityOf, type FunctionVolatility } from '../sql/volatility.js'
import { compared, convert, resolveColumn, type Reading } from './convert.js'
import { checkForeignCondition, type KindOf } from './foreign-condition.js'
import { Scope, tableText, Uncacheable, type Binding, type NamedQuery, type ReadingOptions, type ShapeTable } from './scope.js'

/** A condition that stays out of the fragments. */
export interface LeftOut { readonly reason: string, readonly location: number | undefined }

/** More tables than this are not looked at: the rest of the query still narrows it. */
const MAX_TABLES = 24

const OUTER = 'the nullable side of an outer join'

/** A query taken apart: tables, and conditions that every one of its rows fulfils. */
export interface Flattened {
  readonly tables: readonly ShapeTable[]
  readonly conditions: readonly Expression[]
  readonly leftOut: readonly LeftOut[]
  /** The names of the outermost FROM. */
  readonly scope: Scope
  /** Tables of which a column named like the partition key was read. */
  readonly keyed: ReadonlySet<number>
  readonly reading: Reading
}

interface State {
  readonly tables: ShapeTable[]
  readonly conditions: Expression[]
  readonly leftOut: LeftOut[]
  readonly reading: Reading
  /** FROM items without a name so far. */
  unnamed: number
}

/**
 * Every row of `select` comes from one row of each of the answer's tables, and those rows fulfil the answer's conditions.
 *
 * Views into sub-queries are opened as far as that holds: joins, derived tables, WITH queries, EXISTS and IN. What cannot be
 * opened is left out, so the answer may admit more rows than the query, never fewer.
 */
export function flatten(select: Select, options: ReadingOptions): Flattened {
  const keyed = new Set<number>()
  const tables: ShapeTable[] = []
  const state: State = { tables, conditions: [], leftOut: [], unnamed: 0, reading: { options, tables, onKey: table => { keyed.add(table) }, opaqueKeys: new Set() } }
  const scope = addSelect(select, undefined, state)
  return { ...state, scope, keyed }
}

function addSelect(select: Select, parent: Scope | undefined, state: State): Scope {
  const scope = new Scope(withQueries(select, parent))
  for (const item of select.fromClause ?? []) addItem(item, scope, false, state)
  if (select.whereClause) addCondition(select.whereClause, scope, state)
  return scope
}

function withQueries({ withClause }: Select, parent: Scope | undefined): Scope | undefined {
  if (!withClause) return parent
  let scope = parent
  for (const { CommonTableExpr: query } of withClause.ctes) {
    if (!query) continue
    const inner = new Scope(scope)
    // a WITH query sees those before it; where it may see itself, it is not opened
    const named: NamedQuery = { select: withClause.recursive ? undefined : query.ctequery.SelectStmt,
      columnNames: query.aliascolnames && namesOf(query.aliascolnames), scope: scope ?? new Scope() }
    inner.queries.set(query.ctename, named)
    scope = inner
  }
  return scope
}

/** Whether each row of a sub-query comes from rows of its tables that fulfil its WHERE. */
function canOpen(select: Select, { volatility }: ReadingOptions): boolean {
  const { op, valuesLists, fromClause, groupClause, havingClause } = select
  if (op !== 'SETOP_NONE' || valuesLists || !fromClause) return false
  if (groupClause) return !groupClause.some(item => Object.keys(item)[0] === 'GroupingSet')
  return !havingClause && !mayAggregate(select, volatility)
}

/** An aggregate without GROUP BY answers one row where there are none. A function that nobody knows may be an aggregate. */
function mayAggregate({ targetList, sortClause, distinctClause }: Select, volatility: FunctionVolatility | undefined): boolean {
  let found = false
  walk([targetList ?? [], sortClause ?? [], distinctClause ?? []], node => {
    const call = node.FuncCall
    if (aggregateOf(node) || (call && !call.over && volatilityOf(namesOf(call.funcname), volatility) === 'unknown')) found = true
  })
  return found
}

/** Whether a list of outputs aggregates at its own level. */
export function hasAggregate(nodes: readonly Node[] | undefined): boolean {
  let found = false
  walk(nodes ?? [], node => {
    if (node.SubLink) return false
    if (aggregateOf(node)) found = true
  })
  return found
}

/** Of two tables named alike in different schemas no bare name tells which is meant. */
function bind(name: string, binding: Binding, scope: Scope): void {
  scope.bindings.set(name, scope.bindings.has(name) ? { kind: 'opaque', why: `a column of ${name}, which is in FROM twice` } : binding)
}

function addItem(item: Node, scope: Scope, isNullable: boolean, state: State): void {
  if (item.RangeVar) {
    const { relname, schemaname, catalogname, alias, inh } = item.RangeVar
    const name = alias?.aliasname ?? relname
    const query = schemaname === undefined ? scope.query(relname) : undefined
    if (query) bind(name, derivedTable(query.select, alias ?? undefined, query.columnNames, query.scope, isNullable, state), scope)
    else bind(name, tableBinding({ relname, schemaname, catalogname, alias, isOnly: !inh }, isNullable, state), scope)
  } else if (item.JoinExpr) addJoin(item.JoinExpr, scope, isNullable, state)
  else if (item.RangeSubselect) {
    const { subquery, alias, lateral } = item.RangeSubselect
    const select = lateral ? undefined : subquery.SelectStmt
    bind(alias?.aliasname ?? `unnamed ${++state.unnamed}`, derivedTable(select, alias, undefined, scope.parent, isNullable, state), scope)
  } else {
    const alias = item.RangeFunction?.alias?.aliasname
    bind(alias ?? `unnamed ${++state.unnamed}`, { kind: 'opaque', why: 'a column of a function in FROM' }, scope)
  }
}

function tableBinding({ relname, schemaname, catalogname, alias, isOnly }: { relname: string, schemaname: string | undefined, catalogname: string | undefined,
  alias: Alias | undefined, isOnly: boolean }, isNullable: boolean, { tables }: State): Binding {
  if (isNullable) return { kind: 'opaque', why: OUTER }
  if (catalogname !== undefined || alias?.colnames) return { kind: 'opaque', why: 'a table with renamed columns' }
  if (tables.length === MAX_TABLES) return { kind: 'opaque', why: `a table beyond the first ${MAX_TABLES}` }
  tables.push({ name: relname, schema: schemaname, text: `${isOnly ? 'ONLY ' : ''}${tableText(schemaname, relname)}` })
  return { kind: 'table', table: tables.length - 1, schema: alias ? undefined : schemaname }
}

function derivedTable(select: Select | undefined, alias: Alias | undefined, columnNames: readonly string[] | undefined, parent: Scope | undefined,
  isNullable: boolean, state: State): Binding {
  if (isNullable) return { kind: 'opaque', why: OUTER }
  if (!select || !canOpen(select, state.reading.options)) return { kind: 'opaque', why: 'a column of a sub-query that cannot be opened' }
  const scope = addSelect(select, parent, state)
  const aliased = namesOf(alias?.colnames)
  const renamed = [...aliased, ...(columnNames ?? []).slice(aliased.length)]
  const columns = new Map<string, Node>()
  const stars: string[] = []
  for (const { ResTarget: target } of select.targetList ?? []) {
    const fields = target?.val.ColumnRef?.fields
    if (fields?.at(-1)?.A_Star) {
      if (renamed.length > 0) return { kind: 'opaque', why: 'a sub-query with renamed columns' }
      stars.push(...(fields.length === 1 ? scope.bindings.keys() : fields.length === 2 ? [textOf(fields[0])!] : ['']))
    } else if (target) {
      const name = renamed.length > 0 ? renamed.shift() : target.name ?? textOf(fields?.at(-1))
      if (name !== undefined) columns.set(name, target.val)
    }
  }
  return stars.every(star => scope.bindings.has(star)) ? { kind: 'derived', scope, columns, stars } : { kind: 'opaque', why: 'a sub-query of unclear columns' }
}

function addJoin(join: Join, scope: Scope, isNullable: boolean, state: State): void {
  const { jointype, larg, rarg, quals, alias } = join
  // ON and USING see the names of their own join, and those around the query
  const [left, right, both] = [new Scope(scope.parent), new Scope(scope.parent), new Scope(scope.parent)]
  addItem(larg, left, isNullable || jointype === 'JOIN_RIGHT' || jointype === 'JOIN_FULL', state)
  addItem(rarg, right, isNullable || jointype === 'JOIN_LEFT' || jointype === 'JOIN_FULL', state)
  adopt(left, both)
  adopt(right, both)
  const isInner = jointype === 'JOIN_INNER' && !isNullable
  mergeColumns(join, left, right, both, isInner, state)
  if (quals && isInner) addCondition(quals, both, state)
  // the names within a named join cannot be used outside of it
  if (alias) bind(alias.aliasname, { kind: 'opaque', why: 'a column of a named join' }, scope)
  else adopt(both, scope)
}

/** Makes the names of one part of FROM those of the whole. */
function adopt(part: Scope, whole: Scope): void {
  for (const [name, binding] of part.bindings) bind(name, binding, whole)
  for (const [column, name] of part.merged) whole.merged.set(column, whole.merged.has(column) ? undefined : name)
}

/** USING and NATURAL. */
function mergeColumns({ jointype, isNatural, usingClause }: Join, left: Scope, right: Scope, both: Scope, isInner: boolean, state: State): void {
  const columns = isNatural ? commonColumns(left, right, state) : namesOf(usingClause)
  if (!columns) {
    state.leftOut.push({ reason: 'NATURAL JOIN of tables whose columns are not known', location: undefined })
    return
  }
  for (const column of columns) {
    const [from, to] = [holderOf(column, left, state), holderOf(column, right, state)]
    if (isInner) {
      attempt(() => {
        if (from === undefined || to === undefined) throw new Uncacheable(`USING (${column}) among several tables`)
        const resolve = (name: string) => resolveColumn([name, column], both, state.reading)
        state.conditions.push(compared('=', resolve(from), resolve(to), state.reading))
      }, state)
    }
    both.merged.set(column, jointype === 'JOIN_RIGHT' ? to : jointype === 'JOIN_FULL' ? undefined : from)
  }
}

function factsOf(name: string, scope: Scope, { tables, reading }: State) {
  const binding = scope.bindings.get(name)
  if (binding?.kind !== 'table') return undefined
  const { schema, name: table } = tables[binding.table]!
  return reading.options.tableFacts?.(schema, table)
}

/** The name by which one side of a join has a column; undefined where that is not certain. */
function holderOf(column: string, side: Scope, state: State): string | undefined {
  if (side.merged.has(column)) return side.merged.get(column)
  const names = [...side.bindings.keys()]
  if (names.length === 1) return names[0]
  const facts = names.map(name => factsOf(name, side, state))
  const holders = names.filter((_, i) => facts[i]?.columns.has(column))
  return facts.every(fact => fact !== undefined) && holders.length === 1 ? holders[0] : undefined
}

function commonColumns(left: Scope, right: Scope, state: State): string[] | undefined {
  const columnsOf = (side: Scope): Set<string> | undefined => {
    const facts = [...side.bindings.keys()].map(name => factsOf(name, side, state))
    return facts.includes(undefined) ? undefined : new Set(facts.flatMap(fact => [...fact!.columns.keys()]))
  }
  const [a, b] = [columnsOf(left), columnsOf(right)]
  return a && b && [...a].filter(column => b.has(column))
}

function attempt(action: () => void, { leftOut, reading }: State): void {
  try {
    action()
  } catch (error) {
    if (!(error instanceof Uncacheable) || reading.options.isFragment) throw error
    leftOut.push({ reason: error.reason, location: error.location })
  }
}

/** A column's kind, as the catalogue tells it. */
function kindOf(column: Expression, { tables, reading }: State): ReturnType<KindOf> {
  if (column.k !== 'col') return { name: 'of a sub-query', kind: undefined }
  const { schema, name } = tables[column.table]!
  return { name: column.column, kind: reading.options.tableFacts?.(schema, name)?.columns.get(column.column)?.kind }
}

function addCondition(node: Node, scope: Scope, state: State): void {
  if (node.BoolExpr?.boolop === 'AND_EXPR') {
    for (const arg of node.BoolExpr.args) addCondition(arg, scope, state)
  } else if (state.reading.options.dialect) {
    attempt(() => {
      checkForeignCondition(node, column => kindOf(convert(column, scope, state.reading), state))
      state.conditions.push(convert(node, scope, state.reading))
    }, state)
  } else if (!node.SubLink || !openSublink(node.SubLink, scope, state)) {
    attempt(() => { state.conditions.push(convert(node, scope, state.reading)) }, state)
  }
}

/** EXISTS (…) and x IN (…) are joins, as long as only "is there one" is asked. */
function openSublink({ subLinkType, testexpr, operName, subselect }: SubLink, scope: Scope, state: State): boolean {
  const select = subselect.SelectStmt
  if (!select) return false
  if (subLinkType === 'EXISTS_SUBLINK') {
    if (!canOpen(select, state.reading.options)) return false
    addSelect(select, scope, state)
    return true
  }
  const isMember = subLinkType === 'ANY_SUBLINK' && (operName === undefined || namesOf(operName).join('.') === '=')
  return isMember && testexpr !== undefined && openMembership(testexpr, select, scope, state)
}

function openMembership(testexpr: Node, select: Select, scope: Scope, state: State): boolean {
  if (select.op === 'SETOP_INTERSECT' && select.larg && select.rarg && !select.withClause) {
    if (!canOpenMembers(testexpr, select, state.reading.options)) return false
    return openMembership(testexpr, select.larg, scope, state) && openMembership(testexpr, select.rarg, scope, state)
  }
  if (!canOpenMembers(testexpr, select, state.reading.options)) return false
  const inner = addSelect(select, scope, state)
  const tests = testexpr.RowExpr?.args ?? [testexpr]
  for (const [i, { ResTarget: target }] of (select.targetList ?? []).entries()) {
    attempt(() => { state.conditions.push(compared('=', convert(tests[i]!, scope, state.reading), convert(target!.val, inner, state.reading), state.reading)) }, state)
  }
  return true
}

function canOpenMembers(testexpr: Node, select: Select, options: ReadingOptions): boolean {
  if (select.op === 'SETOP_INTERSECT' && select.larg && select.rarg) return canOpenMembers(testexpr, select.larg, options) && canOpenMembers(testexpr, select.rarg, options)
  const width = testexpr.RowExpr?.args?.length ?? 1
  const targets = select.targetList ?? []
  return canOpen(select, options) && targets.length === width && !targets.some(({ ResTarget: target }) => target?.val.ColumnRef?.fields.some(field => field.A_Star))
}
