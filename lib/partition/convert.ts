import { namesOf, walk, type FunctionCall, type Node, type OperatorExpression, type Select, type SubLink, type TypeName } from '../sql/ast.js'
import { canonicalNumber } from '../sql/decimal.js'
import { isComparison, isLiteral, type Comparison, type Expression, type Literal } from '../sql/expression.js'
import { areAlike, comparison, conjunction, disjunction, isPlainMember, isPlainText, membership, negation, nullTest, operation } from '../sql/normal-form.js'
import { quoteIdentifier } from '../sql/quote.js'
import { isPlainOperator, isPlainType, volatilityOf } from '../sql/volatility.js'
import { TEXT_TYPES } from './key-types.js'
import { parameterLiteral } from './parameter.js'
import { isSteadyComparison, isSteadyTime, isTimeType, timeTypeOf } from './times.js'
import { tableText, Uncacheable, type Binding, type ReadingOptions, type Scope, type ShapeTable } from './scope.js'
import { printSubquery } from './subquery.js'

/** Where expressions are read. */
export interface Reading {
  readonly options: ReadingOptions
  readonly tables: readonly ShapeTable[]
  /** Told of every column that is named like the partition key. */
  onKey(table: number): void
  /** Names that cannot be looked into, of which the partition key was read. */
  readonly opaqueKeys: Set<Binding>
}

/** Columns that name a row's place or writer, not its content. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])

/** Types of which neither is true: a row value is NULL or NOT NULL; a shape is less than, or at least, another. */
const UNORDERLY: ReadonlySet<string> = new Set(['composite', 'box', 'circle', 'lseg', 'line', 'path', 'polygon'])

/** Literals that mean another moment every day. */
const MOVING_TIME = /\b(now|today|tomorrow|yesterday)\b/i

/** Literals of these types are read the same in every session. */
const LITERAL_TYPES: ReadonlySet<string> = new Set(['text', 'varchar', 'bpchar', 'name', 'char', 'json', 'jsonb', 'inet', 'cidr', 'macaddr', 'bytea', 'bit', 'varbit',
  'point', 'box', 'int4range', 'int8range', 'numrange'])

/** A column by the names it is given. @throws {Uncacheable} which table it belongs to is not certain */
export function resolveColumn(names: readonly string[], scope: Scope, reading: Reading, location?: number): Expression {
  const column = names.at(-1)!
  if (SYSTEM_COLUMNS.has(column)) throw new Uncacheable(`the system column ${column}`, location)
  if (names.length === 1) return unqualifiedColumn(column, scope, reading, location)
  const binding = scope.find(names.at(-2)!)
  const isOther = names.length > 2 && binding?.kind !== 'opaque' && (binding?.kind !== 'table' || binding.schema !== names.at(-3))
  if (!binding || isOther || names.length > 3) throw new Uncacheable(`a column of ${names.slice(0, -1).join('.')}, which is not in FROM`, location)
  return columnOf(binding, column, reading, location)
}

function columnOf(binding: Binding, column: string, reading: Reading, location?: number): Expression {
  switch (binding.kind) {
    case 'opaque':
      if (column === reading.options.partitionKey) reading.opaqueKeys.add(binding)
      throw new Uncacheable(binding.why, location)
    case 'table': {
      const facts = factsOf(binding.table, reading)
      // p.f may also be written for f(p)
      if (facts && !facts.columns.has(column)) throw new Uncacheable(`${column}, which is no column of ${reading.tables[binding.table]!.text}`, location)
      if (column === reading.options.partitionKey) reading.onKey(binding.table)
      if (UNORDERLY.has(facts?.columns.get(column)?.type ?? '')) throw new Uncacheable(`${column}, whose comparisons contradict each other`, location)
      return { k: 'col', table: binding.table, column }
    }
    case 'derived': {
      const node = binding.columns.get(column)
      if (node) return convert(node, binding.scope, reading)
      const [star, other] = binding.stars
      if (star === undefined || other !== undefined) throw new Uncacheable(`${column} of a sub-query, of no certain table`, location)
      return columnOf(binding.scope.bindings.get(star)!, column, reading, location)
    }
  }
}

