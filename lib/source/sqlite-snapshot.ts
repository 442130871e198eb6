import type { RowBatch } from '../batch/row-batch.js'
import { checkFields, checkSql } from './statement.js'
import type { DescribedColumn, SnapshotOptions, SnapshotQuery, SourceSnapshot } from './snapshot.js'
import { abortError, typedError } from './source-error.js'
import { rollBack, sqliteParameters, sqliteRows, typeAnswer, type SqliteContext, type TypedAnswer } from './sqlite-run.js'

/**
 * One read transaction on a connection of its own; for a database in memory a copy of it. Nothing can be written through it.
 */
export async function sqliteSnapshot(context: SqliteContext, { signal }: SnapshotOptions = {}): Promise<SourceSnapshot> {
  const fail = (action: string) => (error: unknown): never => { throw typedError(context, action, error) }
  if (signal?.aborted) throw abortError(signal)
  const database = await context.pool.database().catch(fail('snapshot'))
  // a copy takes no turn of the one connection
  const handle = database.shared ? database.open() : await context.pool.borrow(signal).catch(fail('snapshot'))
  const giveBack = async (): Promise<void> => {
    rollBack(handle)
    if (database.shared) handle.close()
    else {
      handle.exec('PRAGMA query_only = 0')
      await context.pool.release(handle)
    }
  }
  try {
    handle.exec('PRAGMA query_only = 1; BEGIN')
    // the view begins with the first read
    handle.exec('SELECT 1 FROM sqlite_schema LIMIT 1')
  } catch (error) {
    await giveBack()
    return fail('snapshot')(error)
  }
  let described: { key: string, typed: TypedAnswer } | undefined
  const keyOf = (sql: string, params: readonly unknown[]): string => JSON.stringify([sql, params], (_, value: unknown) => typeof value === 'bigint' ? `${value}n` : value)

  async function * query(sql: string, { params, batchRows = context.batchRows, types }: SnapshotQuery = {}): AsyncGenerator<RowBatch> {
    try {
      const [text, values] = [checkSql(sql), sqliteParameters(params)]
      const typed = described?.key === keyOf(text, values) ? described.typed : undefined
      yield * sqliteRows(context, handle, { sql: text, params: values, batchRows, signal, known: types, typed })
    } catch (error) {
      throw typedError(context, 'query', error)
    }
  }

  async function describe(sql: string, params: readonly unknown[]): Promise<DescribedColumn[]> {
    await Promise.resolve()
    try {
      if (signal?.aborted) throw abortError(signal)
      const [text, values] = [checkSql(sql), sqliteParameters(params)]
      const statement = handle.prepare(text)
      if (statement.columns.length === 0) return []
      checkFields(statement.columns)
      const typed = typeAnswer(handle, statement, { sql: text, params: values, batchRows: context.batchRows, columnTypes: context.columnTypes })
      described = { key: keyOf(text, values), typed }
      return statement.columns.map(({ name, type }, at) => ({ name, type: typed.types[at]!, nullable: true, sqlType: (type ?? '').toUpperCase() }))
    } catch (error) {
      throw typedError(context, 'describe', error)
    }
  }

  return { session: null, describe, query, close: giveBack }
}
