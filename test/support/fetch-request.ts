import { expect } from 'chai'
import type { Id } from '../../lib/batch/ids.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { parseColumnName } from '../../lib/json/column-name.js'
import type { FetchRequest, Source } from '../../lib/source/fetcher.js'

/** The request a stage would make for these columns. */
export function requestOf(columns: readonly string[], { idColumn = 'id', signal = new AbortController().signal, index = 0 } = {}): FetchRequest {
  const plain = columns.filter(name => parseColumnName(name).path === undefined).map(name => parseColumnName(name).column)
  const paths = columns.filter(name => parseColumnName(name).path !== undefined)
  const bases = paths.map(name => parseColumnName(name).column)
  return { columns: [...new Set([...plain, ...bases])], plain, paths, idColumn, signal, batch: { index } }
}

/** Everything a source that answers in batches has for these ids. */
export async function fetchAll(source: Source, ids: readonly Id[], table: string, request: FetchRequest): Promise<RowBatch[]> {
  const batches: RowBatch[] = []
  for await (const batch of await source.fetch(ids, table, request) as AsyncIterable<RowBatch>) batches.push(batch)
  return batches
}

/** The error a promise rejects with; fails the test when it does not, or with something else. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).to.be.instanceOf(Error)
  return error as Error
}

/** Reads batches to their end; how many rows there were. */
export async function drain(batches: AsyncIterable<RowBatch> | AsyncIterator<RowBatch>): Promise<number> {
  const iterator = Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches
  let rows = 0
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) rows += next.value.length
  return rows
}