function unqualifiedColumn(column: string, scope: Scope, reading: Reading, location?: number): Expression {
  if (scope.merged.has(column)) {
    const merged = scope.merged.get(column)
    if (merged === undefined) throw new Uncacheable(`${column}, which USING names of no certain table`, location)
    return columnOf(scope.bindings.get(merged)!, column, reading, location)
  }
  const own = [...scope.bindings]
  const facts = own.map(([, binding]) => binding.kind === 'table' ? factsOf(binding.table, reading) : undefined)
  const isKnown = facts.every(fact => fact !== undefined)
  const [holder, second] = isKnown ? own.filter((_, i) => facts[i]!.columns.has(column)) : own
  if (holder && !second) {
    if (!isKnown && holder[0] === column) throw new Uncacheable(`${column}, which may be a whole row`, location)
    return columnOf(holder[1], column, reading, location)
  }
  if (holder || scope.bindings.has(column) || !scope.parent) throw new Uncacheable(`the column ${column} of no certain table`, location)
  return unqualifiedColumn(column, scope.parent, reading, location)
}

function factsOf(table: number, { tables, options }: Reading) {
  const { schema, name } = tables[table]!
  return options.tableFacts?.(schema, name)
}

/** A parse tree as an expression. @throws {Uncacheable} it may answer differently at another time, or is not understood */
export function convert(node: Node, scope: Scope, reading: Reading): Expression {
  if (node.ColumnRef) {
    const { fields, location } = node.ColumnRef
    if (fields.some(field => field.A_Star)) throw new Uncacheable('a whole row', location)
    return resolveColumn(namesOf(fields), scope, reading, location)
  }
  if (node.A_Const) return constant(node, false)
  if (node.ParamRef) return parameter(node, reading, false)
  if (node.A_Expr) return operator(node.A_Expr, scope, reading)
  if (node.BoolExpr) {
    const args = node.BoolExpr.args.map(arg => convert(arg, scope, reading))
    return node.BoolExpr.boolop === 'NOT_EXPR' ? negation(args[0]!) : node.BoolExpr.boolop === 'AND_EXPR' ? conjunction(args) : disjunction(args)
  }
  if (node.NullTest) return nullTest(notRow(node.NullTest.arg, scope, reading), node.NullTest.nulltesttype === 'IS_NOT_NULL')
  if (node.BooleanTest) {
    return form('(', convert(node.BooleanTest.arg, scope, reading), ` ${node.BooleanTest.booltesttype.replaceAll('_', ' ')})`)
  }
  if (node.FuncCall) return call(node.FuncCall, scope, reading)
  if (node.TypeCast) return cast(node.TypeCast.arg, node.TypeCast.typeName, scope, reading, node.TypeCast.location)
  if (node.CoalesceExpr) return listForm('COALESCE', node.CoalesceExpr.args, scope, reading)
  if (node.MinMaxExpr) return listForm(node.MinMaxExpr.op === 'IS_GREATEST' ? 'GREATEST' : 'LEAST', node.MinMaxExpr.args, scope, reading)
  if (node.CaseExpr) {
    const { arg, args, defresult } = node.CaseExpr
    const whens = args.flatMap(({ CaseWhen: when }) => when
      ? [' WHEN ', convert(when.expr, scope, reading), ' THEN ', convert(when.result, scope, reading)] : [])
    return formOf(reading, '(CASE', ...(arg ? [' ', convert(arg, scope, reading)] : []), ...whens,
      ...(defresult ? [' ELSE ', convert(defresult, scope, reading)] : []), ' END)')
  }
  if (node.SubLink) return sublink(node.SubLink, scope, reading)
  if (node.SQLValueFunction) throw new Uncacheable(`${node.SQLValueFunction.op.replace('SVFOP_', '').toLowerCase()}, which changes`, node.SQLValueFunction.location)
  throw new Uncacheable(`an expression of the kind ${Object.keys(node)[0] ?? 'nothing'}`)
}

function notRow(node: Node, scope: Scope, reading: Reading): Expression {
  if (node.RowExpr) throw new Uncacheable('a row value')
  return convert(node, scope, reading)
}

function form(...parts: (string | Expression)[]): Expression {
  return { k: 'form', parts }
}

