import { UnsupportedQueryError } from '../errors.js'
import { walk } from '../sql/ast.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import { parseSelect } from '../sql/grammar.js'
import type { Source } from '../source/fetcher.js'
import type { Catalogue } from './decompose.js'
import { foreignText } from './foreign-text.js'
import type { RelationFacts } from './relations.js'
import { tableText, type ColumnKind, type TableFacts } from './scope.js'

/** What a source speaks, where that is not PostgreSQL's SQL. */
export function foreignSqlOf({ dialect }: Source): ForeignSql | undefined {
  return dialect?.name === 'mysql' || dialect?.name === 'sqlite' ? dialect.name : undefined
}

interface Table { readonly schema: string, readonly facts: TableFacts }
/** One column: `type` in PostgreSQL's word where it is the same type, else with what makes it another. */
interface Column { readonly type: string, readonly notNull: boolean, readonly kind?: ColumnKind }

const MYSQL_COLUMNS = `SELECT c.TABLE_SCHEMA AS table_schema, c.TABLE_NAME AS table_name, LOWER(c.COLUMN_NAME) AS name, LOWER(c.DATA_TYPE) AS type, c.COLLATION_NAME AS collation, c.IS_NULLABLE AS nullable
  FROM information_schema.COLUMNS c JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
  WHERE t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_NAME = ? AND c.TABLE_SCHEMA = COALESCE(?, DATABASE())`

const MYSQL_TYPES: Readonly<Record<string, Omit<Column, 'notNull'>>> = {
  tinyint: { type: 'int8', kind: 'number' }, smallint: { type: 'int8', kind: 'number' }, mediumint: { type: 'int8', kind: 'number' }, int: { type: 'int8', kind: 'number' },
  bigint: { type: 'int8', kind: 'number' }, decimal: { type: 'decimal', kind: 'number' }, float: { type: 'float', kind: 'number' }, double: { type: 'double', kind: 'number' },
  date: { type: 'date', kind: 'day' }, datetime: { type: 'datetime', kind: 'moment' }
}
/** Collations in which texts are equal that have the same bytes, and no others: blanks at the end count. */
const BINARY = /_(nopad|0900)_bin$/

function mysqlColumn({ type, collation, nullable }: Record<string, unknown>): Column {
  const notNull = nullable === 'NO'
  const known = MYSQL_TYPES[String(type)]
  if (known) return { ...known, notNull }
  if (typeof collation !== 'string') return { type: String(type), notNull }
  return { type: BINARY.test(collation) ? 'text' : `${String(type)} with the collation ${collation}`, kind: 'text', notNull }
}

async function rowsOf(source: Source, sql: string, params: readonly unknown[]): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  for await (const batch of source.query(sql, { params })) rows.push(...batch.toRows())
  return rows
}

async function mysqlTable(source: Source, schema: string | undefined, name: string): Promise<Table | undefined> {
  // the catalogue finds names in any case; tables may differ in it
  const rows = (await rowsOf(source, MYSQL_COLUMNS, [name, schema ?? null])).filter(row => row['table_name'] === name)
  if (rows.length === 0) return undefined
  return { schema: String(rows[0]!['table_schema']), facts: { columns: new Map(rows.map(row => [String(row['name']), mysqlColumn(row)])) } }
}

/** By SQLite's rules of affinity. */
function sqliteColumn(declared: string, notNull: boolean, hasCollation: boolean): Column {
  const type = declared.toUpperCase()
  if (type.includes('INT')) return { type: 'int8', kind: 'number', notNull }
  if (/CHAR|CLOB|TEXT/.test(type)) return { type: hasCollation ? `${declared} of a table with COLLATE` : 'text', kind: 'text', notNull }
  // no name that means a type of PostgreSQL's
  const own = `${declared} of SQLite`
  if (type === '' || type.includes('BLOB')) return { type: own, notNull }
  // kept as texts, whose order a collation decides
  if (/^(DATE|DATETIME|TIMESTAMP)\b/.test(type)) return hasCollation ? { type: own, notNull } : { type: 'a time kept as text', kind: type === 'DATE' ? 'day' : 'moment', notNull }
  return { type: own, kind: 'number', notNull }
}

async function sqliteTable(source: Source, schema: string | undefined, name: string): Promise<Table | undefined> {
  const found = await rowsOf(source, 'SELECT "schema" AS s, name AS n, type AS t FROM pragma_table_list WHERE lower(name) = ? AND lower("schema") = coalesce(?, lower("schema"))', [name.toLowerCase(), schema?.toLowerCase() ?? null])
  const [table, other] = found
  if (!table || other || table['t'] !== 'table' || table['s'] === 'temp') return undefined
  const columns = await rowsOf(source, 'SELECT lower(name) AS name, type AS type, "notnull" AS needed FROM pragma_table_xinfo(?, ?) WHERE hidden <> 1', [table['n'], table['s']])
  const [definition] = await rowsOf(source, `SELECT sql AS text FROM "${String(table['s']).replaceAll('"', '""')}".sqlite_schema WHERE type = 'table' AND name = ?`, [table['n']])
  const hasCollation = !definition || /collate/i.test(String(definition['text']))
  return { schema: String(table['s']), facts: { columns: new Map(columns.map(({ name: column, type, needed }) =>
    [String(column), sqliteColumn(String(type ?? ''), Number(needed) === 1, hasCollation)])) } }
}

/** How long what was read is believed. */
const FRESH_MS = 60_000

interface Known { readonly catalogue: Catalogue, readonly tables: Map<string, Table | undefined>, readonly readAt: number }

const known = new WeakMap<Source, Known>()

function emptyCatalogue(dialect: ForeignSql): Known {
  const tables = new Map<string, Table | undefined>()
  const behind = new Map<string, RelationFacts>()
  return { tables, readAt: Date.now(), catalogue: {
    dialect,
    volatility: () => undefined,
    tableFacts: (schema, name) => tables.get(tableText(schema, name))?.facts,
    relation: table => {
      const found = tables.get(table)
      if (!found) return undefined
      const name = table.replace(/^(?:"[^"]*"|[^".]*)\./, '').replaceAll('"', '')
      const facts = behind.get(table) ?? { hazard: undefined, sources: [tableText(found.schema, dialect === 'sqlite' ? name.toLowerCase() : name)] }
      behind.set(table, facts)
      return facts
    }
  } }
}

/**
 * What a MySQL or SQLite source says of the tables that a query names; believed for a minute. Views, temporary and virtual tables are
 * not known.
 *
 * @throws {UnsupportedQueryError} the text is not one SELECT that PostgreSQL's grammar reads as well
 */
export async function readForeignCatalogue(source: Source, sql: string, dialect: ForeignSql): Promise<Catalogue> {
  let state = known.get(source)
  if (!state || Date.now() - state.readAt > FRESH_MS) {
    state = emptyCatalogue(dialect)
    known.set(source, state)
  }
  const wanted = new Map<string, { schema: string | undefined, name: string }>()
  walk(parseSelect(foreignText(sql, dialect).spelled), ({ RangeVar: table }) => {
    if (table?.catalogname) throw new UnsupportedQueryError({ construct: `the name ${table.catalogname}.${table.schemaname ?? ''}.${table.relname}` })
    if (table) wanted.set(tableText(table.schemaname, table.relname), { schema: table.schemaname, name: table.relname })
  })
  const { tables } = state
  for (const [text, { schema, name }] of wanted) {
    if (!tables.has(text)) tables.set(text, dialect === 'mysql' ? await mysqlTable(source, schema, name) : await sqliteTable(source, schema, name))
  }
  return state.catalogue
}
