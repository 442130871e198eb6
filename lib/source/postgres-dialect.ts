import { InvalidArgumentError, UnsupportedQueryError } from '../errors.js'
import { queryShape, type QueryShape } from '../sql/query-shape.js'
import { quoteIdentifier } from './postgres-sql.js'
import type { DescribedColumn, JudgedQuery, SourceSnapshot, SqlDialect } from './snapshot.js'

const FUNCTIONS = `SELECT p.proname::text AS name, n.nspname::text AS schema, pg_catalog.pg_function_is_visible(p.oid) AS visible,
    p.provolatile = 'v' AS volatile, p.prokind = 'a' AS aggregate, p.prokind = 'w' AS windowed
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE p.proname = ANY ($1::pg_catalog.text[])`

// functions of one row, or of anything: `t.f` calls them where `t` has no such column
const HIDDEN = `SELECT o.oprname::text AS name, n.nspname::text AS schema, pg_catalog.pg_operator_is_visible(o.oid) AS visible
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
  WHERE p.provolatile = 'v' AND o.oprname = ANY ($1::pg_catalog.text[])
  UNION ALL SELECT p.proname::text, NULL, NULL FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
  WHERE p.provolatile = 'v' AND p.prokind = 'f' AND p.pronargs - p.pronargdefaults <= 1 AND t.typtype IN ('c', 'p') AND t.typname <> 'internal'
    AND p.proname = ANY ($2::pg_catalog.text[])`

const VIEW = `SELECT pg_catalog.pg_get_viewdef(c.oid) AS definition FROM pg_catalog.pg_class c
  WHERE c.relkind = 'v' AND c.oid = pg_catalog.to_regclass($1)`

const VOLATILE = 'it gives other values each time'

/** Views within views; PostgreSQL itself has no limit, but a text that refers to itself must not keep us. */
const MAX_VIEW_DEPTH = 20

/** Texts that are equal only when they print the same: not `character(n)`, whose blanks do not count, and not `citext`. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'character varying', 'name'])

function isNumber({ type, origin }: DescribedColumn): boolean {
  return type === 'int32' || type === 'int64' || type === 'float32' || type === 'float64' || type.startsWith('decimal(') || (type === 'text' && origin === 'numeric')
}

function isTime({ type }: DescribedColumn): boolean {
  return type === 'date' || type === 'time' || type === 'timestamp' || type === 'timestamptz'
}

async function rowsOf<T>(snapshot: SourceSnapshot, sql: string, params: readonly unknown[]): Promise<T[]> {
  const rows: T[] = []
  for await (const batch of snapshot.query(sql, { params })) rows.push(...batch.toRows() as T[])
  return rows
}

interface FunctionRow { name: string, schema: string, visible: boolean, volatile: boolean, aggregate: boolean, windowed: boolean }

async function judgeFunctions({ functions }: QueryShape, snapshot: SourceSnapshot, inside: string): Promise<void> {
  if (functions.length === 0) return
  const known = await rowsOf<FunctionRow>(snapshot, FUNCTIONS, [[...new Set(functions.map(({ name }) => name))]])
  for (const { schema, name, position } of functions) {
    const candidates = known.filter(row => row.name === name && (schema === undefined ? row.visible : row.schema === schema))
    const refuse = (what: string, reason: string): UnsupportedQueryError =>
      new UnsupportedQueryError({ construct: `${what} ${name}()${inside}`, reason, ...(position === undefined || inside !== '' ? {} : { position }) })
    // which overload is meant, only the server knows: one bad one is enough
    if (candidates.some(row => row.aggregate)) throw refuse('the aggregate', 'a group that was delivered changes as rows are added')
    if (candidates.some(row => row.windowed)) throw refuse('the window function', 'what was delivered changes as rows are added')
    if (candidates.some(row => row.volatile)) throw refuse('the volatile function', VOLATILE)
  }
}

/** Functions that are called without their names, or without parentheses. */
async function judgeHidden({ operators, attributes }: QueryShape, snapshot: SourceSnapshot, inside: string): Promise<void> {
  if (operators.length + attributes.length === 0) return
  const known = await rowsOf<{ name: string, schema: string | null, visible: boolean | null }>(snapshot, HIDDEN,
    [operators, attributes].map(named => [...new Set(named.map(({ name }) => name))]))
  const operator = operators.find(({ schema, name }) => known.some(row => row.name === name && (schema === undefined ? row.visible === true : row.schema === schema)))
  const attribute = attributes.find(({ name }) => known.some(row => row.name === name && row.schema === null))
  const found = operator ?? attribute
  if (!found) return
  throw new UnsupportedQueryError({ construct: `${operator ? `the volatile operator ${operator.name}` : `.${found.name}, also a volatile function,`}${inside}`, reason: VOLATILE,
    ...(found.position === undefined || inside !== '' ? {} : { position: found.position }) })
}