/** A form over values that are not compared. */
function formOf(reading: Reading, ...parts: (string | Expression)[]): Expression {
  checkParts(parts, reading)
  return form(...parts)
}

function listForm(name: string, nodes: readonly Node[], scope: Scope, reading: Reading): Expression {
  const args = nodes.map(arg => convert(arg, scope, reading))
  return formOf(reading, `${name}(`, ...args.flatMap((arg, i) => i === 0 ? [arg] : [', ', arg]), ')')
}

function constant({ A_Const: value }: Node, isCompared: boolean): Expression {
  const { ival, fval, sval, boolval, isnull, location } = value!
  if (isnull) return { k: 'null' }
  if (boolval) return { k: 'bool', value: boolval.boolval ?? false }
  if (ival || fval) {
    const written = fval?.fval ?? String(ival?.ival ?? 0)
    const text = canonicalNumber(written)
    if (text === undefined) throw new Uncacheable('a number of unusual form', location)
    // 2.0 is no 2 but where it is compared: x / 2.0 is another division than x / 2
    return isCompared || /^-?\d+$/.test(written) ? { k: 'num', text } : form(written.startsWith('-') ? `(${written})` : written)
  }
  if (!sval) throw new Uncacheable('a bit string', location)
  return { k: 'text', value: checkTime(sval.sval ?? '', location) }
}

function checkTime(value: string, location?: number): string {
  if (MOVING_TIME.test(value)) throw new Uncacheable(`the literal '${value}', which may mean another day`, location)
  return value
}

/** A parameter's value. In a fragment's own text there are none. */
function parameter({ ParamRef: ref }: Node, { options }: Reading, isCompared: boolean): Expression {
  const value = options.params[(ref!.number ?? 0) - 1]
  if (value === undefined) throw new Uncacheable(`the unbound parameter $${ref!.number ?? 0}`, ref!.location)
  const literal = parameterLiteral(value, isCompared)
  if (literal.k === 'text') checkTime(literal.value, ref!.location)
  return literal
}

/** The type of a column, where it is known. */
function typeOf(value: Expression, reading: Reading): string | undefined {
  return value.k === 'col' ? factsOf(value.table, reading)?.columns.get(value.column)?.type : undefined
}

/** Where column types are known: comparisons that another session may read otherwise stay out. */
function checkSession(arg: Expression, values: readonly Expression[], reading: Reading, location?: number): void {
  if (!reading.options.tableFacts) return
  const type = typeOf(arg, reading)
  // the original compares them as texts, in a form that only its driver knows
  if (TEXT_TYPES.has(type ?? '') && values.some(value => value.k === 'num')) throw new Uncacheable('a text compared with a number', location)
  const isSteady = values.every(value => isSteadyComparison(arg, type, value, typeOf(value, reading)) && isSteadyComparison(value, typeOf(value, reading), arg, type))
  if (!isSteady) throw new Uncacheable(`a comparison with ${type ?? 'a time'} that depends on the session`, location)
}

/** A parameter that meets a text is one, whatever the caller bound; a literal that is a number would not be compared at all. */
function meets(value: Expression, other: Expression, node: Node, reading: Reading): Expression {
  return value.k === 'num' && node.ParamRef && TEXT_TYPES.has(typeOf(other, reading) ?? '') ? parameter(node, reading, false) : value
}

/** Time columns and time literals within other expressions meet casts and arithmetic that a session decides. */
function checkParts(parts: readonly (string | Expression | undefined)[], reading: Reading): void {
  if (!reading.options.tableFacts) return
  for (const part of parts) {
    const type = part === undefined || typeof part === 'string' ? undefined : typeOf(part, reading) ?? timeTypeOf(part)
    if (isTimeType(type)) throw new Uncacheable(`an expression over ${type}, which may depend on the session`)
  }
}

/** A side of a comparison. */
function side(node: Node, scope: Scope, reading: Reading): Expression {
  return node.ParamRef ? parameter(node, reading, true) : node.A_Const ? constant(node, true) : convert(node, scope, reading)
}

