import { UnsupportedQueryError } from '../errors.js'
import { eachColumn, mapColumns, type ColumnExpression, type Expression } from '../sql/expression.js'
import { parseSelect } from '../sql/grammar.js'
import { conditionsOf, keyOf } from '../sql/normal-form.js'
import { convert } from './convert.js'
import type { Catalogue } from './decompose.js'
import { flatten } from './flatten.js'
import { unmarked } from './fragment-mark.js'
import { implies } from './implication.js'
import { Uncacheable, type ShapeTable } from './scope.js'
import { isKeyCondition, type QueryShape } from './shape.js'

/** A cached fragment, read back from its text. */
export interface Pattern {
  readonly tables: readonly string[]
  /** The same tables, by name and schema. */
  readonly named: readonly ShapeTable[]
  readonly conditions: readonly Expression[]
  readonly key: ColumnExpression
}

/** Reads a fragment's text; undefined for any other text, and for what could not be understood in full. */
export function readPattern(text: string): Pattern | undefined {
  const sql = unmarked(text)
  try {
    const select = parseSelect(sql)
    const [target, second] = select.targetList ?? []
    if (!sql.startsWith('SELECT DISTINCT t') || !target?.ResTarget || second || select.groupClause || select.limitCount || select.limitOffset) return undefined
    const flat = flatten(select, { partitionKey: '', params: [], isFragment: true })
    const key = convert(target.ResTarget.val, flat.scope, flat.reading)
    const isPlain = [...flat.scope.bindings.values()].every(binding => binding.kind === 'table')
    if (key.k !== 'col' || !isPlain || flat.leftOut.length > 0) return undefined
    return { key, named: flat.tables, tables: flat.tables.map(({ text }) => text), conditions: conditionsOf({ k: 'and', args: flat.conditions }) }
  } catch (error) {
    if (error instanceof Uncacheable || error instanceof UnsupportedQueryError) return undefined
    throw error
  }
}

/**
 * Whether a fragment says the same in every session, now that its columns' types are known: it may have been made without them.
 *
 * @throws {UnsupportedQueryError} it does not
 */
export function checkSteady(sql: string, { dialect, tableFacts }: Catalogue): void {
  if (dialect) return
  try {
    flatten(parseSelect(sql), { partitionKey: '', params: [], isFragment: true, tableFacts })
  } catch (error) {
    if (error instanceof Uncacheable) throw new UnsupportedQueryError({ construct: error.reason, reason: 'the set would hold for this session only' })
    throw error
  }
}

/** The key of a tied table: one column, whichever table it is read from. */
const KEY: ColumnExpression = { k: 'col', table: -1, column: '' }

/** A query's conditions, ready to be asked whether they imply others. */
export interface KnownConditions {
  readonly tables: readonly string[]
  readonly byTables: ReadonlyMap<string, readonly Expression[]>
  readonly isKey: (column: Expression) => boolean
  /** Whether the key's columns are known to read a quoted literal alike. */
  readonly areKeysAlike: boolean
}

function tablesKey(expression: Expression): string {
  const tables = new Set<number>()
  eachColumn(expression, ({ table }) => tables.add(table))
  return [...tables].sort((a, b) => a - b).join(' ')
}

function overKey(expression: Expression, { isKey, areKeysAlike }: Pick<KnownConditions, 'isKey' | 'areKeysAlike'>): Expression {
  return isKeyCondition(expression, isKey, areKeysAlike) ? mapColumns(expression, column => isKey(column) ? KEY : column) : expression
}

/** What a query's shape knows. */
export function knownConditions({ tables, conditions, keyColumns, areKeysAlike }: QueryShape): KnownConditions {
  const isKey = (column: Expression): boolean => column.k === 'col' && keyColumns.get(column.table) === column.column
  const byTables = new Map<string, Expression[]>()
  for (const { expression } of conditions) {
    const known = overKey(expression, { isKey, areKeysAlike })
    const slot = tablesKey(known)
    byTables.set(slot, [...byTables.get(slot) ?? [], known])
  }
  return { byTables, isKey, areKeysAlike, tables: tables.map(({ text }) => text) }
}

function isImplied(wanted: Expression, conditions: KnownConditions): boolean {
  const { byTables, isKey } = conditions
  const isTie = wanted.k === 'cmp' && wanted.op === '=' && isKey(wanted.left) && isKey(wanted.right)
  if (isTie) return true
  const condition = overKey(wanted, conditions)
  const slot = tablesKey(condition)
  const known = byTables.get(slot) ?? []
  if (known.some(one => implies(one, condition))) return true
  // (a.x = 1 OR b.y = 2) follows from a.x = 1 alone
  return condition.k === 'or' && condition.args.some(arg => isImplied(arg, conditions))
}

/** Tried assignments of tables per pattern, so that a query over many look-alike tables ends. */
const MAX_STEPS = 5000

/**
 * Whether a fragment's set holds every partition of the query: whether each of its tables can be taken for one of the query's so that
 * all of its conditions follow from the query's.
 */
export function covers(pattern: Pattern, known: KnownConditions): boolean {
  const { tables, conditions, key } = pattern
  const columns = conditions.map(condition => {
    let last = 0
    eachColumn(condition, ({ table }) => { last = Math.max(last, table) })
    return last
  })
  const assigned: number[] = []
  let steps = 0
  const at = (column: ColumnExpression): ColumnExpression => ({ ...column, table: assigned[column.table]! })
  const assign = (table: number): boolean => {
    if (table === tables.length) return true
    for (const [candidate, name] of known.tables.entries()) {
      if (name !== tables[table] || ++steps > MAX_STEPS) continue
      assigned[table] = candidate
      const fits = (table !== key.table || known.isKey(at(key))) &&
        conditions.every((condition, i) => columns[i] !== table || isImplied(mapColumns(condition, at), known))
      if (fits && assign(table + 1)) return true
    }
    return false
  }
  return assign(0)
}

/** The columns that a pattern's equalities make equal to its key. */
function tiedColumns({ conditions, key }: Pick<Pattern, 'conditions' | 'key'>): Map<string, ColumnExpression> {
  const keys = new Map([[keyOf(key), key]])
  for (let size = 0; size !== keys.size;) {
    size = keys.size
    for (const condition of conditions) {
      if (condition.k !== 'cmp' || condition.op !== '=' || condition.left.k !== 'col' || condition.right.k !== 'col') continue
      const sides = [condition.left, condition.right]
      if (sides.some(side => keys.has(keyOf(side)))) for (const side of sides) keys.set(keyOf(side), side)
    }
  }
  return keys
}

/** What `checkKeyColumns` asks of a fragment: the columns that hold its key, whatever their names. */
export function tiedIn(pattern: Pattern): Pick<QueryShape, 'tables' | 'tied'> {
  return { tables: pattern.named, tied: [...tiedColumns(pattern).values()] }
}

/** A pattern as a query: to find out whether one cached set makes another superfluous. */
export function patternConditions({ tables, conditions, key }: Pattern): KnownConditions {
  const keys = tiedColumns({ conditions, key })
  const isKey = (column: Expression): boolean => column.k === 'col' && keys.has(keyOf(column))
  const areKeysAlike = tables.length === 1
  const byTables = new Map<string, Expression[]>()
  for (const condition of conditions) {
    const known = overKey(condition, { isKey, areKeysAlike })
    const slot = tablesKey(known)
    byTables.set(slot, [...byTables.get(slot) ?? [], known])
  }
  return { tables, byTables, isKey, areKeysAlike }
}
