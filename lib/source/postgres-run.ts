import type { ColumnType } from '../batch/column-type.js'
import type { RowBatch } from '../batch/row-batch.js'
import { InvalidArgumentError } from '../errors.js'
import type { SourceQueryOptions } from './fetcher.js'
import { learnTypes, type PgTable } from './postgres-catalogue.js'
import type { CopyStreamOptions } from './postgres-copy-stream.js'
import { decodeQuery, type PgField, type RawBatch } from './postgres-decode.js'
import { typedError } from './source-error.js'
import { checkFields, checkSql } from './statement.js'
import { borrow, guarded, unpin, type Lease, type Limits, type PgClient, type PgPool } from './postgres-session.js'
import { sqlParameter } from './postgres-sql.js'
import { declaredAs, readAs, type PgTypes } from './postgres-types.js'

/** A statement to stream. */
export interface StreamRequest {
  text: string
  values: unknown[]
  /** Prepared under this name. */
  name?: string | undefined
  batchRows: number
  limits: Limits
}

/** A COPY to stream. */
export interface CopyRequest extends Pick<CopyStreamOptions, 'text' | 'columns' | 'batchRows' | 'check' | 'decode'> {
  limits: Limits
}

/** Fetch by COPY where that is faster and the server does not refuse, wherever it is possible at all, or never. */
export type CopyMode = 'auto' | boolean

/** What a source's calls share. */
export interface PgContext {
  readonly pool: PgPool
  readonly identity: string | undefined
  readonly batchRows: number
  /** As `batchRows`, of a COPY. */
  readonly copyRows: number
  readonly timeoutMs: number
  readonly prepare: boolean
  readonly columnTypes: ReadonlyMap<string, ColumnType>
  /** Tables that were looked up, by name; undefined in the map: look again, as version n. */
  readonly tables: Map<string, { version: number, table?: PgTable }>
  readonly types: PgTypes
  isClosed: boolean
  cancel(client: PgClient): void
  /** Streams an answer and gives the lease back when it ends, however it ends. */
  openStream(lease: Lease, request: StreamRequest): AsyncIterable<RawBatch>
  /** Whether fetches are made by COPY; `refused`: by `auto`, until the server would not. */
  copy: CopyMode | 'refused'
  /** Whether this client is one that a COPY can be read from. */
  canCopy(client: PgClient): boolean
  /** Streams a COPY as batches, and gives the lease back as `openStream` does. */
  openCopy(lease: Lease, request: CopyRequest): AsyncIterable<RowBatch>
  /** What a statement would return. */
  describe(client: PgClient, sql: string): Promise<readonly PgField[]>
}

/** The table was altered after it was looked up. */
export class StaleCatalogue extends Error {}

/** Borrow a client, learn what is needed with it, and give it back if that fails. */
export async function prepared<T>(context: PgContext, limits: Limits, learn: (lease: Lease) => Promise<T>): Promise<{ lease: Lease, learned: T }> {
  if (context.isClosed) throw new InvalidArgumentError({ argument: 'source', expected: 'an open source', found: 'a closed one' })
  const lease = await borrow(context.pool, limits)
  try {
    return { lease, learned: await guarded(lease, limits, () => learn(lease)) }
  } catch (error) {
    lease.release()
    throw error
  }
}

/** Parameters in a form that means the same in every process time zone. */
export function parameters(params: readonly unknown[] | undefined): unknown[] {
  return (params ?? []).map((value, i) => sqlParameter(value, `params[${i}]`))
}

/** The source's `query`: describes the statement first, so that types new to the source are known before rows arrive. */
export async function * postgresQuery(context: PgContext, sql: string, { params, signal, timeoutMs = context.timeoutMs, batchRows = context.batchRows }: SourceQueryOptions = {}): AsyncGenerator<RowBatch> {
  const limits: Limits = { signal, timeoutMs, cancel: client => context.cancel(client) }
  const text = checkSql(sql)
  const values = parameters(params)
  let index = 0
  try {
    const { lease } = await prepared(context, limits, async ({ client }) => {
      const fields = await context.describe(client, text)
      checkFields(fields)
      await learnTypes(client, fields.map(field => field.dataTypeID), context.types)
    })
    unpin(lease.client)
    for await (const raw of context.openStream(lease, { text, values, batchRows, limits })) {
      const readers = raw.fields.map(field => declaredAs(readAs(field.dataTypeID, field.dataTypeModifier, context.types), context.columnTypes.get(field.name)))
      yield decodeQuery(raw, readers)
      index++
    }
  } catch (error) {
    throw typedError(context, 'query', error, index)
  }
}

/** The source's `execute`. Of several statements in one text, the sum of their counts. */
export async function postgresExecute(context: PgContext, sql: string, { params, signal, timeoutMs = context.timeoutMs }: SourceQueryOptions = {}): Promise<number> {
  const limits: Limits = { signal, timeoutMs, cancel: client => context.cancel(client) }
  const [text, values] = [checkSql(sql), parameters(params)]
  try {
    const { lease, learned } = await prepared(context, limits, ({ client }) => {
      unpin(client)
      return client.query({ text, values })
    })
    lease.release()
    // of several statements in one text the driver gives a list of results
    return [learned].flat().reduce((rows, { rowCount }) => rows + (rowCount ?? 0), 0)
  } catch (error) {
    throw typedError(context, 'execute', error)
  }
}
