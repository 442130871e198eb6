import { setImmediate as turn } from 'node:timers/promises'
import type { ColumnType } from '../batch/column-type.js'
import { RowBatch } from '../batch/row-batch.js'
import { InvalidArgumentError } from '../errors.js'
import { fieldOf } from './answer.js'
import { shownValue } from './driver-values.js'
import type { SourceQueryOptions } from './fetcher.js'
import { checkFields, checkSql } from './statement.js'
import { quoteIdentifier } from './postgres-sql.js'
import { abortError, typedError, UnreadableValue } from './source-error.js'
import type { SqliteHandle, SqliteStatement } from './sqlite-handle.js'
import type { SqlitePool } from './sqlite-pool.js'
import { sqliteParameter } from './sqlite-sql.js'
import { classesOf, declaredType, sqliteVector, typeOfClasses, type StorageClass } from './sqlite-types.js'

/** What a source's calls share. */
export interface SqliteContext {
  readonly pool: SqlitePool
  readonly batchRows: number
  readonly columnTypes: ReadonlyMap<string, ColumnType>
  /** For messages, and the keys of what is cached. */
  readonly identity: string | undefined
}

/** Some rows, by row and column. */
export type SqliteRows = readonly (readonly unknown[])[]

/** Rows in batches, with a turn for everybody else between them. The iteration ends when the reader leaves. */
export async function * inBatches(rows: Iterable<readonly unknown[]>, { batchRows, signal, atOnce = false }:
{ batchRows: number, signal: AbortSignal | undefined, atOnce?: boolean }): AsyncGenerator<SqliteRows> {
  let batch: (readonly unknown[])[] = []
  let delivered = false
  // what others do with a shared connection would meet a busy one
  for (const row of atOnce ? [...rows] : rows) {
    batch.push(row)
    if (batch.length < batchRows) continue
    if (signal?.aborted) throw abortError(signal)
    yield batch
    delivered = true
    batch = []
    await turn()
    if (signal?.aborted) throw abortError(signal)
  }
  if (batch.length > 0 || !delivered) yield batch
}

/** @throws {InvalidArgumentError} a value that no database takes */
export function sqliteParameters(params: readonly unknown[] | undefined): unknown[] {
  return (params ?? []).map((value, i) => sqliteParameter(value, `params[${i}]`))
}

/** Rows as a batch of these types. @throws {UnreadableValue} */
export function sqliteBatch(rows: SqliteRows, names: readonly string[], types: readonly ColumnType[]): RowBatch {
  const vectors = types.map((type, at) => sqliteVector(type, rows.map(row => row[at]), names[at]!))
  return new RowBatch(vectors.map((vector, at) => fieldOf(names[at]!, vector)), vectors)
}

/** An answer's types, and its rows where it had to be read to know them. */
export interface TypedAnswer {
  types: ColumnType[]
  rows?: SqliteRows
}

/**
 * The types of an answer's columns: as told, as declared by the caller, as declared by the table; for the rest the values decide. Then an
 * answer of at most one batch is read, and of a larger one the database is asked for the storage classes in it.
 *
 * @throws {UnreadableValue} a column holds values that share no type
 */
export function typeAnswer(handle: SqliteHandle, statement: SqliteStatement, { sql, params, batchRows, known, columnTypes }:
{ sql: string, params: readonly unknown[], batchRows: number, known?: ReadonlyMap<string, ColumnType> | undefined, columnTypes: SqliteContext['columnTypes'] }): TypedAnswer {
  const { columns } = statement
  const found = columns.map(({ name, type }) => known?.get(name) ?? columnTypes.get(name) ?? declaredType(type))
  if (!found.includes(undefined)) return { types: found as ColumnType[] }
  const rows: (readonly unknown[])[] = []
  let isAll = true
  for (const row of statement.rows(params)) {
    rows.push(row)
    if (rows.length <= batchRows) continue
    isAll = false
    break
  }
  if (isAll) return { rows, types: found.map((type, at) => type ?? typeOfClasses(classesOf(rows.map(row => row[at])), columns[at]!.name)) }
  const open = columns.map(({ name }, at) => ({ name, at })).filter(({ at }) => found[at] === undefined)
  const list = open.map(({ name }) => `group_concat(DISTINCT CASE WHEN q.${quoteIdentifier(name)} IS NOT NULL THEN typeof(q.${quoteIdentifier(name)}) END)`)
  const [classes] = [...handle.prepare(`SELECT ${list.join(', ')} FROM (\n${sql.replace(/[;\s]+$/, '')}\n) AS q`).rows(params)]
  const types = [...found]
  open.forEach(({ name, at }, i) => {
    types[at] = typeOfClasses(new Set(((classes![i] as string | null) ?? '').split(',').filter(Boolean) as StorageClass[]), name)
  })
  return { types: types as ColumnType[] }
}

