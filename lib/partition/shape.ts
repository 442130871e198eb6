import { UnsupportedQueryError } from '../errors.js'
import { isDistinctOn, namesOf, walk, type Node, type Select } from '../sql/ast.js'
import { eachColumn, type ColumnExpression, type Expression } from '../sql/expression.js'
import { characterAt, parseSelect } from '../sql/grammar.js'
import { conditionsOf, isPlainMember, isPlainText, keyOf } from '../sql/normal-form.js'
import { aggregateOf, orderShownBy, volatilityOf } from '../sql/volatility.js'
import { resolveColumn } from './convert.js'
import { flatten, hasAggregate, type Flattened } from './flatten.js'
import { parseForeign } from './foreign-statement.js'
import { TEXT_TYPES } from './key-types.js'
import { Uncacheable, type ReadingOptions, type ShapeTable } from './scope.js'

/** A condition of a query, and the tables it speaks of. */
export interface Condition {
  readonly expression: Expression
  /** One bit per table. */
  readonly mask: number
  /** 'tie': two tables have the same key; 'key': says something of the key alone, so of every tied table; 'plain': the rest. */
  readonly kind: 'tie' | 'key' | 'plain'
}

/** A query as the partition cache sees it. */
export interface QueryShape {
  readonly select: Select
  readonly tables: readonly ShapeTable[]
  readonly conditions: readonly Condition[]
  readonly leftOut: readonly { readonly reason: string, readonly position: number | undefined }[]
  /** Where the restriction goes: a column by names that the query's WHERE can use. `table` is the one behind it. */
  readonly anchor: { readonly alias: string, readonly column: string, readonly table: number }
  /** The base tables among the names of FROM. */
  readonly aliases: ReadonlyMap<string, number>
  /** Tables tied by the key, and the column that holds it in each. */
  readonly keyColumns: ReadonlyMap<number, string>
  /** Every column that is equal to the key. */
  readonly tied: readonly ColumnExpression[]
  /** Whether the key columns are known to read a quoted literal alike. */
  readonly areKeysAlike: boolean
  /** Whether rows without a key can be in the answer. */
  readonly isNullable: boolean
  /** Why the query's answer is not certain even without narrowing, so that narrowing it could show. */
  readonly hazard: { readonly construct: string, readonly position: number | undefined } | undefined
}

function refuse(construct: string, sql: string, location?: number, reason?: string): never {
  const position = characterAt(sql, location)
  throw new UnsupportedQueryError({ construct, ...(position === undefined ? {} : { position }), ...(reason === undefined ? {} : { reason }) })
}

/** What cannot be narrowed, whatever it says. */
function checkStatement(select: Select, sql: string, { volatility }: ReadingOptions): void {
  if (select.op !== 'SETOP_NONE') refuse(select.op.replace('SETOP_', ''), sql, undefined, 'a set of partitions holds for one of its branches')
  if (select.intoClause) refuse('SELECT INTO', sql)
  if (select.valuesLists) refuse('VALUES', sql)
  if (!select.fromClause) refuse('a query without FROM', sql)
  walk(select, (node: Node & Partial<Select>) => {
    if (node.lockingClause) refuse('a locking clause', sql, undefined, 'it is no mere reading')
    if (node.CommonTableExpr && !node.CommonTableExpr.ctequery.SelectStmt) refuse('a data-modifying WITH query', sql, node.CommonTableExpr.location)
    if (node.RangeTableSample) refuse('TABLESAMPLE', sql, node.RangeTableSample.location, 'it answers differently every time')
    if (node.FuncCall && volatilityOf(namesOf(node.FuncCall.funcname), volatility) === 'volatile') {
      refuse(`the volatile function ${namesOf(node.FuncCall.funcname).at(-1)!}`, sql, node.FuncCall.location)
    }
  })
  if (!select.groupClause && (hasAggregate(select.targetList) || select.havingClause)) {
    refuse('an aggregate over all rows', sql, firstAggregate(select), 'it answers a row even where nothing matches')
  }
}

