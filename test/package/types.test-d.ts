/** What the public types promise, checked by `npm run typecheck`: this file is compiled, never run. */
import { Readable } from 'node:stream'
import type { BatchFailedError, BatchFailure, MillraceError } from '../../lib/errors.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import type { Row } from '../../lib/batch/row-factory.js'
import type { FetchRequest, Fetcher } from '../../lib/source/fetcher.js'
import { getData } from '../../pipelines/get-data.js'
import { streamData } from '../../pipelines/stream-data.js'

/** True only if both types are the same, `any` and optional marks included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
function holds<Claim extends true>(): Claim | undefined {
  return undefined
}

interface Person {
  id: number
  name: string | null
}

declare const batch: RowBatch<Person>
holds<Same<ReturnType<typeof batch.toRows>, Person[]>>()
holds<Same<typeof batch extends Iterable<infer R> ? R : never, Person>>()
holds<Same<ReturnType<RowBatch['toRows']>, Row[]>>()

// a batch and what it hands out cannot be written to
// @ts-expect-error length is read-only
batch.length = 3
// @ts-expect-error the schema is read-only
batch.schema.push({ name: 'x', type: 'text', nullable: false })

// every way to write a fetcher
const plain: Fetcher = async ids => ids.map(id => ({ id }))
const synchronous: Fetcher = ids => ids.map(id => ({ id }))
const yielding: Fetcher = async function * (ids) { for (const id of ids) yield { id } }
const inLists: Fetcher = async function * (ids) { yield ids.map(id => ({ id })) }
const inBatches: Fetcher = async function * () { yield batch as unknown as RowBatch }
const streamed: Fetcher = ids => Readable.from(ids.map(id => ({ id })))
const typed: Fetcher = (ids, table, { columns, signal }) => {
  holds<Same<typeof ids, readonly (number | bigint)[]>>()
  holds<Same<typeof table, string>>()
  holds<Same<typeof columns, FetchRequest['columns']>>()
  holds<Same<typeof signal, AbortSignal>>()
  return []
}
// @ts-expect-error rows are objects
const numbers: Fetcher = async () => [1, 2, 3]
// @ts-expect-error ids are read-only: sort a copy
const sorting: Fetcher = async ids => { ids.sort(); return [] }
void [plain, synchronous, yielding, inLists, inBatches, streamed, typed, numbers, sorting]

// a literal tuple of columns types the rows: the id, and a property for each
const request = { ids: [1], table: 'public.t', fetcher: plain }
const literal = () => getData({ ...request, columns: ['name', 'meta.address.city'] })
type Literal = Awaited<ReturnType<typeof literal>>
holds<Same<ReturnType<Literal['toRows']>, { id: number | bigint, name: unknown, 'meta.address.city': unknown }[]>>()
holds<Same<Literal extends Iterable<infer R> ? R : never, { id: number | bigint, name: unknown, 'meta.address.city': unknown }>>()
holds<Same<Literal['batches'][number], RowBatch<{ id: number | bigint, name: unknown, 'meta.address.city': unknown }>>>()
// the id under its own name, named among the columns or not
const keyed = () => getData({ ...request, idColumn: 'key', columns: ['key', 'name'] })
holds<Same<ReturnType<Awaited<ReturnType<typeof keyed>>['toRows']>, { key: number | bigint, name: unknown }[]>>()
// columns known at run time only: plain rows
declare const names: string[]
const loose = () => getData({ ...request, columns: names })
holds<Same<ReturnType<Awaited<ReturnType<typeof loose>>['toRows']>, Row[]>>()
// a row type of one's own
const own = () => getData<Person>({ ...request, columns: ['name'] })
holds<Same<ReturnType<Awaited<ReturnType<typeof own>>['toRows']>, Person[]>>()
const streamedRows = async (): Promise<void> => {
  for await (const rows of streamData({ ...request, columns: ['name'] })) for (const row of rows) {
    holds<Same<typeof row, { id: number | bigint, name: unknown }>>()
    // @ts-expect-error not asked for
    void row.city
  }
  for await (const rows of streamData<Person>({ ...request, columns: ['name'] })) holds<Same<ReturnType<typeof rows.toRows>, Person[]>>()
}
void [literal, keyed, loose, own, streamedRows]

declare const failure: BatchFailedError
holds<Same<typeof failure.failures, readonly BatchFailure[]>>()
holds<Same<typeof failure.code, string>>()
const general: MillraceError = failure
void general