function operator(node: OperatorExpression, scope: Scope, reading: Reading): Expression {
  const [name = '', schema] = namesOf(node.name).toReversed()
  const { kind, lexpr, rexpr, location } = node
  if (schema !== undefined && schema !== 'pg_catalog') throw new Uncacheable(`an operator of the schema ${schema}`, location)
  switch (kind) {
    case 'AEXPR_IN': return inList(lexpr!, rexpr?.List?.items ?? [], name === '<>', scope, reading)
    case 'AEXPR_OP_ANY': case 'AEXPR_OP_ALL': {
      const negated = kind === 'AEXPR_OP_ALL'
      if (name !== (negated ? '<>' : '=')) throw new Uncacheable(`${name} with ${negated ? 'ALL' : 'ANY'}`, location)
      return inArray(lexpr!, rexpr!, negated, scope, reading)
    }
    case 'AEXPR_BETWEEN': case 'AEXPR_NOT_BETWEEN': case 'AEXPR_BETWEEN_SYM': case 'AEXPR_NOT_BETWEEN_SYM': {
      const value = convert(lexpr!, scope, reading)
      const [low, high] = (rexpr?.List?.items ?? []).map(item => meets(side(item, scope, reading), value, item, reading)) as [Expression, Expression]
      checkSession(value, [low, high], reading, location)
      const within = (from: Expression, to: Expression) => conjunction([comparison('>=', value, from), comparison('<=', value, to)])
      const inside = kind.endsWith('SYM') ? disjunction([within(low, high), within(high, low)]) : within(low, high)
      return kind.includes('NOT') ? negation(inside) : inside
    }
    case 'AEXPR_DISTINCT': case 'AEXPR_NOT_DISTINCT':
      return formOf(reading, '(', convert(lexpr!, scope, reading), ` IS ${kind === 'AEXPR_DISTINCT' ? '' : 'NOT '}DISTINCT FROM `, convert(rexpr!, scope, reading), ')')
    case 'AEXPR_NULLIF': return listForm('NULLIF', [lexpr!, rexpr!], scope, reading)
    case 'AEXPR_OP': case 'AEXPR_LIKE': case 'AEXPR_ILIKE': case 'AEXPR_SIMILAR': break
    default: throw new Uncacheable(`an expression of the kind ${kind}`, location)
  }
  if (isComparison(name) && lexpr) return compare(name, lexpr, rexpr!, scope, reading, location)
  if (!isPlainOperator(name) && !reading.options.isFragment) throw new Uncacheable(`the operator ${name}`, location)
  const left = lexpr && convert(lexpr, scope, reading)
  const right = convert(rexpr!, scope, reading)
  const hasInterval = (name === '+' || name === '-') && [left, right].some(arg => arg?.k === 'text' && !/^[+-]?[\d.]+$/.test(arg.value))
  if (hasInterval) throw new Uncacheable('arithmetic with an interval or a date', location)
  checkParts([left, right], reading)
  return operation(OPERATOR_WORDS[name] ?? name, left, right)
}

const OPERATOR_WORDS: Record<string, string> = { '~~': 'LIKE', '!~~': 'NOT LIKE', '~~*': 'ILIKE', '!~~*': 'NOT ILIKE' }

/** A comparison of two expressions. @throws {Uncacheable} it may be another in another session */
export function compared(op: Comparison, left: Expression, right: Expression, reading: Reading, location?: number): Expression {
  checkSession(left, [right], reading, location)
  return comparison(op, left, right)
}

function compare(op: Comparison, lexpr: Node, rexpr: Node, scope: Scope, reading: Reading, location?: number): Expression {
  if (!lexpr.RowExpr && !rexpr.RowExpr) {
    const [left, right] = [side(lexpr, scope, reading), side(rexpr, scope, reading)]
    return compared(op, meets(left, right, lexpr, reading), meets(right, left, rexpr, reading), reading, location)
  }
  const [left, right] = [lexpr.RowExpr?.args ?? [], rexpr.RowExpr?.args ?? []]
  if ((op !== '=' && op !== '<>') || left.length !== right.length || left.length === 0) throw new Uncacheable('a comparison of rows', location)
  const equal = conjunction(left.map((one, i) => compared('=', side(one, scope, reading), side(right[i]!, scope, reading), reading, location)))
  return op === '=' ? equal : negation(equal)
}

