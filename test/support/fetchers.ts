import { idOf, type Id } from '../../lib/batch/ids.js'
import type { Row } from '../../lib/batch/row-factory.js'
import type { Fetcher, FetchRequest } from '../../lib/source/fetcher.js'
import { mulberry32 } from './random.js'

/** One call of a fetcher. */
export interface FetchCall {
  readonly ids: readonly Id[]
  readonly table: string
  readonly request: FetchRequest
}

/** A fetcher that remembers what it was asked. */
export interface RecordingFetcher {
  readonly fetcher: Fetcher
  readonly calls: FetchCall[]
  /** All ids asked for, in order, repeats included. */
  readonly asked: () => Id[]
  /** Forget the calls. */
  readonly reset: () => void
}

/** Record the calls of any fetcher. */
export function recording(fetch: Fetcher): RecordingFetcher {
  const calls: FetchCall[] = []
  const fetcher: Fetcher = (ids, table, request) => {
    calls.push({ ids: [...ids], table, request })
    return fetch(ids, table, request)
  }
  return { fetcher: Object.assign(fetcher, { maxConcurrency: fetch.maxConcurrency, identity: fetch.identity, isLeaf: fetch.isLeaf }),
    calls, asked: () => calls.flatMap(call => call.ids), reset: () => { calls.length = 0 } }
}

/** A fetcher of rows made by a function; undefined where the source has none. Answers with an array, like most users' code. */
export function madeFrom(rowOf: (id: Id) => Row | undefined): RecordingFetcher {
  return recording(async ids => ids.flatMap(id => {
    const row = rowOf(id)
    return row === undefined ? [] : [row]
  }))
}

/** A fetcher of these rows, whole rows, whatever columns are asked for. */
export function holding(rows: readonly Row[], idColumn = 'id'): RecordingFetcher {
  const byId = new Map(rows.map(row => [idOf(row[idColumn])!, row]))
  return madeFrom(id => byId.get(id))
}

/** The seed system's own example. */
export const SEED_ROWS: readonly Row[] = [
  { id: 1, name: 'Alice', age: 25, metadata: '{"city": "NYC"}' },
  { id: 2, name: 'Bob', age: 30, metadata: '{"city": "LA"}' },
  { id: 3, name: 'Zoë', age: null, metadata: '{"city": "São Paulo", "zip": null}' },
]

/** A row that any id has: what a test can compute again. */
export function sampleRow(id: Id): Row {
  const n = Number(id)
  return { id, name: `name ${id}`, score: n / 4, even: n % 2 === 0, note: n % 3 === 0 ? null : `note ${id}`,
    meta: JSON.stringify({ city: `city ${n % 7}`, deep: { n }, items: [{ price: n }] }) }
}

/** `from` (inclusive) to `to` (exclusive). */
export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
}

/** The same items in another order. */
export function shuffled<T>(items: readonly T[], random = mulberry32(7)): T[] {
  const result = [...items]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!]
  }
  return result
}
