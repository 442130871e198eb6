import { namesOf, walk } from '../sql/ast.js'
import { parseSelect } from '../sql/grammar.js'
import { functionName, type Volatility } from '../sql/volatility.js'
import type { Source } from '../source/fetcher.js'
import type { Catalogue } from './decompose.js'
import { foreignSqlOf, readForeignCatalogue } from './foreign-catalogue.js'
import { functionsIn, RELATIONS, relationFacts, type RelationFacts, type RelationRow } from './relations.js'
import { tableText, type TableFacts } from './scope.js'

// times within a domain, an array, a range or a row of an array; of multiranges only those of numbers are known to hold none
const TIMED = `WITH RECURSIVE within AS (
      SELECT t.oid UNION SELECT x.oid FROM within JOIN pg_catalog.pg_type y ON y.oid = within.oid LEFT JOIN pg_catalog.pg_range g ON g.rngtypid = y.oid
        LEFT JOIN pg_catalog.pg_attribute f ON f.attrelid = y.typrelid AND y.typrelid <> 0, LATERAL pg_catalog.unnest(ARRAY[y.typbasetype, y.typelem, g.rngsubtype, f.atttypid]) AS x(oid) WHERE x.oid <> 0)
    SELECT FROM within JOIN pg_catalog.pg_type y ON y.oid = within.oid
      WHERE y.typname IN ('date', 'timestamp', 'timestamptz', 'time', 'timetz', 'interval') OR (y.typtype = 'm' AND y.typname NOT IN ('int4multirange', 'int8multirange', 'nummultirange'))`

// a NOT NULL that some rows need not obey counts as none: of inheritance children, not inherited, not validated (PostgreSQL 18)
const COLUMNS = `SELECT r.name AS "table", a.attname::text AS "column",
    CASE WHEN t.typtype = 'e' THEN 'enum' WHEN 'c' IN (t.typtype, u.typtype) THEN 'composite' WHEN (t.typtype <> 'b' OR t.typelem <> 0) AND EXISTS (${TIMED}) THEN 'timed' WHEN t.typtype = 'd' THEN 'domain' WHEN NOT coalesce(l.collisdeterministic, true) THEN 'nondeterministic' ELSE t.typname::text END AS type,
    a.attnotnull AND (c.relkind = 'p' OR NOT c.relhassubclass) AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = c.oid AND k.contype = 'n' AND (k.connoinherit OR NOT k.convalidated) AND k.conkey = ARRAY[a.attnum]) AS notnull
  FROM pg_catalog.unnest($1::text[]) AS r(name)
  JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(r.name)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_type u ON u.oid = t.typbasetype
  LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation`

const FUNCTIONS = `SELECT n.nspname::text AS schema, p.proname::text AS name, pg_catalog.pg_function_is_visible(p.oid) AS visible,
    p.provolatile::text AS volatility, p.prokind::text AS kind, p.proretset AS "isSet"
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.proname::text = ANY ($1::text[])`

/** How long what was read is believed. */
const FRESH_MS = 60_000

interface Known {
  readonly catalogue: Catalogue
  readonly tables: Map<string, TableFacts | undefined>
  readonly functions: Map<string, Volatility | undefined>
  readonly relations: Map<string, RelationFacts>
  readonly readAt: number
}

const known = new WeakMap<Source, Known>()

function emptyCatalogue(): Known {
  const tables = new Map<string, TableFacts | undefined>()
  const functions = new Map<string, Volatility | undefined>()
  const relations = new Map<string, RelationFacts>()
  return { tables, functions, relations, readAt: Date.now(), catalogue: {
    volatility: (schema, name) => functions.get(schema === undefined ? name : `${schema}.${name}`),
    tableFacts: (schema, name) => tables.get(tableText(schema, name)),
    relation: table => relations.get(table)
  } }
}

/** Whether a source speaks to PostgreSQL, as far as it says. */
export function isPostgres({ identity }: Source): boolean {
  return identity?.startsWith('postgres') ?? false
}

async function rowsOf(source: Source, sql: string, names: readonly string[]): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = []
  for await (const batch of source.query(sql, { params: [names] })) rows.push(...batch.toRows())
  return rows
}

const RANKS: readonly Volatility[] = ['immutable', 'set', 'stable', 'volatile']

function worse(a: Volatility | undefined, b: Volatility): Volatility {
  return a === undefined || RANKS.indexOf(b) > RANKS.indexOf(a) ? b : a
}

async function readFunctions(source: Source, names: readonly string[], { functions }: Known): Promise<void> {
  if (names.length === 0) return
  const found = new Map<string, Volatility>()
  for (const { schema, name, visible, volatility, kind, isSet } of await rowsOf(source, FUNCTIONS, names) as Record<string, string>[]) {
    // an aggregate's own mark says nothing of its answer
    if (kind === 'a' || kind === 'w') continue
    const one: Volatility = volatility === 'i' ? (isSet ? 'set' : 'immutable') : volatility === 's' ? 'stable' : 'volatile'
    for (const key of [`${schema!}.${name!}`, ...(visible ? [name!] : [])]) found.set(key, worse(found.get(key), one))
  }
  for (const name of names) functions.set(name, undefined)
  for (const [name, volatility] of found) functions.set(name, volatility)
}

async function readTables(source: Source, names: readonly string[], { tables }: Known): Promise<void> {
  if (names.length === 0) return
  const found = new Map<string, Map<string, { type: string, notNull: boolean }>>()
  for (const row of await rowsOf(source, COLUMNS, names)) {
    const { table, column, type, notnull } = row as { table: string, column: string, type: string, notnull: boolean }
    const columns = found.get(table) ?? new Map<string, { type: string, notNull: boolean }>()
    found.set(table, columns.set(column, { type, notNull: notnull }))
  }
  for (const name of names) {
    const columns = found.get(name)
    tables.set(name, columns && { columns })
  }
}

async function readRelations(source: Source, names: readonly string[], state: Known): Promise<void> {
  if (names.length === 0) return
  const rows = await rowsOf(source, RELATIONS, names) as unknown as RelationRow[]
  await readFunctions(source, functionsIn(rows).filter(name => !state.functions.has(name)), state)
  for (const [name, facts] of relationFacts(names, rows, state.catalogue.volatility)) state.relations.set(name, facts)
}

/**
 * What a source's catalogue says of the functions and tables that a query names; believed for a minute. Undefined for sources that
 * speak neither PostgreSQL's SQL nor MySQL's nor SQLite's.
 *
 * @throws {UnsupportedQueryError} the text is not one SELECT
 */
export async function readCatalogue(source: Source, sql: string): Promise<Catalogue | undefined> {
  const dialect = foreignSqlOf(source)
  if (dialect) return readForeignCatalogue(source, sql, dialect)
  if (!isPostgres(source)) return undefined
  let state = known.get(source)
  if (!state || Date.now() - state.readAt > FRESH_MS) {
    state = emptyCatalogue()
    known.set(source, state)
  }
  const functions = new Set<string>()
  const tables = new Set<string>()
  walk(parseSelect(sql), ({ FuncCall: call, RangeVar: table }) => {
    if (call) functions.add(functionName(namesOf(call.funcname)).name)
    if (table) tables.add(tableText(table.schemaname, table.relname))
  })
  const { tables: knownTables, functions: knownFunctions } = state
  await readFunctions(source, [...functions].filter(name => !knownFunctions.has(name)), state)
  const newTables = [...tables].filter(name => !knownTables.has(name))
  await readTables(source, newTables, state)
  await readRelations(source, newTables, state)
  return state.catalogue
}
