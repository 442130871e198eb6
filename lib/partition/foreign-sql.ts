import { InvalidArgumentError, KeyTypeError, UnsupportedQueryError } from '../errors.js'
import { isSameTree, type Node, type Select } from '../sql/ast.js'
import { printExpression } from '../sql/expression.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import { parseSelect } from '../sql/grammar.js'
import { foreignText, spellingsOf, withCondition } from './foreign-text.js'
import { keyTexts } from './key-literals.js'
import type { PartitionKeyValue } from './key-types.js'
import { readPattern } from './pattern.js'
import { dialectOf, unmarked } from './fragment-mark.js'
import type { QueryShape } from './shape.js'

function quoteName(name: string, dialect: ForeignSql): string {
  const quote = dialect === 'mysql' ? '`' : '"'
  return `${quote}${name.replaceAll(quote, quote + quote)}${quote}`
}

/** A text as a literal that means the same whatever the session's modes and character set are. */
function textLiteral(text: string, dialect: ForeignSql): string {
  if (dialect === 'mysql' && !/^[\x20-\x7e]*$/.test(text.replaceAll('\\', '\u0080'))) return `_utf8mb4 X'${Buffer.from(text, 'utf8').toString('hex')}'`
  return `'${text.replaceAll("'", "''")}'`
}

/** `column IN (…)`. @throws {KeyTypeError} keys other than integers and texts */
function membership(column: string, keys: Iterable<PartitionKeyValue>, dialect: ForeignSql): string {
  const all = [...keys]
  if (all.length === 0) return '1 = 0'
  const { texts, isBare } = keyTexts(all)
  const odd = isBare ? undefined : all.find(key => typeof key !== 'string')
  if (odd !== undefined) throw new KeyTypeError({ backend: dialect, keyType: typeof odd, reason: 'only integers and texts are compared in this database as in the cache' })
  return `${column} IN (${texts.map(text => isBare ? text : textLiteral(text, dialect)).join(', ')})`
}

/** A fragment in the database's own spelling, restricted to some keys where they are given. */
export function foreignFragment(sql: string, keys?: Iterable<PartitionKeyValue>): string {
  const dialect = dialectOf(sql)
  const pattern = readPattern(sql)
  if (!dialect || !pattern) throw new UnsupportedQueryError({ construct: 'a fragment that does not read back' })
  const column = (table: number, name: string): string => `t${table + 1}.${quoteName(name, dialect)}`
  const conditions = pattern.conditions.map(condition => printExpression(condition, ({ table, column: name }) => column(table, name)))
  const from = (parseSelect(unmarked(sql)).fromClause ?? []).map(({ RangeVar: table }, i) =>
    `${[table!.schemaname, table!.relname].flatMap(name => name === undefined ? [] : [quoteName(name, dialect)]).join('.')} AS t${i + 1}`)
  const key = column(pattern.key.table, pattern.key.column)
  const all = [...conditions, ...keys ? [membership(key, keys, dialect)] : []]
  return `SELECT DISTINCT ${key} FROM ${from.join(', ')}${all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`}`
}

/** How many keys a fragment has. */
export function foreignCount(sql: string): string {
  const [dialect, pattern] = [dialectOf(sql), readPattern(sql)]
  return `SELECT count(every_key.${quoteName(pattern?.key.column ?? '', dialect!)}) AS total FROM (${foreignFragment(sql)}) AS every_key`
}

/** The tree of `select` with one more condition. */
function expectedTree(select: Select, condition: Node): Select {
  const { whereClause } = select
  const before = whereClause?.BoolExpr?.boolop === 'AND_EXPR' ? whereClause.BoolExpr.args : whereClause ? [whereClause] : []
  return { ...select, whereClause: before.length === 0 ? condition : { BoolExpr: { boolop: 'AND_EXPR', args: [...before, condition] } } }
}

/**
 * A MySQL or SQLite query restricted to some keys. Everything else stays as it is written.
 *
 * @throws {UnsupportedQueryError} the place of the restriction is not certain
 * @throws {KeyTypeError} keys other than integers and texts
 */
export function narrowForeign(sql: string, keys: Iterable<PartitionKeyValue>, { shape, dialect, keepsNulls }: { shape: QueryShape, dialect: ForeignSql, keepsNulls: boolean }): string {
  const text = foreignText(sql, dialect)
  const mark = 'millrace_restriction'
  if (sql.includes(mark)) throw new InvalidArgumentError({ argument: 'sql', expected: `a text without ${mark}`, found: mark })
  const marked = withCondition(sql, text, mark)
  const condition: Node = { ColumnRef: { fields: [{ String: { sval: mark } }] } }
  // the text was taken apart by hand: it must read back as what was meant
  if (!isSameTree(parseSelect(foreignText(marked, dialect).spelled), expectedTree(shape.select, condition))) throw new UnsupportedQueryError({ construct: 'a query whose WHERE is not certain' })
  const column = `${quoteName(spellingsOf(text, shape.anchor.alias)[0] ?? shape.anchor.alias, dialect)}.${quoteName(shape.anchor.column, dialect)}`
  const member = membership(column, keys, dialect)
  return marked.replace(mark, () => keepsNulls ? `(${member} OR ${column} IS NULL)` : `${member}`)
}