function firstAggregate({ targetList, havingClause }: Select): number | undefined {
  let location: number | undefined
  walk([targetList ?? [], havingClause ?? {}], node => { location ??= node.FuncCall?.location ?? aggregateOf(node)?.location })
  return location
}

function hazardOf(select: Select, sql: string): QueryShape['hazard'] {
  if ((select.limitCount || select.limitOffset) && !select.sortClause) return { construct: 'LIMIT without ORDER BY', position: undefined }
  let hazard: QueryShape['hazard']
  // a restriction changes the plans of derived tables and WITH queries too
  walk(select, (node: Node & Partial<Select>) => {
    if (isDistinctOn(node.distinctClause) && !node.sortClause) hazard ??= { construct: 'DISTINCT ON without ORDER BY', position: undefined }
    const shown = orderShownBy(node)
    if (shown) hazard ??= { construct: 'an aggregate that shows the order of rows', position: characterAt(sql, shown.location ?? 0) }
  })
  return hazard
}

/** Sets that grow together: columns known to be equal. */
class Equalities {
  readonly #parent = new Map<string, string>()

  root(name: string): string {
    let root = name
    for (let next = this.#parent.get(root); next !== undefined; next = this.#parent.get(root)) root = next
    return root
  }

  join(a: string, b: string): void {
    const [left, right] = [this.root(a), this.root(b)]
    if (left !== right) this.#parent.set(left, right)
  }
}

/** What the columns that read quoted literals alike share: `'2024-01-01 10:00'` is one value to a date, another to a timestamp. */
function literalsOf({ table, column }: ColumnExpression, { tables, reading }: Flattened): string | undefined {
  const { schema, name } = tables[table]!
  const { type, kind } = reading.options.tableFacts?.(schema, name)?.columns.get(column) ?? {}
  return kind ?? (type === undefined || type === 'domain' ? undefined : TEXT_TYPES.has(type) ? 'text' : type)
}

function equalitiesOf(conditions: readonly Expression[], flat: Flattened): Equalities {
  const equalities = new Equalities()
  const { partitionKey } = flat.reading.options
  for (const condition of conditions) {
    if (condition.k !== 'cmp' || condition.op !== '=' || condition.left.k !== 'col') continue
    const { left, right } = condition
    const literals = literalsOf(left, flat)
    const isKnown = right.k === 'col' || (left.column === partitionKey && (right.k === 'num' || isReadAlike(right, literals !== undefined)))
    if (isKnown) equalities.join(keyOf(left), `${right.k === 'text' ? `${literals ?? ''} ` : ''}${keyOf(right)}`)
  }
  return equalities
}

/** The names of FROM that stand for something with rows of its own, and where each finds the partition key. */
function holdersOf({ scope, reading, keyed, tables: { length } }: Flattened, shown: ReadonlySet<string>): { alias: string, key: ColumnExpression | undefined, isKeyed: boolean }[] {
  const { partitionKey } = reading.options
  const seen = new Set(keyed)
  for (const alias of shown) {
    const binding = scope.bindings.get(alias)
    if (binding?.kind === 'table') seen.add(binding.table)
  }
  return [...scope.bindings].flatMap(([alias, binding]) => {
    if (binding.kind === 'opaque' || length === 0) return []
    try {
      const key = resolveColumn([alias, partitionKey], scope, reading)
      const isNamed = binding.kind === 'derived' && binding.columns.has(partitionKey)
      return [{ alias, key: key.k === 'col' ? key : undefined, isKeyed: key.k === 'col' && (isNamed || seen.has(key.table)) }]
    } catch (error) {
      if (error instanceof Uncacheable) return [{ alias, key: undefined, isKeyed: false }]
      throw error
    }
  })
}

/** Names of which the query puts out, groups by or sorts by the partition key. */
function namesShowing({ targetList, groupClause, sortClause }: Select, partitionKey: string): Set<string> {
  const shown = new Set<string>()
  walk([targetList ?? [], groupClause ?? [], sortClause ?? []], node => {
    if (node.SubLink) return false
    const names = namesOf(node.ColumnRef?.fields)
    if (names.length === 2 && names[1] === partitionKey) shown.add(names[0]!)
  })
  return shown
}

function chooseAnchor(select: Select, flat: Flattened, equalities: Equalities, sql: string): { alias: string, key: ColumnExpression } {
  const { partitionKey } = flat.reading.options
  const holders = holdersOf(flat, namesShowing(select, partitionKey))
  const opaque = [...flat.scope.bindings.values()].filter(binding => binding.kind === 'opaque')
  const untied = (reason: string): never => refuse('a query whose tables are not tied to the partition key', sql, undefined, reason)
  if (holders.length === 0) {
    refuse(opaque.some(({ why }) => why.includes('outer')) ? 'an outer join on the narrowed side' : 'a query without a table to narrow', sql)
  }
  const [only] = holders
  if (holders.length === 1 && only!.key) {
    if (!only!.isKeyed && isKeyedElsewhere(flat)) refuse('an outer join on the narrowed side', sql, undefined, `${partitionKey} is only read from there`)
    return { alias: only!.alias, key: only!.key }
  }
  const tied = holders.flatMap(({ alias, key, isKeyed }) => key && isKeyed ? [{ alias, key }] : [])
  const groups = new Set(tied.map(({ key }) => equalities.root(keyOf(key))))
  if (groups.size === 0) untied(`nothing reads ${partitionKey}`)
  if (groups.size > 1) untied(`${tied.map(({ alias }) => alias).join(', ')} are not joined by ${partitionKey}`)
  return tied[0]!
}

/** Whether the partition key is read from a name that cannot be narrowed. */
function isKeyedElsewhere({ scope, reading }: Flattened): boolean {
  return reading.opaqueKeys.size > 0 && [...reading.opaqueKeys].some(binding => [...scope.bindings.values()].includes(binding))
}

/** The columns of the key's class, `key` first. */
function tiedTo(key: ColumnExpression, conditions: readonly Expression[], equalities: Equalities): ColumnExpression[] {
  const root = equalities.root(keyOf(key))
  const columns = new Map([[keyOf(key), key]])
  const add = (column: ColumnExpression): void => { if (equalities.root(keyOf(column)) === root) columns.set(keyOf(column), column) }
  for (const condition of conditions) eachColumn(condition, add)
  return [...columns.values()]
}

/** In each table the column of the key's class: the partition key's own name where it has it. */
function keyColumnsOf(key: ColumnExpression, tied: readonly ColumnExpression[], partitionKey: string): Map<number, string> {
  const columns = new Map<number, string>([[key.table, key.column]])
  for (const column of tied) {
    const known = columns.get(column.table)
    const isBetter = known === undefined || (known !== partitionKey && (column.column === partitionKey || column.column < known))
    if (isBetter && column.table !== key.table) columns.set(column.table, column.column)
  }
  return columns
}

function maskOf(expression: Expression): number {
  let mask = 0
  eachColumn(expression, ({ table }) => { mask |= 1 << table })
  return mask
}

function isKeyColumn(expression: Expression, keyColumns: ReadonlyMap<number, string>): boolean {
  return expression.k === 'col' && keyColumns.get(expression.table) === expression.column
}

/** A text that the key columns read alike. Where their types are not known, digits could be a time or a number, which each type rounds in its own way. */
function isReadAlike(value: Expression, areAlike: boolean): boolean {
  return value.k === 'text' && isPlainText(value.value) && (areAlike || !/\d/.test(value.value))
}

/**
 * Whether a condition compares the key itself with literals: then it holds for the key of every tied table. `areAlike`: whether the
 * key's columns are known to read literals alike.
 */
export function isKeyCondition(expression: Expression, isKey: (column: Expression) => boolean, areAlike: boolean): boolean {
  if (expression.k === 'in') return isKey(expression.arg) && expression.values.every(value => value.k === 'num' ? isPlainMember(value) : isReadAlike(value, areAlike))
  if (expression.k !== 'cmp' || !isKey(expression.left)) return false
  // the order of texts depends on a column's collation, equality does not
  return expression.right.k === 'num' || (isReadAlike(expression.right, areAlike) && (expression.op === '=' || expression.op === '<>'))
}

function conditionOf(expression: Expression, keyColumns: ReadonlyMap<number, string>, areAlike: boolean): Condition {
  const isKey = (column: Expression): boolean => isKeyColumn(column, keyColumns)
  const isTie = expression.k === 'cmp' && expression.op === '=' && isKey(expression.left) && isKey(expression.right)
  return { expression, mask: maskOf(expression), kind: isTie ? 'tie' : isKeyCondition(expression, isKey, areAlike) ? 'key' : 'plain' }
}

/** A condition that no NULL in `column` survives. */
function isStrict(condition: Condition, keyColumns: ReadonlyMap<number, string>): boolean {
  const { expression, kind } = condition
  if (kind !== 'plain' || (expression.k === 'in' && isKeyColumn(expression.arg, keyColumns))) return true
  if (expression.k === 'isnull') return expression.negated && isKeyColumn(expression.arg, keyColumns)
  return expression.k === 'cmp' && (isKeyColumn(expression.left, keyColumns) || isKeyColumn(expression.right, keyColumns))
}

/**
 * Reads a query for the partition cache.
 *
 * @throws {UnsupportedQueryError} its shape cannot be narrowed without changing its rows
 */
export function readShape(sql: string, options: ReadingOptions): QueryShape {
  const { dialect, tableFacts } = options
  const select = dialect ? parseForeign(sql, { dialect, tableFacts }) : parseSelect(sql)
  checkStatement(select, sql, dialect ? { ...options, volatility: () => 'immutable' } : options)
  const flat = flatten(select, options)
  const expressions = conditionsOf({ k: 'and', args: flat.conditions })
  const equalities = equalitiesOf(expressions, flat)
  const { alias, key } = chooseAnchor(select, flat, equalities, sql)
  const tied = tiedTo(key, expressions, equalities)
  const keyColumns = keyColumnsOf(key, tied, options.partitionKey)
  const literals = new Set([...keyColumns].map(([table, column]) => literalsOf({ k: 'col', table, column }, flat)))
  const areKeysAlike = keyColumns.size === 1 || (literals.size === 1 && !literals.has(undefined))
  const conditions = expressions.map(expression => conditionOf(expression, keyColumns, areKeysAlike)).filter(({ mask }) => mask !== 0)
  const base = flat.tables[key.table]!
  const unknown = dialect && [...keyColumns].find(([table, column]) => !tableFacts?.(flat.tables[table]!.schema, flat.tables[table]!.name)?.columns.has(column))
  if (unknown) refuse(`the column ${unknown[1]}, which ${flat.tables[unknown[0]]!.text} does not have`, sql)
  const isNotNull = options.tableFacts?.(base.schema, base.name)?.columns.get(key.column)?.notNull ?? false
  return {
    select, conditions, keyColumns, tied, areKeysAlike,
    tables: flat.tables,
    aliases: new Map([...flat.scope.bindings].flatMap(([name, binding]) => binding.kind === 'table' ? [[name, binding.table] as const] : [])),
    leftOut: flat.leftOut.map(({ reason, location }) => ({ reason, position: characterAt(sql, location) })),
    anchor: { alias, column: options.partitionKey, table: key.table },
    isNullable: !isNotNull && !conditions.some(condition => isStrict(condition, keyColumns)),
    hazard: hazardOf(select, sql),
  }
}
