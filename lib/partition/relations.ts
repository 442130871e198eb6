import { isDistinctOn, namesOf, walk, type Node, type Select } from '../sql/ast.js'
import { parseSelect } from '../sql/grammar.js'
import { isAggregate, isPlainType, orderShownBy, volatilityOf, type FunctionVolatility } from '../sql/volatility.js'
import { UnsupportedQueryError } from '../errors.js'
import { tableText } from './scope.js'
import { isTimeType } from './times.js'

/** What lies behind a table's name. */
export interface RelationFacts {
  /** Why sets that are computed from it would not hold for everybody, or not for long; undefined where nothing is known against it. */
  readonly hazard: string | undefined
  /** Every table that its rows come from, with its schema: itself, what a view reads, what inherits from it. */
  readonly sources: readonly string[]
}

/** One table behind a name, as the catalogue tells it. `isTop`: the name means this one. */
export interface RelationRow {
  readonly root: string
  readonly schema: string
  readonly name: string
  readonly isTop: boolean
  readonly isTemporary: boolean
  readonly hidesRows: boolean
  /** A view's query. */
  readonly definition: string | null
  /** A function behind an operator, a call or a cast of a view that another session or another moment may answer otherwise. */
  readonly unsteady: string | null
  /** Columns whose values have one text in every session. */
  readonly plainColumns: readonly string[]
  readonly otherColumns: readonly string[]
}

/** Columns of a table whose values have one text in every session, or those others. Labels of an enum can be renamed: for all sessions. */
const columnsThat = (arePlain: boolean): string => `ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_proc o ON o.oid = t.typoutput
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND ((o.provolatile = 'i' AND o.proname NOT IN ('interval_out', 'float4out', 'float8out', 'byteaout')) OR t.typtype = 'e') = ${arePlain})`

/** Tables behind names ($1), through views and inheritance. Whether rows are hidden is asked for the current user, behind views for anybody. */
export const RELATIONS = `WITH RECURSIVE r AS (
    SELECT name AS root, pg_catalog.to_regclass(name)::oid AS oid, true AS top FROM pg_catalog.unnest($1::text[]) AS n(name)
    UNION
    SELECT r.root, x.oid, false FROM r, LATERAL (
      SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
        WHERE w.ev_class = r.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.oid
      UNION ALL SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = r.oid) AS x
  )
  SELECT r.root, n.nspname::text AS schema, c.relname::text AS name, r.top AS "isTop", c.relpersistence = 't' AS "isTemporary",
    CASE WHEN r.top THEN pg_catalog.row_security_active(c.oid) ELSE c.relrowsecurity END AS "hidesRows",
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END AS definition,
    CASE WHEN c.relkind = 'v' THEN (SELECT pg_catalog.min(p.proname::text) FROM pg_catalog.pg_rewrite w, LATERAL pg_catalog.regexp_matches(w.ev_action::text, ':(?:op)?funcid ([0-9]+)', 'g') AS f(id)
      JOIN pg_catalog.pg_proc p ON p.oid = f.id[1]::pg_catalog.oid WHERE w.ev_class = c.oid AND p.provolatile <> 'i') END AS unsteady,
    ${columnsThat(true)} AS "plainColumns", ${columnsThat(false)} AS "otherColumns"
  FROM r JOIN pg_catalog.pg_class c ON c.oid = r.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`

function queryOf(definition: string): Select | undefined {
  try {
    return parseSelect(definition)
  } catch (error) {
    // a view that this grammar does not read is not looked into: PostgreSQL's may be newer
    if (error instanceof UnsupportedQueryError) return undefined
    throw error
  }
}

/** The functions that views call. */
export function functionsIn(rows: readonly RelationRow[]): string[] {
  const names = new Set<string>()
  for (const { definition } of rows) walk(definition === null ? undefined : queryOf(definition), ({ FuncCall: call }) => { if (call) names.add(namesOf(call.funcname).at(-1)!) })
  return [...names]
}

function outputsOf({ targetList = [], larg, rarg }: Select): readonly Node[] {
  return larg && rarg ? [...outputsOf(larg), ...outputsOf(rarg)] : targetList
}

