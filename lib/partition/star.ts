import { UnsupportedQueryError } from '../errors.js'
import { isSameTree, namesOf, walk, type Node } from '../sql/ast.js'
import { parseStatement, printStatement } from '../sql/grammar.js'
import { shapeOf, type QueryOptions } from './decompose.js'
import { spelledOut } from './narrow.js'
import { tableText } from './scope.js'

/** The central table of a star, and where it holds the keys. */
export interface StarOptions extends QueryOptions {
  /** A table that holds every partition key exactly once, such as a materialised view of them: its name, or schema and name. */
  starTable: string | { readonly schema: string, readonly name: string }
  /** Its name in the query (default `p0`). */
  starAlias?: string | undefined
  /** Its key column (default: the partition key's name). */
  starColumn?: string | undefined
}

/** The star table as it stands in FROM. */
export function starText(starTable: StarOptions['starTable']): string {
  return typeof starTable === 'string' ? tableText(undefined, starTable) : tableText(starTable.schema, starTable.name)
}

function columnNode(alias: string, column: string): Node {
  return { ColumnRef: { fields: [{ String: { sval: alias } }, { String: { sval: column } }] } }
}

/**
 * Joins a central table of partition keys: every table is tied to it, instead of one to another. Same rows, as long as that table
 * holds every key once. A query that reads it already comes back as it is. Without a catalogue that has the star table, columns need
 * their tables' names.
 *
 * @throws {UnsupportedQueryError} rows without a key, or names, would be lost by that
 */
export function rewriteWithStarTable(sql: string, { starTable, starAlias = 'p0', starColumn, ...reading }: StarOptions): string {
  const { partitionKey } = reading
  const { select, aliases, keyColumns, isNullable, tables, hazard } = shapeOf(sql, reading)
  const { schema, name } = typeof starTable === 'string' ? { schema: undefined, name: starTable } : starTable
  if (tables.some(table => table.name === name && table.schema === schema)) return sql
  if (isNullable) throw new UnsupportedQueryError({ construct: 'a star table beside rows that may have no key' })
  if (hazard) throw new UnsupportedQueryError({ construct: hazard.construct, ...(hazard.position === undefined ? {} : { position: hazard.position }) })
  const column = starColumn ?? partitionKey
  const targetList = spelledOut(select)
  checkNames(select, starAlias, reading.catalogue?.tableFacts(schema, name)?.columns)
  if (!targetList) throw new UnsupportedQueryError({ construct: '* over columns joined by name, beside a star table' })

  const tied = [...aliases].flatMap(([alias, table]) => {
    const own = keyColumns.get(table)
    return own === undefined ? [] : [{ alias, column: own }]
  })
  const isTied = (node: Node | undefined): boolean => {
    const names = namesOf(node?.ColumnRef?.fields)
    return names.length === 2 && tied.some(one => one.alias === names[0] && one.column === names[1])
  }
  const { whereClause } = select
  const conjuncts = whereClause?.BoolExpr?.boolop === 'AND_EXPR' ? whereClause.BoolExpr.args : whereClause ? [whereClause] : []
  const kept = conjuncts.filter(({ A_Expr: test }) => !(test?.kind === 'AEXPR_OP' && namesOf(test.name).join('.') === '=' && isTied(test.lexpr) && isTied(test.rexpr)))
  const ties = tied.map((one): Node => ({ A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }],
    lexpr: columnNode(one.alias, one.column), rexpr: columnNode(starAlias, column) } }))
  const args = [...kept, ...ties]
  const star = { RangeVar: { ...(schema === undefined ? {} : { schemaname: schema }), relname: name, inh: true, relpersistence: 'p', alias: { aliasname: starAlias } } } as Node
  const tree: Node = { SelectStmt: { ...select, targetList, fromClause: [...select.fromClause ?? [], star],
    whereClause: args.length === 1 ? args[0]! : { BoolExpr: { boolop: 'AND_EXPR', args } } } }
  const text = printStatement(tree)
  if (ties.length === 0 || !isSameTree(parseStatement(text), tree)) throw new UnsupportedQueryError({ construct: 'a query that a star table cannot be joined to' })
  return text
}

/** A bare name, or an alias, that the star table would make ambiguous; without its columns any bare name may be. */
function checkNames(select: object, starAlias: string, columns: ReadonlyMap<string, unknown> | undefined): void {
  walk(select, ({ ColumnRef: ref, RangeVar: table, RangeSubselect: query }) => {
    const bare = ref?.fields.length === 1 && !ref.fields[0]!.A_Star ? namesOf(ref.fields)[0]! : undefined
    const isTaken = (bare !== undefined && columns?.has(bare) !== false) || (table?.alias?.aliasname ?? table?.relname) === starAlias || query?.alias?.aliasname === starAlias
    if (isTaken) throw new UnsupportedQueryError({ construct: `the bare name ${bare ?? starAlias} beside a star table` })
  })
}