/** Stream a statement's answer. */
export async function * sqliteRows(context: SqliteContext, handle: SqliteHandle, { sql, params, batchRows, signal, known, typed, atOnce = false }:
{ sql: string, params: readonly unknown[], batchRows: number, signal: AbortSignal | undefined, known?: ReadonlyMap<string, ColumnType> | undefined,
  typed?: TypedAnswer | undefined, atOnce?: boolean }): AsyncGenerator<RowBatch> {
  const statement = handle.prepare(sql)
  checkFields(statement.columns)
  if (statement.columns.length === 0) {
    statement.run(params)
    return
  }
  const { types, rows } = typed ?? typeAnswer(handle, statement, { sql, params, batchRows, known, columnTypes: context.columnTypes })
  const names = statement.columns.map(({ name }) => name)
  for await (const batch of inBatches(rows ?? statement.rows(params), { batchRows, signal, atOnce: atOnce && !rows })) yield sqliteBatch(batch, names, types)
}

/** The source's `query`. What the types are is found out in the same view that the rows come from. */
export async function * sqliteQuery(context: SqliteContext, sql: string, { params, signal, batchRows = context.batchRows }: SourceQueryOptions = {}): AsyncGenerator<RowBatch> {
  const text = checkSql(sql)
  let index = 0
  try {
    if (signal?.aborted) throw abortError(signal)
    const values = sqliteParameters(params)
    const { shared } = await context.pool.database()
    const handle = await context.pool.borrow(signal)
    try {
      if (!shared) handle.exec('BEGIN')
      for await (const batch of sqliteRows(context, handle, { sql: text, params: values, batchRows, signal, atOnce: shared !== undefined })) {
        yield batch
        index++
      }
      if (!shared) handle.exec('COMMIT')
    } finally {
      if (!shared) rollBack(handle)
      await context.pool.release(handle)
    }
  } catch (error) {
    throw typedError(context, 'query', error, index)
  }
}

/** End a transaction, if one is open. */
export function rollBack(handle: SqliteHandle): void {
  try {
    handle.exec('ROLLBACK')
  } catch {
    // there is none: it was committed, or SQLite ended it with the error
  }
}

/** The source's `execute`: the rows a statement changed, or returned. */
export async function sqliteExecute(context: SqliteContext, sql: string, { params, signal }: SourceQueryOptions = {}): Promise<number> {
  const text = checkSql(sql)
  try {
    if (signal?.aborted) throw abortError(signal)
    const values = sqliteParameters(params)
    const { shared } = await context.pool.database()
    const handle = await context.pool.borrow(signal)
    try {
      const statement = handle.prepare(text)
      return statement.columns.length === 0 ? statement.run(values) : [...statement.rows(values)].length
    } finally {
      // a transaction would lock others out, and take in what they write; that of a shared connection is its owner's
      if (!shared) rollBack(handle)
      await context.pool.release(handle)
    }
  } catch (error) {
    throw typedError(context, 'execute', error)
  }
}

/** JSON of a document that is to be followed here. @throws {UnreadableValue} it is none */
export function wholeDocument(text: string, column: string): string {
  try {
    JSON.parse(text)
    return text
  } catch (error) {
    throw new UnreadableValue(column, `${shownValue(text)} is no JSON (${(error as Error).message})`)
  }
}

/** @throws {InvalidArgumentError} */
export function noTable(name: string): InvalidArgumentError {
  return new InvalidArgumentError({ argument: 'table', expected: 'a table or view of the database', found: `no ${name}` })
}
