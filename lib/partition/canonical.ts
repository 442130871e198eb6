import { createHash } from 'node:crypto'
import { eachColumn, partsOf, printExpression, qualified, type Expression } from '../sql/expression.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import { quoteIdentifier } from '../sql/quote.js'
import { markOf } from './fragment-mark.js'
import { tableText, type ShapeTable } from './scope.js'

/** A fragment before its text: some tables of a query, tied by their keys, and conditions over them. */
export interface FragmentParts {
  readonly tables: readonly number[]
  /** Over `tables`. */
  readonly conditions: readonly Expression[]
  /** Conditions on the key, whichever of the tied tables they came from. */
  readonly keyConditions: readonly ((column: Expression) => Expression)[]
}

/** A cacheable part of a query. */
export interface Fragment {
  /** `SELECT DISTINCT t1.key FROM … WHERE …` in normal form: equal texts are equal questions. */
  readonly sql: string
  /** SHA-256 of `sql`, in hexadecimal. */
  readonly hash: string
  /** The tables it reads, as SQL writes their names. */
  readonly tables: readonly string[]
  /** Its conditions, as they stand in `sql`. */
  readonly conditions: readonly string[]
}

/** Orders tried among tables that look alike; beyond, one query may get two texts, and with them two hashes. */
const MAX_ORDERS = 720

/** SHA-256 in hexadecimal. */
export function hashOf(sql: string): string {
  return createHash('sha256').update(sql).digest('hex')
}

function columnsIn(expression: Expression): Set<number> {
  const tables = new Set<number>()
  eachColumn(expression, ({ table }) => tables.add(table))
  return tables
}

/** Tables in an order that does not depend on the names or the order they have in the query; what looks alike stays together. */
function rankTables({ tables, conditions }: FragmentParts, all: readonly ShapeTable[], keyColumns: ReadonlyMap<number, string>): number[][] {
  const touching = conditions.map(expression => ({ expression, tables: columnsIn(expression) }))
  let colors = new Map(tables.map(table => {
    const own = touching.filter(({ tables: of }) => of.size === 1 && of.has(table))
      .map(({ expression }) => printExpression(expression, ({ column }) => `#.${quoteIdentifier(column)}`)).sort()
    return [table, [own.join(' AND '), all[table]!.text, keyColumns.get(table) ?? ''].join('\u0000')]
  }))
  const shared = touching.filter(({ tables: of }) => of.size > 1)
  for (let round = 0, classes = 0; round < tables.length; round++) {
    const ranks = [...new Set(colors.values())].sort()
    if (ranks.length === classes || ranks.length === tables.length) break
    classes = ranks.length
    colors = new Map([...colors].map(([table, color]) => {
      const seen = shared.filter(({ tables: of }) => of.has(table)).map(({ expression }) => printExpression(expression,
        column => `${column.table === table ? '#' : `@${ranks.indexOf(colors.get(column.table)!)}`}.${quoteIdentifier(column.column)}`)).sort()
      return [table, `${String(ranks.indexOf(color)).padStart(3, '0')}\u0000${seen.join(' AND ')}`]
    }))
  }
  const groups = new Map<string, number[]>()
  for (const [table, color] of [...colors].sort(([, a], [, b]) => a < b ? -1 : a > b ? 1 : 0)) groups.set(color, [...groups.get(color) ?? [], table])
  return [...groups.values()]
}

function * permutations(items: readonly number[]): Generator<number[]> {
  if (items.length < 2) yield [...items]
  for (const [i, item] of items.entries()) {
    if (items.length < 2) return
    for (const rest of permutations(items.toSpliced(i, 1))) yield [item, ...rest]
  }
}

function * orders([group, ...groups]: readonly (readonly number[])[]): Generator<number[]> {
  if (!group) {
    yield []
    return
  }
  for (const first of permutations(group)) for (const rest of orders(groups)) yield [...first, ...rest]
}

interface Printed { readonly sql: string, readonly conditions: readonly string[] }

function print(order: readonly number[], { conditions, keyConditions }: FragmentParts, all: readonly ShapeTable[], keyColumns: ReadonlyMap<number, string>): Printed {
  const aliases = new Map(order.map((table, i) => [table, `t${i + 1}`]))
  const keyed = order.filter(table => keyColumns.has(table))
  const keyOfTable = (table: number): Expression => ({ k: 'col', table, column: keyColumns.get(table)! })
  const [first] = keyed as [number, ...number[]]
  const ties = keyed.slice(1).map((table): Expression => ({ k: 'cmp', op: '=', left: keyOfTable(first), right: keyOfTable(table) }))
  const expressions = [...conditions, ...ties, ...keyConditions.map(on => on(keyOfTable(first)))]
  const texts = [...new Set(expressions.map(expression => printExpression(expression, ({ table, column }) => qualified(aliases.get(table)!, column))))].sort()
  const from = order.map(table => `${all[table]!.text} AS ${aliases.get(table)!}`).join(', ')
  const where = texts.length === 0 ? '' : ` WHERE ${texts.join(' AND ')}`
  return { sql: `SELECT DISTINCT ${qualified(aliases.get(first)!, keyColumns.get(first)!)} FROM ${from}${where}`, conditions: texts }
}

/** The one text of a fragment, whatever its tables were called and in which order anything stood. */
export function fragmentOf(parts: FragmentParts, all: readonly ShapeTable[], keyColumns: ReadonlyMap<number, string>, dialect?: ForeignSql): Fragment {
  let best: Printed | undefined
  let tried = 0
  for (const order of orders(rankTables(parts, all, keyColumns))) {
    const printed = print(order, parts, all, keyColumns)
    if (!best || printed.sql < best.sql) best = printed
    if (++tried === MAX_ORDERS) break
  }
  const tables = new Set(parts.tables.map(table => tableText(all[table]!.schema, all[table]!.name)))
  for (const condition of parts.conditions) {
    for (const part of partsOf(condition)) if (part.k === 'form') for (const name of part.tables ?? []) tables.add(name)
  }
  const sql = `${markOf(dialect)}${best!.sql}`
  return { sql, hash: hashOf(sql), tables: [...tables].sort(), conditions: best!.conditions }
}