/** Names that are columns of a plain type wherever a view's query may mean them. */
function plainNames(select: Select, rows: readonly RelationRow[]): Set<string> {
  const names = new Set(rows.flatMap(({ plainColumns }) => plainColumns))
  for (const { otherColumns } of rows) for (const name of otherColumns) names.delete(name)
  const own = new Set(outputsOf(select))
  // a name that a sub-query gives may stand for anything
  walk(select, (node: Node & { colnames?: readonly Node[], aliascolnames?: readonly Node[] }) => {
    if (node.ResTarget?.name !== undefined && !own.has(node)) names.delete(node.ResTarget.name)
    for (const name of namesOf([...node.colnames ?? [], ...node.aliascolnames ?? []])) names.delete(name)
  })
  return names
}

/** Whether a value that a view casts may have another text in another session. */
function isUnsteadyCast(arg: Node, plain: ReadonlySet<string>): boolean {
  let isUnsteady = false
  walk(arg, ({ ColumnRef: column, TypeCast: cast }) => {
    isUnsteady ||= (column && !plain.has(namesOf(column.fields).at(-1)!)) ?? isTimeType(namesOf(cast?.typeName.names).at(-1))
  })
  return isUnsteady
}

/** What makes a view answer otherwise while its tables stay as they are. `rows`: the tables behind it. */
function hazardOfView({ root, name, isTop, definition, unsteady }: RelationRow, rows: readonly RelationRow[], volatility: FunctionVolatility): string | undefined {
  if (definition === null) return undefined
  const view = isTop ? `the view ${name}` : `the view ${name} behind ${root}`
  const select = queryOf(definition)
  if (!select) return `${view}, which could not be read`
  const plain = plainNames(select, rows)
  let hazard: string | undefined
  walk(select, (node: Node & Partial<Select>) => {
    if ((node.limitCount || node.limitOffset) && !node.sortClause) hazard ??= `${view} with LIMIT without ORDER BY`
    if (isDistinctOn(node.distinctClause) && !node.sortClause) hazard ??= `${view} with DISTINCT ON without ORDER BY`
    if (node.SQLValueFunction) hazard ??= `${view} with ${node.SQLValueFunction.op.replace('SVFOP_', '').toLowerCase()}`
    if (node.RangeTableSample) hazard ??= `${view} with TABLESAMPLE`
    if (orderShownBy(node)) hazard ??= `${view} with ${namesOf(node.FuncCall?.funcname).at(-1) ?? 'an aggregate of JSON'}, which shows the order of rows`
    if (node.FuncCall) {
      const names = namesOf(node.FuncCall.funcname)
      if (!isAggregate(names.at(-1)!) && !['immutable', 'set'].includes(volatilityOf(names, volatility))) hazard ??= `${view} with the function ${names.at(-1)!}, which is not immutable`
    }
    const type = node.TypeCast && namesOf(node.TypeCast.typeName.names).at(-1)
    if (isTimeType(type) && !node.TypeCast?.arg.A_Const) hazard ??= `${view} with a cast to ${type}, which may depend on the session`
    if (node.TypeCast && !node.TypeCast.arg.A_Const && !isPlainType(type!) && isUnsteadyCast(node.TypeCast.arg, plain)) hazard ??= `${view} with a cast that may depend on the session`
  })
  return hazard ?? (unsteady === null ? undefined : `${view} with an operator or a cast (${unsteady}) that may depend on the session`)
}

/** What is known of each name. */
export function relationFacts(names: readonly string[], rows: readonly RelationRow[], volatility: FunctionVolatility): Map<string, RelationFacts> {
  return new Map(names.map(root => {
    const own = rows.filter(row => row.root === root)
    const hazards = own.map(row => row.isTemporary ? `the temporary table ${row.name}` : row.hidesRows ? `row-level security on ${row.name}` : hazardOfView(row, own, volatility))
    return [root, { hazard: hazards.find(hazard => hazard !== undefined), sources: [...new Set(own.map(({ schema, name }) => tableText(schema, name)))].sort() }]
  }))
}