function inList(lexpr: Node, items: readonly Node[], negated: boolean, scope: Scope, reading: Reading): Expression {
  if (lexpr.RowExpr) {
    const any = disjunction(items.map(item => compare('=', lexpr, item, scope, reading)))
    return negated ? negation(any) : any
  }
  const arg = convert(lexpr, scope, reading)
  const values = items.map(item => meets(side(item, scope, reading), arg, item, reading))
  checkSession(arg, values, reading)
  return members(arg, values, negated)
}

function members(arg: Expression, values: readonly Expression[], negated: boolean): Expression {
  // x NOT IN (…, NULL) is never true, x IN (…, NULL) as if NULL were not there
  if (negated && values.some(value => value.k === 'null')) return { k: 'null' }
  const present = values.filter(value => value.k !== 'null')
  if (present.every(isLiteral)) {
    if (!areAlike(present)) throw new Uncacheable('a list of literals of several types, whose common type decides')
    return membership(arg, present.length === 1 && values.length > 1 ? [...present, ...present] : present, negated)
  }
  const parts = present.map(value => comparison(negated ? '<>' : '=', arg, value))
  return negated ? conjunction(parts) : disjunction(parts)
}

const INTEGER_ARRAYS: ReadonlySet<string> = new Set(['int2', 'int4', 'int8'])

function inArray(lexpr: Node, rexpr: Node, negated: boolean, scope: Scope, reading: Reading): Expression {
  const cast = rexpr.TypeCast
  const inner = cast?.arg ?? rexpr
  const type = cast && namesOf(cast.typeName.names).at(-1)
  if (cast && !cast.typeName.arrayBounds) throw new Uncacheable('ANY of something other than an array', cast.location)
  if (!cast && inner.A_ArrayExpr) {
    const items = inner.A_ArrayExpr.elements ?? []
    // an array has a type of its own, a list takes that of what it is compared with
    const isPlain = items.every(item => !item.A_Const || (item.A_Const.fval === undefined && item.A_Const.ival === undefined) || isPlainMember(constant(item, true) as Literal))
    if (!isPlain) throw new Uncacheable('an array of numbers that single precision does not hold')
    const texts = items.map(item => side(item, scope, reading)).flatMap(item => item.k === 'text' ? [item.value] : [])
    const compared = typeOf(convert(lexpr, scope, reading), reading)
    if (!texts.every(isPlainText) || (texts.length > 0 && compared !== undefined && !TEXT_TYPES.has(compared))) {
      throw new Uncacheable('an array of texts, which a list could take for other values')
    }
    return inList(lexpr, items, negated, scope, reading)
  }
  const arg = convert(lexpr, scope, reading)
  const value = inner.ParamRef ? reading.options.params[(inner.ParamRef.number ?? 0) - 1] : undefined
  if (Array.isArray(value) && (!type || INTEGER_ARRAYS.has(type))) {
    if (type && !value.every(item => item === null || Number.isInteger(item) || typeof item === 'bigint')) throw new Uncacheable(`an array of ${type} with other values`)
    const values = value.map(item => type && item !== null ? { k: 'num', text: String(item) } as const : parameterLiteral(item, true))
    checkSession(arg, values, reading)
    return members(arg, values, negated)
  }
  const text = inner.A_Const?.sval?.sval
  if (text !== undefined && /^\{(-?\d+(,-?\d+)*)?\}$/.test(text) && (!type || INTEGER_ARRAYS.has(type))) {
    const items = text === '{}' ? [] : text.slice(1, -1).split(',')
    // without a cast the items are of the column's type: numbers only where that is known to be an integer's
    const areNumbers = type !== undefined || INTEGER_ARRAYS.has(typeOf(arg, reading) ?? '')
    const values = items.map(item => areNumbers ? { k: 'num', text: canonicalNumber(item)! } as const : { k: 'text', value: item } as const)
    checkSession(arg, values, reading)
    return members(arg, values, negated)
  }
  throw new Uncacheable('an array that is not written out', cast?.location)
}

