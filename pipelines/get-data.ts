import type { RowBatch } from '../lib/batch/row-batch.js'
import { Table } from '../lib/batch/table.js'
import type { DataRequest, RowOf } from './request.js'
import { streamData } from './stream-data.js'

/**
 * Rows for ids and columns as one table, sorted by id, each id once. What the cache has comes from Parquet; only missing or
 * incomplete ids are fetched, in batches, and remembered.
 *
 * @throws {InvalidArgumentError} before anything is fetched
 * @throws {ColumnNotFoundError | JSONParseError | SchemaConflictError | FetcherContractError} after the other rows were cached
 * @throws {BatchFailedError} some fetches failed; what succeeded is cached
 * @throws {DataNotFoundError} names the ids the source does not have (onMissing: 'error')
 */
export async function getData<R extends object = never, const C extends readonly string[] = readonly string[], const I extends string = 'id'>(
  request: DataRequest & { columns: C, idColumn?: I | undefined }): Promise<Table<[R] extends [never] ? RowOf<C, I> : R>> {
  type ResultRow = [R] extends [never] ? RowOf<C, I> : R
  const stream = streamData<R, C, I>(request)
  const batches: RowBatch<ResultRow>[] = []
  for await (const batch of stream) batches.push(batch)
  return new Table<ResultRow>(batches, { ...(stream.report ? { report: stream.report } : {}),
    columns: [{ name: request.idColumn ?? 'id', type: 'int64', nullable: false },
      ...request.columns.filter(name => name !== (request.idColumn ?? 'id')).map(name => ({ name, type: 'null' as const, nullable: true }))] })
}