async function judgeViews({ relations }: QueryShape, snapshot: SourceSnapshot, depth: number): Promise<void> {
  for (const { schema, name } of relations) {
    const qualified = `${schema === undefined ? '' : `${quoteIdentifier(schema)}.`}${quoteIdentifier(name)}`
    const [view] = await rowsOf<{ definition: string }>(snapshot, VIEW, [qualified])
    if (!view) continue
    if (depth >= MAX_VIEW_DEPTH) throw new UnsupportedQueryError({ construct: `the view ${name}`, reason: 'views within views within views' })
    const inside = ` in the view ${name}`
    let shape: QueryShape
    try {
      shape = await queryShape(view.definition)
    } catch (cause) {
      if (!(cause instanceof UnsupportedQueryError)) throw cause
      throw new UnsupportedQueryError({ construct: `${cause.construct}${cause.construct.includes(' in the view ') ? '' : inside}`, reason: 'a view is judged by its definition', cause })
    }
    await judgeFunctions(shape, snapshot, inside)
    await judgeHidden(shape, snapshot, inside)
    await judgeViews(shape, snapshot, depth + 1)
  }
}

async function judge(sql: string, snapshot: SourceSnapshot): Promise<JudgedQuery> {
  const shape = await queryShape(sql)
  await judgeFunctions(shape, snapshot, '')
  await judgeHidden(shape, snapshot, '')
  await judgeViews(shape, snapshot, 0)
  return { text: shape.text, sort: shape.sort }
}

/** The collation of a statement's column, if texts that differ may be equal under it. Runs nothing of the statement. */
const looseCollation = (text: string, name: string): string => `SELECT c.oid::pg_catalog.regcollation::text AS name FROM pg_catalog.pg_collation c
  WHERE NOT c.collisdeterministic AND c.oid = pg_catalog.to_regcollation(pg_catalog.pg_collation_for((SELECT q.${quoteIdentifier(name)} FROM (\n${text}\n) AS q LIMIT 0)))`

async function checkOrder({ name, sqlType }: DescribedColumn, { text, params }: { text: string, params: readonly unknown[] }, snapshot: SourceSnapshot): Promise<void> {
  if (!TEXT_TYPES.has(sqlType)) return
  const [collation] = await rowsOf<{ name: string }>(snapshot, looseCollation(text, name), params)
  if (collation) throw new InvalidArgumentError({ argument: 'orderColumn', expected: 'texts that are equal only where they are the same', found: `${name} under the nondeterministic collation ${collation.name}` })
}

/** PostgreSQL's spelling. Statements are judged by PostgreSQL's own grammar, functions and views by the catalogue. */
export const postgresDialect: SqlDialect = {
  name: 'postgres',
  hasNumberedParameters: true,
  quote: quoteIdentifier,
  orderBy: (expression, column) => isNumber(column) || isTime(column) || column.type === 'uuid' ||
    (column.type === 'text' && column.origin === undefined && TEXT_TYPES.has(column.sqlType)) ? expression : undefined,
  checkOrder,
  toText: expression => `CAST(${expression} AS pg_catalog.text)`,
  fromText: (placeholder, { sqlType }) => `CAST(${placeholder} AS ${sqlType})`,
  less(value, overlap, column) {
    if (isTime(column)) return column.type === 'time' ? undefined : `CAST(${value} - CAST(${overlap} AS pg_catalog.interval) AS ${column.sqlType})`
    // a type's limit is no place to stop at: beyond it everything is re-read, so the difference is numeric
    return isNumber(column) ? column.type.startsWith('float') ? `(${value} - CAST(${overlap} AS pg_catalog.float8))` : `(${value} - CAST(${overlap} AS pg_catalog.numeric))` : undefined
  },
  // a bare name is a column's first, if there is one of that name
  rowHash: alias => `pg_catalog.hashtextextended(CAST(${alias}.* AS pg_catalog.text), 0)`,
  judge,
}
