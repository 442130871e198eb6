import type { Field } from '../batch/column-type.js'
import { InvalidArgumentError, UnsupportedQueryError } from '../errors.js'
import type { DescribedColumn, JudgedQuery, SqlDialect } from '../source/snapshot.js'
import { ROW_HASH, ROW_NUMBER } from '../store/query-record.js'

/** By which columns an incremental query's rows are ordered and told apart. */
export interface OrderPlan {
  columns: readonly DescribedColumn[]
  order: DescribedColumn
  key: DescribedColumn | undefined
  /** How rows of one order value are sorted: by the statement's own ORDER BY, then by the key. */
  ties: readonly { column: DescribedColumn, isDescending: boolean }[]
  /** Rows after (order value, key) come last in the result, so the two together are a bound. */
  keyIsBound: boolean
}

function find(name: string, argument: string, columns: readonly DescribedColumn[]): DescribedColumn {
  const found = columns.filter(column => column.name === name)
  if (found.length === 1) return found[0]!
  const names = columns.map(column => column.name).join(', ')
  throw new InvalidArgumentError({ argument, expected: `one column of the result (${names})`,
    found: found.length > 1 ? `${found.length} columns called ${JSON.stringify(name)}: rename them, AS …` : `no column called ${JSON.stringify(name)}: select it` })
}

/** Refuse what rows cannot hold: two columns of one name, and names that are ours. */
export function checkResultColumns(columns: readonly { name: string }[]): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    if (seen.has(name) || name === '__proto__' || name === ROW_NUMBER || name === ROW_HASH) {
      throw new InvalidArgumentError({ argument: 'sql', expected: seen.has(name) ? 'column names that differ' : `no column called ${name}`,
        found: `${JSON.stringify(name)}${seen.has(name) ? ' twice' : ''} (rename it: AS …)` })
    }
    seen.add(name)
  }
  if (seen.size === 0) throw new InvalidArgumentError({ argument: 'sql', expected: 'a statement that returns columns (execute() runs others)' })
}

/** The columns of a result, without what only plans are made by. */
export function resultColumns(described: readonly DescribedColumn[]): readonly Field[] {
  return described.map(({ sqlType: _, isRounded: __, ...field }) => field)
}

/**
 * Decide the order of an incremental query's rows.
 *
 * @throws {InvalidArgumentError} the order or key column is missing, ambiguous, of a type without a usable order, or declared
 * as one that rounds its values
 * @throws {UnsupportedQueryError} the statement asks for another order
 */
export function planOrder({ columns, judged: { sort }, orderColumn, keyColumn, dialect }: { columns: readonly DescribedColumn[], judged: JudgedQuery,
  orderColumn: string, keyColumn: string | undefined, dialect: SqlDialect }): OrderPlan {
  const order = find(orderColumn, 'orderColumn', columns)
  const key = keyColumn === undefined ? undefined : find(keyColumn, 'keyColumn', columns)
  checkResultColumns(columns)
  if (dialect.orderBy('', order) === undefined) {
    throw new InvalidArgumentError({ argument: 'orderColumn', expected: 'a number, a date, a time, a uuid or plain text', found: `${order.name} of type ${order.sqlType}` })
  }
  for (const [argument, column] of [['orderColumn', order], ['keyColumn', key]] as const) {
    if (!column?.isRounded) continue
    throw new InvalidArgumentError({ argument, expected: "a column whose values keep apart (leave it out of columnTypes)",
      found: `${column.name} of type ${column.sqlType}, declared as ${column.type}` })
  }
  const ties: { column: DescribedColumn, isDescending: boolean }[] = []
  for (const [i, item] of sort.entries()) {
    const refuse = (construct: string, reason: string): UnsupportedQueryError =>
      new UnsupportedQueryError({ construct, reason, ...(item.position === undefined ? {} : { position: item.position }) })
    const column = typeof item.output === 'number' ? columns[item.output - 1] : columns.find(({ name }) => name === item.output)
    if (!column || (i === 0 && column !== order)) {
      throw refuse('this ORDER BY', `rows come in the order of the order column, ${JSON.stringify(orderColumn)}${i === 0 ? '' : '; further columns must be among those selected'}`)
    }
    if (i === 0 && item.isDescending) throw refuse('ORDER BY … DESC', 'new rows would come first; leave DESC out')
    if (item.nullsFirst === true) throw refuse('NULLS FIRST', 'rows without an order value come last')
    if (i > 0 && column !== order && !ties.some(tie => tie.column === column)) ties.push({ column, isDescending: item.isDescending })
  }
  const keyIsBound = key !== undefined && (ties.length === 0 || (ties[0]!.column === key && !ties[0]!.isDescending))
  if (key && key !== order && !ties.some(tie => tie.column === key)) ties.push({ column: key, isDescending: false })
  return { columns, order, key: key === order ? undefined : key, ties, keyIsBound: keyIsBound && key !== order }
}
