import { InvalidArgumentError } from '../../errors.js'
import type { PgClient, PgPool } from '../../source/postgres-session.js'
import { PartitionBackendError } from '../backend.js'
import { isTransientPostgres, RAW, type QueryPool, type Row } from '../backends/postgresql-store.js'

/** A pool of the `pg` package. */
export type ProcessorPool = QueryPool & PgPool

/** Undefined table, function, schema: there is no such processor. */
const NOT_THERE: ReadonlySet<unknown> = new Set(['42P01', '42883', '3F000', '42704'])

/** @throws {PartitionBackendError} the statement failed @throws {InvalidArgumentError} nothing was set up there */
export async function runSql(on: QueryPool | PgClient, action: string, text: string, values?: readonly unknown[]): Promise<Row[]> {
  try {
    const result = await (on).query({ text, types: RAW, ...(values && { values: [...values] }) })
    return result.rows as Row[]
  } catch (cause) {
    if (NOT_THERE.has((cause as { code?: unknown }).code)) {
      throw new InvalidArgumentError({ argument: 'name', expected: 'a processor that was set up in this database and schema (pcache-processor setup)', found: (cause as Error).message, cause })
    }
    throw new PartitionBackendError({ backend: 'postgresql processor', action: `could not ${action}`, cause, isTransient: isTransientPostgres(cause) })
  }
}

/** Do something on one connection of a pool; it is not used again where that failed half-way. */
export async function onClient<T>(pool: PgPool, work: (client: PgClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  const ignore = (): void => {}
  client.on('error', ignore)
  try {
    const answer = await work(client)
    client.removeListener('error', ignore)
    client.release()
    return answer
  } catch (error) {
    client.removeListener('error', ignore)
    client.release(true)
    throw error
  }
}
