import { InvalidArgumentError } from '../../errors.js'
import { decompose } from '../decompose.js'
import { checkDatatype, type Datatype } from '../key-types.js'
import { onClient, runSql, type ProcessorPool } from './connection.js'
import type { ProcessorNames } from './names.js'

/** A query that producers may ask for by its id. */
export interface RegisteredQuery {
  readonly id: string
  readonly sql: string
  readonly partitionKey: string
  readonly datatype: Datatype | undefined
  /** Values that go with it. */
  readonly parameters: number
}

/** What a registered query is for. */
export interface RegisterOptions {
  partitionKey: string
  datatype?: Datatype | undefined
}

/** How many values a statement takes, by the server's word, which also tells whether it can be run at all. */
async function countParameters(pool: ProcessorPool, sql: string): Promise<number> {
  return onClient(pool, async client => {
    await runSql(client, 'prepare the query', `PREPARE millrace_registered AS ${sql}`)
    const [row] = await runSql(client, 'count its parameters', "SELECT pg_catalog.cardinality(parameter_types) AS count FROM pg_catalog.pg_prepared_statements WHERE name = 'millrace_registered'")
    await runSql(client, 'forget the query', 'DEALLOCATE millrace_registered')
    return Number(row!['count'])
  })
}

/**
 * Register a query, or change it under its id.
 *
 * @throws {UnsupportedQueryError} no set of it could ever narrow a query
 * @throws {PartitionBackendError} the server does not take it
 */
export async function registerQuery(pool: ProcessorPool, { registered }: ProcessorNames, id: string, sql: string, { partitionKey, datatype }: RegisterOptions): Promise<RegisteredQuery> {
  if (typeof id !== 'string' || id === '' || id.includes('\0')) throw new InvalidArgumentError({ argument: 'id', expected: 'a text that is not empty', found: String(id) })
  if (datatype !== undefined) checkDatatype(datatype)
  decompose(sql, { partitionKey })
  const parameters = await countParameters(pool, sql)
  await runSql(pool, 'register a query', `INSERT INTO ${registered} (id, query, partition_key, datatype, parameter_count) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE
    SET query = excluded.query, partition_key = excluded.partition_key, datatype = excluded.datatype, parameter_count = excluded.parameter_count`, [id, sql, partitionKey, datatype ?? null, parameters])
  return { id, sql, partitionKey, datatype, parameters }
}

/** Every registered query, by id. */
export async function registeredQueries(pool: ProcessorPool, { registered }: ProcessorNames): Promise<RegisteredQuery[]> {
  const rows = await runSql(pool, 'read the registered queries', `SELECT * FROM ${registered} ORDER BY id COLLATE "C"`)
  return rows.map(row => ({ id: row['id']!, sql: row['query']!, partitionKey: row['partition_key']!, datatype: (row['datatype'] ?? undefined) as Datatype | undefined,
    parameters: Number(row['parameter_count']) }))
}

/** Answers whether there was one. */
export async function unregisterQuery(pool: ProcessorPool, { registered }: ProcessorNames, id: string): Promise<boolean> {
  return (await runSql(pool, 'unregister a query', `DELETE FROM ${registered} WHERE id = $1 RETURNING id`, [id])).length > 0
}
