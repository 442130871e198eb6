import type { ColumnType } from '../batch/column-type.js'
import type { RowBatch } from '../batch/row-batch.js'
import { InvalidArgumentError } from '../errors.js'
import { formatTableName, parseTableName } from '../store/table-name.js'
import { declaredColumns } from './answer.js'
import type { SourceQueryOptions } from './fetcher.js'
import { decodeMySqlFetch, decodeMySqlQuery } from './mysql-decode.js'
import { planMySqlFetch } from './mysql-plan.js'
import { borrowMySql, type MySqlLease, type MySqlPool } from './mysql-session.js'
import { mysqlParameter, quoteMySql } from './mysql-sql.js'
import { exactly, streamMySql } from './mysql-stream.js'
import type { Waits } from './limits.js'
import { checkFields, checkSql } from './statement.js'
import { typedError } from './source-error.js'
import type { ArrayFetch } from './source-fetcher.js'

/** What a source's calls share. */
export interface MySqlContext {
  readonly pool: MySqlPool
  readonly identity: string | undefined
  readonly batchRows: number
  readonly timeoutMs: number
  readonly acquireTimeoutMs: number
  readonly columnTypes: ReadonlyMap<string, ColumnType>
  isClosed: boolean
}

/** Borrow a connection, learn what is needed with it, and give it back if that fails. */
export async function mysqlPrepared<T>(context: MySqlContext, waits: Waits, learn: (lease: MySqlLease) => Promise<T>): Promise<{ lease: MySqlLease, learned: T }> {
  if (context.isClosed) throw new InvalidArgumentError({ argument: 'source', expected: 'an open source', found: 'a closed one' })
  const lease = await borrowMySql(context.pool, waits, context.acquireTimeoutMs)
  try {
    return { lease, learned: await learn(lease) }
  } catch (error) {
    lease.release()
    throw error
  }
}

/** ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE. */
const NO_TABLE: ReadonlySet<unknown> = new Set([1049, 1146])

/** The source's `fetch`. */
export function mysqlFetch(context: MySqlContext): ArrayFetch {
  return async function * fetchRows(ids, table, request) {
    const name = parseTableName(table)
    const key = formatTableName(name)
    const waits: Waits = { signal: request.signal, timeoutMs: context.timeoutMs }
    const declared = declaredColumns(context.columnTypes, request)
    try {
      const { lease, learned: { plan, fields } } = await mysqlPrepared(context, waits, async lease => {
        // the catalogue would say the same in more round trips, and not how values come
        const { columns } = await lease.prepare(exactly(`SELECT * FROM ${quoteMySql(name.schema)}.${quoteMySql(name.table)}`), waits)
        const plan = planMySqlFetch(columns, name, ids, request)
        return { plan, fields: plan.ids.length === 0 ? [] : (await lease.prepare(exactly(plan.sql), waits)).columns }
      })
      if (plan.ids.length === 0) return lease.release()
      for await (const rows of streamMySql(lease, { sql: plan.sql, values: plan.values, batchRows: context.batchRows, fields, waits })) {
        const batch = decodeMySqlFetch(rows, plan, declared)
        if (batch.length > 0) yield batch
      }
    } catch (error) {
      if (NO_TABLE.has((error as { errno?: unknown }).errno)) throw new InvalidArgumentError({ argument: 'table', expected: 'a table or view of the database', found: `no ${key}`, cause: error })
      throw typedError(context, `fetch from ${key}`, error, request.batch.index)
    }
  }
}

/** @throws {InvalidArgumentError} not as many values as the statement has `?` */
function valuesOf(params: readonly unknown[] | undefined, count: number): unknown[] {
  const values = (params ?? []).map((value, i) => mysqlParameter(value, `params[${i}]`))
  if (values.length === count) return values
  throw new InvalidArgumentError({ argument: 'params', expected: `${count} values, one for each ?`, found: String(values.length) })
}

/** Statements that begin no transaction and take no lock that outlives them, in a session that commits by itself. */
const ENDS_BY_ITSELF = /^\s*(select|insert|update|delete|replace|with|values|show|explain|create|alter|drop|truncate|set(?!\s+statement))\b(?!.*\bget_lock\b)/is

/** Stream a statement's answer on a connection that the caller keeps, or gives away. */
export async function * mysqlRows(context: MySqlContext, lease: MySqlLease, { sql, params, batchRows, waits, keep, onCount }:
{ sql: string, params: readonly unknown[] | undefined, batchRows: number, waits: Waits, keep: boolean, onCount?: (rows: number) => void }): AsyncGenerator<RowBatch> {
  try {
    const { columns, parameters } = await lease.prepare(exactly(sql), waits)
    checkFields(columns)
    const request = { sql, values: valuesOf(params, parameters.length), batchRows, fields: columns, waits, keep: true, ...(onCount ? { onCount } : {}) }
    for await (const rows of streamMySql(lease, request)) yield decodeMySqlQuery(rows, context.columnTypes)
  } finally {
    if (!keep) lease.release(!ENDS_BY_ITSELF.test(sql))
  }
}

/** The source's `query`. */
export async function * mysqlQuery(context: MySqlContext, sql: string, { params, signal, timeoutMs = context.timeoutMs, batchRows = context.batchRows }: SourceQueryOptions = {}): AsyncGenerator<RowBatch> {
  const waits: Waits = { signal, timeoutMs }
  const text = checkSql(sql)
  let index = 0
  try {
    const { lease } = await mysqlPrepared(context, waits, () => Promise.resolve())
    for await (const batch of mysqlRows(context, lease, { sql: text, params, batchRows, waits, keep: false })) {
      yield batch
      index++
    }
  } catch (error) {
    throw typedError(context, 'query', error, index)
  }
}

/** The source's `execute`: the rows a statement changed, or returned. */
export async function mysqlExecute(context: MySqlContext, sql: string, { params, signal, timeoutMs = context.timeoutMs }: SourceQueryOptions = {}): Promise<number> {
  const waits: Waits = { signal, timeoutMs }
  const text = checkSql(sql)
  let count = 0
  try {
    const { lease } = await mysqlPrepared(context, waits, () => Promise.resolve())
    const rows = mysqlRows(context, lease, { sql: text, params, batchRows: context.batchRows, waits, keep: false, onCount: affected => { count += affected } })
    for await (const batch of rows) count += batch.length
    return count
  } catch (error) {
    throw typedError(context, 'execute', error)
  }
}
