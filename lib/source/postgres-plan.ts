import { createHash } from 'node:crypto'
import type { IdArray } from '../batch/ids.js'
import type { ColumnType } from '../batch/column-type.js'
import { ColumnNotFoundError } from '../errors.js'
import type { TableName } from '../store/table-name.js'
import { heldIds, isDense } from './answer.js'
import type { FetchRequest } from './fetcher.js'
import { columnsOf, idTypeOf, type PgTable } from './postgres-catalogue.js'
import { pathColumn, type PathColumn } from './path-columns.js'
import { escapedJson, pathSql, quoteIdentifier, serverFollows } from './postgres-sql.js'
import { baseType, declaredAs, jsonKind, readAs, type PgTypes, type ReadAs } from './postgres-types.js'

/** What one column of the SELECT list is for. */
export type Output =
  | { kind: 'id', name: string, oid: number }
  | { kind: 'column', name: string, oid: number, as: ReadAs }
  /** JSON text of the value at `path`; `escaped` is the position of the column that has the rows it could not follow. */
  | { kind: 'path', name: string, path: PathColumn, escaped: number | undefined }
  | { kind: 'escaped', name: string }

/** A fetch, decided: what to send and how to read the answer. */
export interface FetchPlan {
  text: string
  values: unknown[]
  /** The prepared statement's name: the same text has the same name. */
  statement: string
  outputs: readonly Output[]
  /** The asked ids, ascending, as far as the id column's type can hold them. */
  ids: IdArray
  /** Rows that were not asked for may come as well. */
  isRange: boolean
}

function splitPaths(table: PgTable, request: FetchRequest, types: PgTypes): { whole: string[], projected: PathColumn[] } {
  const plain = new Set(request.plain)
  const paths = request.paths.map(pathColumn)
  const missing = [...plain].filter(name => !table.columns.has(name))
  missing.push(...paths.filter(path => !table.columns.has(path.base)).map(path => path.name))
  if (missing.length > 0) throw new ColumnNotFoundError({ table: table.name, columns: missing })
  const needsBase = (path: PathColumn): boolean => plain.has(path.base) || !serverFollows(path.keys) ||
    jsonKind(table.columns.get(path.base)!.oid, types) === undefined || table.columns.has(path.name)
  const bases = new Set(paths.filter(needsBase).map(path => path.base))
  const projected = paths.filter(path => !plain.has(path.base) && !bases.has(path.base))
  plain.delete(request.idColumn)
  bases.delete(request.idColumn)
  return { whole: [...new Set([...plain, ...bases])], projected }
}

/**
 * Decide a fetch: exactly the id, the columns asked for as themselves, and dotted ones read on the server where it gives what
 * the client would find. Pure.
 *
 * @throws {ColumnNotFoundError} naming every column the table lacks
 * @throws {InvalidArgumentError} the id column holds no integers
 */
export function planFetch(table: PgTable, { schema, table: name }: TableName, ids: IdArray, request: FetchRequest,
  types: PgTypes, columnTypes: ReadonlyMap<string, ColumnType>): FetchPlan {
  const { whole, projected } = splitPaths(table, request, types)
  const [idColumn] = columnsOf(table, [request.idColumn])
  const idType = idTypeOf(idColumn!, request.idColumn, types)
  const asked = heldIds(ids, idType)
  const isRange = isDense(asked)
  const values: unknown[] = isRange ? [String(asked[0]), String(asked[asked.length - 1])] : [`{${asked.join(',')}}`]
  const bind = (value: string): string => `$${values.push(value)}`
  const id = quoteIdentifier(request.idColumn)
  const selected = [id]
  const outputs: Output[] = [{ kind: 'id', name: request.idColumn, oid: baseType(idColumn!.oid, -1, types).oid }]
  for (const column of whole) {
    const { oid, modifier, dimensions } = table.columns.get(column)!
    selected.push(quoteIdentifier(column))
    outputs.push({ kind: 'column', name: column, oid: baseType(oid, modifier, types).oid,
      as: declaredAs(readAs(oid, modifier, types, dimensions), columnTypes.get(column)) })
  }
  const escapedAt = new Map<string, number>()
  for (const path of projected) {
    const column = quoteIdentifier(path.base)
    const kind = jsonKind(table.columns.get(path.base)!.oid, types)!
    if (kind === 'json' && !escapedAt.has(path.base)) {
      escapedAt.set(path.base, selected.push(escapedJson(column)) - 1)
      outputs.push({ kind: 'escaped', name: path.base })
    }
    selected.push(pathSql(column, kind, path.keys, bind))
    outputs.push({ kind: 'path', name: path.name, path, escaped: escapedAt.get(path.base) })
  }
  const type = `pg_catalog.${idType.name}`
  const where = isRange ? `BETWEEN $1::${type} AND $2::${type}` : `= ANY ($1::${type}[])`
  const text = `SELECT ${selected.join(', ')} FROM ${quoteIdentifier(schema)}.${quoteIdentifier(name)} WHERE ${id} ${where}`
  const statement = `millrace_${createHash('sha256').update(`${table.version} ${text}`).digest('hex').slice(0, 32)}`
  return { text, values, statement, outputs, ids: asked, isRange }
}
