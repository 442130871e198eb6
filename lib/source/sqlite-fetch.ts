import type { IdArray } from '../batch/ids.js'
import type { Field } from '../batch/column-type.js'
import { RowBatch } from '../batch/row-batch.js'
import type { Vector } from '../batch/vector.js'
import { InvalidArgumentError } from '../errors.js'
import { formatTableName, parseTableName, type TableName } from '../store/table-name.js'
import { askedRows, declaredColumns, fieldOf, isDense, pathVector } from './answer.js'
import type { FetchRequest } from './fetcher.js'
import { splitColumns, type PathColumn } from './path-columns.js'
import { quoteIdentifier } from './postgres-sql.js'
import { abortError, typedError } from './source-error.js'
import type { SqliteColumn, SqliteHandle } from './sqlite-handle.js'
import { inBatches, noTable, wholeDocument, type SqliteContext, type SqliteRows } from './sqlite-run.js'
import { agreesOn, sqlitePath } from './sqlite-sql.js'
import { classesOf, declaredType, sqliteVector, typeOfClasses } from './sqlite-types.js'
import type { ArrayFetch } from './source-fetcher.js'

type Output = { kind: 'id', name: string } | { kind: 'column', name: string, declaration: string | null } |
  { kind: 'path', name: string, path: PathColumn, whole: number } | { kind: 'whole' }

/** A table's columns, by their exact names: SQLite itself would take `ID` for `id`. */
function columnsOf(handle: SqliteHandle, { schema, table }: TableName): Map<string, SqliteColumn> | undefined {
  const quoted = quoteIdentifier(schema)
  const schemas = [...handle.prepare('SELECT name FROM pragma_database_list').rows([])].map(([name]) => name)
  if (!schemas.includes(schema)) return undefined
  const found = [...handle.prepare(`SELECT 1 FROM ${quoted}.sqlite_schema WHERE type IN ('table', 'view') AND name = ?`).rows([table])]
  if (found.length === 0) return undefined
  const columns = [...handle.prepare('SELECT name, type FROM pragma_table_xinfo(?, ?)').rows([table, schema])] as [string, string][]
  return new Map(columns.map(([name, type]) => [name, { name, type }]))
}

function planOf(columns: ReadonlyMap<string, SqliteColumn>, name: TableName, asked: IdArray, request: FetchRequest): { sql: string, params: unknown[], outputs: Output[], asked: IdArray, isRange: boolean } {
  const { whole: wanted, projected } = splitColumns(request, { table: formatTableName(name), columns, isJson: column => declaredType(columns.get(column)!.type) === 'json' })
  const idType = columns.get(request.idColumn)!.type
  if (declaredType(idType) !== 'int64') throw new InvalidArgumentError({ argument: 'idColumn', expected: 'a column that is declared to hold integers', found: `${request.idColumn} of type ${idType || 'none'}` })

  const id = `t.${quoteIdentifier(request.idColumn)}`
  const selected = [id]
  const outputs: Output[] = [{ kind: 'id', name: request.idColumn }]
  for (const column of wanted) {
    selected.push(`t.${quoteIdentifier(column)}`)
    outputs.push({ kind: 'column', name: column, declaration: columns.get(column)!.type })
  }
  for (const base of new Set(projected.map(path => path.base))) {
    const column = `t.${quoteIdentifier(base)}`
    const own = projected.filter(path => path.base === base)
    const guard = agreesOn(column, own.flatMap(path => path.keys))
    const whole = selected.push(`CASE WHEN NOT (${guard}) THEN ${column} END`) - 1
    outputs.push({ kind: 'whole' })
    for (const path of own) {
      selected.push(`CASE WHEN ${guard} THEN ${sqlitePath(column, path.keys)} END`)
      outputs.push({ kind: 'path', name: path.name, path, whole })
    }
  }
  const isRange = isDense(asked)
  const table = `${quoteIdentifier(name.schema)}.${quoteIdentifier(name.table)} AS t`
  const list = selected.map((text, i) => `${text} AS c${i}`).join(', ')
  // an INTEGER column may hold 1.5 and 'x' all the same; CROSS JOIN keeps the ids in the lead
  const sql = isRange ? `SELECT ${list} FROM ${table} WHERE ${id} BETWEEN ${asked[0]} AND ${asked[asked.length - 1]} AND typeof(${id}) = 'integer'`
    : `SELECT ${list} FROM json_each(?) AS asked CROSS JOIN ${table} ON ${id} = asked.value`
  return { sql, params: isRange ? [] : [`[${asked.join(',')}]`], outputs, asked, isRange }
}

function decode(all: SqliteRows, { outputs, asked, isRange }: Pick<ReturnType<typeof planOf>, 'outputs' | 'asked' | 'isRange'>, declared: SqliteContext['columnTypes']): RowBatch {
  const idName = (outputs[0] as { name: string }).name
  const idsOf = (rows: SqliteRows): Vector => sqliteVector('int64', rows.map(row => row[0]), idName)
  const kept = isRange ? askedRows(asked, idsOf(all)) : undefined
  const rows = kept ? Array.from(kept, row => all[row]!) : all
  const vectors: Vector[] = [idsOf(rows)]
  const schema: Field[] = [fieldOf(idName, vectors[0]!)]
  outputs.forEach((output, at) => {
    if (output.kind === 'id' || output.kind === 'whole') return
    const values = rows.map(row => row[at])
    const vector = output.kind === 'column'
      ? sqliteVector(declared.get(output.name) ?? declaredType(output.declaration) ?? typeOfClasses(classesOf(values), output.name), values, output.name)
      : pathVector(output.path.keys, values as (string | null)[], rows.map(row => row[output.whole] === null ? null : wholeDocument(String(row[output.whole]), output.path.base)))
    vectors.push(vector)
    schema.push(fieldOf(output.name, vector))
  })
  return new RowBatch(schema, vectors)
}

/** The source's `fetch`. */
export function sqliteFetch(context: SqliteContext): ArrayFetch {
  return async function * fetchRows(ids, table, request) {
    const { signal } = request
    const name = parseTableName(table)
    try {
      if (signal.aborted) throw abortError(signal)
      const { shared } = await context.pool.database()
      const handle = await context.pool.borrow(signal)
      try {
        const columns = columnsOf(handle, name)
        if (!columns) throw noTable(formatTableName(name))
        const plan = planOf(columns, name, ids, request)
        const rows = handle.prepare(plan.sql).rows(plan.params)
        for await (const batch of inBatches(rows, { batchRows: context.batchRows, signal, atOnce: shared !== undefined })) {
          const decoded = decode(batch, plan, declaredColumns(context.columnTypes, request))
          if (decoded.length > 0) yield decoded
        }
      } finally {
        await context.pool.release(handle)
      }
    } catch (error) {
      throw typedError(context, `fetch from ${formatTableName(name)}`, error, request.batch.index)
    }
  }
}
