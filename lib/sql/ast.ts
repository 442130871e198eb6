/**
 * The parts of PostgreSQL's parse tree that millrace reads, as `libpg-query` prints them: one object per node, keyed by its
 * kind. Fields that are zero, false or empty are left out of the JSON.
 */

/** One node: exactly one of these is set. Kinds that nobody here looks into are only walked. */
export interface Node {
  readonly String?: { readonly sval?: string }
  readonly Integer?: { readonly ival?: number }
  readonly List?: { readonly items?: readonly Node[] }
  readonly A_Star?: object
  readonly A_Const?: Constant
  readonly A_Expr?: OperatorExpression
  readonly A_ArrayExpr?: { readonly elements?: readonly Node[] }
  readonly BoolExpr?: { readonly boolop: 'AND_EXPR' | 'OR_EXPR' | 'NOT_EXPR', readonly args: readonly Node[], readonly location?: number }
  readonly BooleanTest?: { readonly arg: Node, readonly booltesttype: string }
  readonly CaseExpr?: { readonly arg?: Node, readonly args: readonly Node[], readonly defresult?: Node }
  readonly CaseWhen?: { readonly expr: Node, readonly result: Node }
  readonly CoalesceExpr?: { readonly args: readonly Node[] }
  readonly CollateClause?: { readonly arg: Node, readonly collname: readonly Node[] }
  readonly ColumnRef?: { readonly fields: readonly Node[], readonly location?: number }
  readonly CommonTableExpr?: CommonTable
  readonly FuncCall?: FunctionCall
  readonly JoinExpr?: Join
  readonly JsonArrayAgg?: { readonly constructor: JsonAggregate }
  readonly JsonObjectAgg?: { readonly constructor: JsonAggregate }
  readonly MinMaxExpr?: { readonly op: 'IS_GREATEST' | 'IS_LEAST', readonly args: readonly Node[] }
  readonly NullTest?: { readonly arg: Node, readonly nulltesttype: 'IS_NULL' | 'IS_NOT_NULL' }
  readonly ParamRef?: { readonly number?: number, readonly location?: number }
  readonly RangeFunction?: { readonly alias?: Alias }
  readonly RangeSubselect?: { readonly lateral?: boolean, readonly subquery: Node, readonly alias?: Alias }
  readonly RangeTableSample?: { readonly location?: number }
  readonly RangeVar?: TableReference
  readonly ResTarget?: { readonly name?: string, readonly val: Node }
  readonly RowExpr?: { readonly args?: readonly Node[] }
  readonly SelectStmt?: Select
  readonly SQLValueFunction?: { readonly op: string, readonly location?: number }
  readonly SubLink?: SubLink
  readonly TypeCast?: { readonly arg: Node, readonly typeName: TypeName, readonly location?: number }
}

export interface Constant {
  readonly ival?: { readonly ival?: number }
  readonly fval?: { readonly fval: string }
  readonly sval?: { readonly sval?: string }
  readonly boolval?: { readonly boolval?: boolean }
  readonly bsval?: { readonly bsval: string }
  readonly isnull?: boolean
  readonly location?: number
}

export interface OperatorExpression {
  readonly kind: string
  readonly name?: readonly Node[]
  readonly lexpr?: Node
  readonly rexpr?: Node
  readonly location?: number
}

export interface FunctionCall {
  readonly funcname: readonly Node[]
  readonly args?: readonly Node[]
  readonly agg_order?: readonly Node[]
  readonly agg_filter?: Node
  readonly agg_within_group?: boolean
  readonly agg_star?: boolean
  readonly agg_distinct?: boolean
  readonly func_variadic?: boolean
  readonly over?: object
  readonly location?: number
}

/** JSON_ARRAYAGG and JSON_OBJECTAGG are no function calls to the grammar. */
export type JsonAggregate = Pick<FunctionCall, 'agg_order' | 'agg_filter' | 'over' | 'location'>

export interface Alias { readonly aliasname: string, readonly colnames?: readonly Node[] }

export interface TableReference {
  readonly catalogname?: string
  readonly schemaname?: string
  readonly relname: string
  readonly inh?: boolean
  readonly alias?: Alias
  readonly location?: number
}

export interface Join {
  readonly jointype: string
  readonly isNatural?: boolean
  readonly larg: Node
  readonly rarg: Node
  readonly usingClause?: readonly Node[]
  readonly quals?: Node
  readonly alias?: Alias
}

export interface SubLink {
  readonly subLinkType: string
  readonly testexpr?: Node
  readonly operName?: readonly Node[]
  readonly subselect: Node
  readonly location?: number
}

export interface TypeName {
  readonly names?: readonly Node[]
  readonly typmods?: readonly Node[]
  readonly arrayBounds?: readonly Node[]
  readonly setof?: boolean
  readonly pct_type?: boolean
}

export interface CommonTable {
  readonly ctename: string
  readonly aliascolnames?: readonly Node[]
  readonly ctequery: Node
  readonly location?: number
}

export interface Select {
  readonly distinctClause?: readonly Node[]
  readonly intoClause?: object
  readonly targetList?: readonly Node[]
  readonly fromClause?: readonly Node[]
  readonly whereClause?: Node
  readonly groupClause?: readonly Node[]
  readonly havingClause?: Node
  readonly windowClause?: readonly Node[]
  readonly valuesLists?: readonly Node[]
  readonly sortClause?: readonly Node[]
  readonly limitOffset?: Node
  readonly limitCount?: Node
  readonly lockingClause?: readonly Node[]
  readonly withClause?: { readonly ctes: readonly Node[], readonly recursive?: boolean, readonly location?: number }
  readonly op: 'SETOP_NONE' | 'SETOP_UNION' | 'SETOP_INTERSECT' | 'SETOP_EXCEPT'
  readonly all?: boolean
  readonly larg?: Select
  readonly rarg?: Select
}

/** The text of a `String` node; undefined for any other. */
export function textOf(node: Node | undefined): string | undefined {
  return node?.String ? node.String.sval ?? '' : undefined
}

/** `pg_catalog.lower` → ['pg_catalog', 'lower']. */
export function namesOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).map(node => textOf(node) ?? '*')
}

/** Whether a `distinctClause` is DISTINCT ON: that of a plain DISTINCT holds one empty node. */
export function isDistinctOn(items: readonly Node[] | undefined): boolean {
  return items?.some(item => Object.keys(item).length > 0) ?? false
}

/** Calls `see` for every object below `value`, itself included, parents first; `see` answers false to stay out of it. */
export function walk(value: unknown, see: (node: Node) => boolean | void): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, see)
  } else if (typeof value === 'object' && value !== null) {
    if (see(value) === false) return
    for (const child of Object.values(value)) if (typeof child === 'object') walk(child, see)
  }
}

const POSITION_FIELDS: ReadonlySet<string> = new Set(['location', 'rexpr_list_start', 'rexpr_list_end', 'list_start', 'list_end', 'stmt_len', 'stmt_location'])

/** Whether two trees say the same, wherever in the text they say it. */
export function isSameTree(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const left = Object.entries(a).filter(([name]) => !POSITION_FIELDS.has(name))
  const right = new Map(Object.entries(b).filter(([name]) => !POSITION_FIELDS.has(name)))
  return left.length === right.size && left.every(([name, value]) => right.has(name) && isSameTree(value, right.get(name)))
}
