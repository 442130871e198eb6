import { AsyncLocalStorage } from 'node:async_hooks'
import { idAt, lowerBound, type IdArray } from '../batch/ids.js'
import type { FetchedBatch, RawColumn } from '../batch/window.js'
import { gatherVector } from '../batch/vector.js'
import { FetcherContractError } from '../errors.js'
import type { Fetcher } from '../source/fetcher.js'
import type { FetchOutcome } from './fetch-batch.js'

/**
 * Single flight: calls that need the same ids of the same table, columns and fetcher at the same time share one fetch.
 *
 * A flight lives from its start until its rows reached the owner's segment, and a little longer while others of its kind are
 * under way. It is aborted only when everybody who waits for it is; when it fails, who had joined fetches for himself.
 */
interface Flight {
  ids: IdArray
  outcome: Promise<FetchOutcome>
  waiting: number
  abort: AbortController
}

/** Finished flights kept for stragglers, while several calls of one kind run. */
const KEPT_FLIGHTS = 4

class FlightGroup {
  flights: Flight[] = []
  finished: Flight[] = []
  calls = 0
}

const groups = new WeakMap<Fetcher, Map<string, FlightGroup>>()

/** The flights a piece of code runs inside of: a fetcher that waits for its own flight would wait for ever. */
const ancestors = new AsyncLocalStorage<ReadonlySet<Flight>>()

/** One call's view of the flights of its kind. */
export class Flights {
  readonly #group: FlightGroup
  #ended = false

  constructor(fetcher: Fetcher, kind: string) {
    let kinds = groups.get(fetcher)
    if (!kinds) groups.set(fetcher, kinds = new Map<string, FlightGroup>())
    let group = kinds.get(kind)
    if (!group) kinds.set(kind, group = new FlightGroup())
    this.#group = group
    group.calls++
  }

  /** This call is over. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    if (--this.#group.calls < 2) this.#group.finished = []
  }

  /**
   * Fetch `ids`, through a flight that has them already where there is one.
   *
   * @param fetch starts a flight of one's own; its signal fires when nobody waits any more
   */
  async fetch(ids: IdArray, index: number, signal: AbortSignal, fetch: (signal: AbortSignal) => Promise<FetchOutcome>): Promise<FetchOutcome> {
    const group = this.#group
    const known = [...group.flights, ...group.finished].find(flight => holdsAll(flight.ids, ids))
    if (known) {
      if (ancestors.getStore()?.has(known)) {
        return { retries: 0, failed: new FetcherContractError({ batch: index, reason: 'the fetcher asks for the very ids it is fetching' }) }
      }
      const outcome = await waitFor(known, signal)
      if ('batch' in outcome) return { ...outcome, retries: 0, batch: pickIds(outcome.batch, ids, index) }
      signal.throwIfAborted()
    }
    const flight: Flight = { ids, waiting: 0, abort: new AbortController(), outcome: Promise.resolve({ failed: undefined, retries: 0 }) }
    const above = ancestors.getStore()
    flight.outcome = ancestors.run(new Set([...above ?? [], flight]), () => fetch(flight.abort.signal))
    group.flights.push(flight)
    const land = (): void => {
      group.flights = group.flights.filter(other => other !== flight)
      if (group.calls > 1) group.finished = [...group.finished, flight].slice(-KEPT_FLIGHTS)
    }
    flight.outcome.then(outcome => {
      land()
      // a failure is not shared with those who come later
      if ('failed' in outcome) group.finished = group.finished.filter(other => other !== flight)
    }, () => { group.flights = group.flights.filter(other => other !== flight) })
    const outcome = await waitFor(flight, signal)
    // the owner flattens its batch in place; sharers must not see that
    return 'batch' in outcome ? { ...outcome, batch: { ...outcome.batch, bad: new Map(outcome.batch.bad) } } : outcome
  }
}

async function waitFor(flight: Flight, signal: AbortSignal): Promise<FetchOutcome> {
  signal.throwIfAborted()
  flight.waiting++
  let stop: (() => void) | undefined
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([flight.outcome, stopped])
  } finally {
    if (stop) signal.removeEventListener('abort', stop)
    if (--flight.waiting === 0) flight.abort.abort(signal.reason ?? new Error('nobody waits for this fetch'))
  }
}

/** Whether sorted `all` contains every one of sorted `some`. */
function holdsAll(all: IdArray, some: IdArray): boolean {
  if (some.length > all.length || some.length === 0) return false
  let at = lowerBound(all, idAt(some, 0))
  for (let i = 0; i < some.length; i++, at++) {
    while (at < all.length && all[at]! < some[i]!) at++
    // eslint-disable-next-line eqeqeq -- a bigint id and the same number are one id
    if (at >= all.length || all[at]! != some[i]!) return false
  }
  return true
}

/** The part of a fetched batch that concerns `ids`. */
function pickIds(batch: FetchedBatch, ids: IdArray, index: number): FetchedBatch {
  const rows: number[] = []
  const missing: number[] = []
  for (let i = 0; i < ids.length; i++) {
    const at = lowerBound(batch.ids, idAt(ids, i))
    // eslint-disable-next-line eqeqeq
    if (at < batch.ids.length && batch.ids[at]! == ids[i]!) rows.push(at)
    else missing.push(i)
  }
  const picks = Uint32Array.from(rows)
  const raw = new Map<string, RawColumn>()
  for (const [name, column] of batch.raw ?? []) {
    raw.set(name, 'vector' in column ? { field: column.field, vector: gatherVector(column.vector, picks) } : { values: rows.map(row => column.values[row]) })
  }
  const bad = new Map(rows.flatMap((row, i) => batch.bad.has(row) ? [[i, batch.bad.get(row)!] as const] : []))
  const kept = (from: IdArray, at: readonly number[]): IdArray => from instanceof Float64Array ? Float64Array.from(at, i => from[i]!) : BigInt64Array.from(at, i => from[i] as bigint)
  return { index, ids: kept(batch.ids, rows), raw, missing: kept(ids, missing), bad }
}
