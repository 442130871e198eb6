import { AsyncLocalStorage } from 'node:async_hooks'
import { idAt, lowerBound, type IdArray } from '../batch/ids.js'
import type { FetchedBatch, RawColumn } from '../batch/window.js'
import { FetcherContractError } from '../errors.js'
import type { Run } from '../run.js'
import type { Fetcher } from '../source/fetcher.js'
import { picked } from './batch-rows.js'
import type { FetchOutcome } from './fetch-batch.js'

/**
 * Single flight: calls that need the same ids of the same table, columns and fetcher at the same time share one fetch.
 *
 * A flight lives from its start until its rows reached the owner's segment, and a little longer while others of its kind are
 * under way. It is aborted only when everybody who waits for it is. When it fails, one of those who had joined asks again, and
 * the others join him; who has joined two that failed gives up.
 */
interface Flight {
  ids: IdArray
  outcome: Promise<FetchOutcome>
  waiting: number
  abort: AbortController
  /** The table's version when the owner planned: rows fetched before an invalidation are not for those who come after it. */
  since: number
  /** When it started, by `clock`. */
  started: number
  /** Flights that the fetcher's own requests wait for, with repeats. */
  waitsFor: Flight[]
  /** When it ended; undefined while it goes on. */
  landed?: number
}

/** Finished flights kept for stragglers, while several calls of one kind run. */
const KEPT_FLIGHTS = 4

/** Flights joined in vain before a call shares their failure. */
const MAX_FAILED_JOINS = 2

class FlightGroup {
  flights: Flight[] = []
  finished: Flight[] = []
  calls = 0
}

const groups = new WeakMap<Fetcher, Map<string, FlightGroup>>()

/** The flights a piece of code runs inside of: a fetcher that waits for its own flight would wait for ever. */
const ancestors = new AsyncLocalStorage<ReadonlySet<Flight>>()

/** Orders what happens in this process. */
let clock = 0

/** A batch that a call needs. */
interface Asked {
  ids: IdArray
  index: number
  run: Pick<Run, 'since' | 'invalidated'>
  signal: AbortSignal
}

interface FlightsOptions {
  fetcher: Fetcher
  /** Tells apart what must not be shared; without it nothing is. */
  kind?: string | undefined
  /** Share only fetches that begin after this moment (`refresh`). */
  fresh?: boolean | undefined
}

/** One call's view of the flights of its kind, from before it plans until it has ended. */
export class Flights {
  readonly #group: FlightGroup
  readonly #isLeaf: boolean
  readonly #notBefore: number
  readonly #leave: () => void
  readonly #began = ++clock
  #ended = false

  constructor({ fetcher, kind = `alone ${++clock}`, fresh = false }: FlightsOptions) {
    const kinds = groups.get(fetcher) ?? new Map<string, FlightGroup>()
    groups.set(fetcher, kinds)
    const group = kinds.get(kind) ?? new FlightGroup()
    kinds.set(kind, group)
    group.calls++
    this.#group = group
    this.#isLeaf = fetcher.isLeaf === true
    this.#notBefore = fresh ? ++clock : 0
    this.#leave = () => {
      if (--group.calls === 0) kinds.delete(kind)
    }
  }

  /** This call is over. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#leave()
  }

  /**
   * Fetch `ids`, through a flight that has them already where there is one.
   *
   * @param fetch starts a flight of one's own; its signal fires when nobody waits any more
   */
  async fetch({ ids, index, run, signal }: Asked, fetch: (signal: AbortSignal) => Promise<FetchOutcome>): Promise<FetchOutcome> {
    const inside = ancestors.getStore() ?? new Set<Flight>()
    for (let failed = 1; ; failed++) {
      const known = this.#find(ids, run)
      if (!known) break
      if (waitsForAny(known, inside)) {
        return { retries: 0, failed: new FetcherContractError({ batch: index, reason: 'the fetcher asks for the very ids it is fetching' }) }
      }
      for (const flight of inside) flight.waitsFor.push(known)
      let outcome: FetchOutcome
      try {
        outcome = await this.#waitFor(known, signal)
      } finally {
        for (const flight of inside) flight.waitsFor.splice(flight.waitsFor.indexOf(known), 1)
      }
      if ('batch' in outcome) return { ...outcome, retries: 0, batch: pickIds(outcome.batch, ids, index) }
      signal.throwIfAborted()
      if (failed >= MAX_FAILED_JOINS) return { failed: outcome.failed, retries: 0 }
    }
    const outcome = await this.#waitFor(this.#start(ids, run, inside, fetch), signal)
    // the owner flattens its batch in place; sharers must not see that
    return 'batch' in outcome ? { ...outcome, batch: { ...outcome.batch, bad: new Map(outcome.batch.bad) } } : outcome
  }

  #find(ids: IdArray, run: Asked['run']): Flight | undefined {
    const { flights, finished } = this.#group
    // what ended before this call began is no fetch under way: its answer may have changed
    return [...flights, ...finished.filter(({ landed = 0 }) => landed > this.#began)].find(flight =>
      flight.since >= run.invalidated && flight.started > this.#notBefore && holdsAll(flight.ids, ids))
  }

  #start(ids: IdArray, run: Asked['run'], inside: ReadonlySet<Flight>, fetch: (signal: AbortSignal) => Promise<FetchOutcome>): Flight {
    const group = this.#group
    const flight: Flight = { ids, waiting: 0, abort: new AbortController(), outcome: Promise.resolve({ failed: undefined, retries: 0 }),
      since: run.since, started: ++clock, waitsFor: [] }
    group.flights.push(flight)
    const begin = (): Promise<FetchOutcome> => fetch(flight.abort.signal)
    // while there is a context to keep, every promise of the process costs more
    flight.outcome = this.#isLeaf ? begin() : ancestors.run(new Set([...inside, flight]), begin)
    flight.outcome.then(outcome => {
      this.#land(flight)
      // a failure is not shared with those who come later
      if (group.calls > 1 && 'batch' in outcome) group.finished = [...group.finished, flight].slice(-KEPT_FLIGHTS)
      // the only call left has passed what others finished before it
      else if (group.calls <= 1) group.finished.shift()
    }, () => this.#land(flight))
    return flight
  }

  #land(flight: Flight): void {
    flight.landed ??= ++clock
    this.#group.flights = this.#group.flights.filter(other => other !== flight)
  }

  async #waitFor(flight: Flight, signal: AbortSignal): Promise<FetchOutcome> {
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
      if (--flight.waiting === 0 && flight.landed === undefined) {
        // nobody may join what is being taken down
        this.#land(flight)
        flight.abort.abort(signal.reason ?? new Error('nobody waits for this fetch'))
      }
    }
  }
}

/** Whether `flight` is one of `these`, or waits for one of them by way of its fetcher's own requests. */
function waitsForAny(flight: Flight, these: ReadonlySet<Flight>, seen = new Set<Flight>()): boolean {
  if (these.has(flight)) return true
  if (seen.has(flight)) return false
  seen.add(flight)
  return flight.waitsFor.some(next => waitsForAny(next, these, seen))
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
  for (const [name, column] of batch.raw ?? []) raw.set(name, picked(column, picks))
  const bad = new Map(rows.flatMap((row, i) => batch.bad.has(row) ? [[i, batch.bad.get(row)!] as const] : []))
  const kept = (from: IdArray, at: readonly number[]): IdArray => from instanceof Float64Array ? Float64Array.from(at, i => from[i]!) : BigInt64Array.from(at, i => from[i] as bigint)
  return { index, ids: kept(batch.ids, rows), raw, missing: kept(ids, missing), bad }
}
