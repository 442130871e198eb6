import { namesOf, walk, type Select } from '../sql/ast.js'
import { parseSelect } from '../sql/grammar.js'
import { isAggregate, volatilityOf, type FunctionVolatility } from '../sql/volatility.js'
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
}

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
    CASE WHEN c.relkind = 'v' THEN pg_catalog.pg_get_viewdef(c.oid) END AS definition
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

/** What makes a view answer otherwise while its tables stay as they are. */
function hazardOfView(definition: string, volatility: FunctionVolatility): string | undefined {
  const select = queryOf(definition)
  if (!select) return 'a view that could not be read'
  let hazard: string | undefined
  const checkSelect = ({ limitCount, limitOffset, sortClause, larg, rarg }: Select): void => {
    if ((limitCount || limitOffset) && !sortClause) hazard ??= 'a view with LIMIT without ORDER BY'
    if (larg) checkSelect(larg)
    if (rarg) checkSelect(rarg)
  }
  checkSelect(select)
  walk(select, node => {
    if (node.SelectStmt) checkSelect(node.SelectStmt)
    if (node.SQLValueFunction) hazard ??= `a view with ${node.SQLValueFunction.op.replace('SVFOP_', '').toLowerCase()}`
    if (node.RangeTableSample) hazard ??= 'a view with TABLESAMPLE'
    if (node.FuncCall) {
      const names = namesOf(node.FuncCall.funcname)
      if (!isAggregate(names.at(-1)!) && volatilityOf(names, volatility) !== 'immutable') hazard ??= `a view with the function ${names.at(-1)!}, which is not immutable`
    }
    const type = node.TypeCast && namesOf(node.TypeCast.typeName.names).at(-1)
    if (isTimeType(type) && !node.TypeCast?.arg.A_Const) hazard ??= `a view with a cast to ${type}, which may depend on the session`
  })
  return hazard
}

/** What is known of each name. */
export function relationFacts(names: readonly string[], rows: readonly RelationRow[], volatility: FunctionVolatility): Map<string, RelationFacts> {
  return new Map(names.map(root => {
    const own = rows.filter(row => row.root === root)
    const hazards = own.map(({ name, isTemporary, hidesRows, definition }) => isTemporary ? `the temporary table ${name}`
      : hidesRows ? `row-level security on ${name}` : definition === null ? undefined : hazardOfView(definition, volatility))
    return [root, { hazard: hazards.find(hazard => hazard !== undefined), sources: [...new Set(own.map(({ schema, name }) => tableText(schema, name)))].sort() }]
  }))
}
