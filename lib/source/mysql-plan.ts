import type { IdArray } from '../batch/ids.js'
import { InvalidArgumentError } from '../errors.js'
import { formatTableName, type TableName } from '../store/table-name.js'
import { heldIds, isDense } from './answer.js'
import type { FetchRequest } from './fetcher.js'
import { isUnambiguous, mysqlPath, quoteMySql } from './mysql-sql.js'
import { idRange, mysqlReader, type MySqlField } from './mysql-types.js'
import { splitColumns, type PathColumn } from './path-columns.js'

/** What one column of the SELECT list is for. */
export type MySqlOutput =
  | { kind: 'id' | 'column', name: string }
  /** JSON text of the value at `path`; `whole` is the position of the column that has the documents to be followed here. */
  | { kind: 'path', name: string, path: PathColumn, whole: number | undefined }
  | { kind: 'whole' }

/** A fetch, decided: what to send and how to read the answer. */
export interface MySqlPlan {
  sql: string
  values: unknown[]
  outputs: readonly MySqlOutput[]
  /** The asked ids, ascending, as far as the id column's type can hold them. */
  ids: IdArray
  /** Rows that were not asked for may come as well. */
  isRange: boolean
}

/**
 * Decide a fetch: the id, the columns asked for as themselves, and dotted ones read on the server where it gives what the client
 * would find. Pure.
 *
 * @param fields of `SELECT *` from the table
 * @throws {ColumnNotFoundError} naming every column the table lacks
 * @throws {InvalidArgumentError} the id column holds no integers
 */
export function planMySqlFetch(fields: readonly MySqlField[], name: TableName, ids: IdArray, request: FetchRequest): MySqlPlan {
  const columns = new Map(fields.map(field => [field.name, field]))
  const { whole: wanted, projected } = splitColumns(request, { table: formatTableName(name), columns, isJson: column => mysqlReader(columns.get(column)!).type === 'json' })
  const range = idRange(columns.get(request.idColumn)!)
  if (!range) {
    throw new InvalidArgumentError({ argument: 'idColumn', expected: 'a column of an integer type',
      found: `${request.idColumn} of type ${mysqlReader(columns.get(request.idColumn)!).sqlType}` })
  }

  const idText = `t.${quoteMySql(request.idColumn)}`
  const selected = [idText]
  const outputs: MySqlOutput[] = [{ kind: 'id', name: request.idColumn }]
  const add = (sql: string, output: MySqlOutput): number => {
    outputs.push(output)
    return selected.push(sql) - 1
  }
  for (const column of wanted) add(`t.${quoteMySql(column)}`, { kind: 'column', name: column })
  for (const base of new Set(projected.map(path => path.base))) {
    const column = `t.${quoteMySql(base)}`
    const own = projected.filter(path => path.base === base)
    // MySQL's own JSON type knows each key once; MariaDB keeps the text
    const guard = columns.get(base)!.extendedFormat === 'json' ? isUnambiguous(column, own.flatMap(path => path.keys)) : undefined
    const whole = guard === undefined ? undefined : add(`CASE WHEN NOT (${guard}) THEN ${column} END`, { kind: 'whole' })
    for (const path of own) {
      const value = mysqlPath(column, path.keys)
      add(guard === undefined ? value : `CASE WHEN ${guard} THEN ${value} END`, { kind: 'path', name: path.name, path, whole })
    }
  }

  const asked = heldIds(ids, range)
  const isRange = isDense(asked)
  const table = `${quoteMySql(name.schema)}.${quoteMySql(name.table)} AS t`
  const list = selected.map((text, i) => `${text} AS c${i}`).join(', ')
  // the ids lead and the table is looked into: the servers would guess 40 ids and may read all of the table
  const sql = isRange ? `SELECT ${list} FROM ${table} WHERE ${idText} BETWEEN ${asked[0]} AND ${asked[asked.length - 1]}`
    : `SELECT ${list} FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) AS asked STRAIGHT_JOIN ${table} ON ${idText} = asked.id`
  return { sql, values: isRange ? [] : [`[${asked.join(',')}]`], outputs, ids: asked, isRange }
}