function call(node: FunctionCall, scope: Scope, reading: Reading): Expression {
  const names = namesOf(node.funcname)
  const { volatility, isFragment } = reading.options
  const known = isFragment ? 'immutable' : volatilityOf(names, volatility)
  const name = names.filter((part, i) => i > 0 || part !== 'pg_catalog').join('.')
  if (known === 'set') throw new Uncacheable(`the function ${name}, which answers rows`, node.location)
  if (known !== 'immutable') throw new Uncacheable(`the function ${name}, ${known === 'unknown' ? 'not known to be immutable' : `which is ${known}`}`, node.location)
  if (node.agg_star || node.agg_filter || node.agg_order || node.agg_distinct || node.agg_within_group || node.over || node.func_variadic) {
    throw new Uncacheable(`the call of ${name} as an aggregate or window function`, node.location)
  }
  const printed = names.filter((part, i) => i > 0 || part !== 'pg_catalog').map(quoteIdentifier).join('.')
  return listForm(printed, node.args ?? [], scope, reading)
}

function cast(arg: Node, typeName: TypeName, scope: Scope, reading: Reading, location?: number): Expression {
  const [type = '', schema] = namesOf(typeName.names).toReversed()
  const isSimple = !typeName.arrayBounds && !typeName.setof && !typeName.pct_type && (schema === undefined || schema === 'pg_catalog')
  if (!isSimple) throw new Uncacheable(`a cast to ${type}${typeName.arrayBounds ? '[]' : ''}`, location)
  const modifiers = (typeName.typmods ?? []).map(modifier => modifier.A_Const?.ival ? modifier.A_Const.ival.ival ?? 0 : undefined)
  if (modifiers.includes(undefined)) throw new Uncacheable(`a cast to ${type} with unusual modifiers`, location)
  const target = quoteIdentifier(type) + (modifiers.length > 0 ? `(${modifiers.join(', ')})` : '')
  const value = convert(arg, scope, reading)
  if (type === 'bool' && value.k === 'text' && /^[tf]$/.test(value.value)) return { k: 'bool', value: value.value === 't' }
  if (value.k === 'text' && value.type === undefined) {
    const isCertain = isPlainType(type) || LITERAL_TYPES.has(type) || ((type === 'date' || type === 'timestamp' || type === 'timestamptz') && isSteadyTime(value.value, type))
    if (isCertain) return { ...value, type: target }
  }
  if (!isPlainType(type)) throw new Uncacheable(`a cast to ${type}, which may depend on the session`, location)
  return formOf(reading, 'CAST(', value, ` AS ${target})`)
}

function sublink({ subLinkType, testexpr, operName, subselect, location }: SubLink, scope: Scope, reading: Reading): Expression {
  const select = subselect.SelectStmt
  const names = namesOf(operName)
  if (!select) throw new Uncacheable('a sub-query of unusual form', location)
  if (testexpr?.RowExpr) throw new Uncacheable('a row compared with a sub-query', location)
  const tested = testexpr && convert(testexpr, scope, reading)
  const typesAround = tested ? [typeOf(tested, reading) ?? timeTypeOf(tested)] : []
  const inner = ['(', ...printSubquery(select, scope, { options: reading.options, typesAround, typeOfOuter: column => typeOf(column, reading) },
    (names, at) => resolveColumn(names, scope, reading, at)), ')']
  const tables = tablesOf(select)
  const subqueryForm = (...parts: (string | Expression)[]): Expression => ({ k: 'form', parts, tables })
  const operand = (): Expression => {
    if (!tested) throw new Uncacheable('a sub-query of unusual form', location)
    return tested
  }
  if (names.length > 0 && !isComparison(names.at(-1)!)) throw new Uncacheable(`the operator ${names.at(-1)!} with a sub-query`, location)
  switch (subLinkType) {
    case 'EXISTS_SUBLINK': return subqueryForm('EXISTS ', ...inner)
    case 'ANY_SUBLINK': return subqueryForm('(', operand(), names.length === 0 ? ' IN ' : ` ${names.at(-1)!} ANY `, ...inner, ')')
    case 'ALL_SUBLINK': return subqueryForm('(', operand(), ` ${names.at(-1)!} ALL `, ...inner, ')')
    case 'EXPR_SUBLINK': return subqueryForm(...inner)
    default: throw new Uncacheable('a sub-query of unusual form', location)
  }
}

function tablesOf(select: Select): string[] {
  const tables = new Set<string>()
  walk(select, ({ RangeVar: table }) => { if (table) tables.add(tableText(table.schemaname, table.relname)) })
  return [...tables]
}
