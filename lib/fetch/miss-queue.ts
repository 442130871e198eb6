import { concatIds, type IdArray } from '../batch/ids.js'

/** Batch size for a known number of misses: `max(100, ceil(misses / 100))`, so never more than 100 batches. */
export function batchSizeFor(misses: number): number {
  return Math.max(100, Math.ceil(misses / 100))
}

/**
 * Cuts a run's misses, in order, into batches of `batchSize`. The misses come all at once (a plan's) or window by window.
 * A batch holds ids of one kind, so it may be cut short where ids pass ±2^53.
 */
export class MissQueue {
  readonly #batchSize: number
  readonly #source: Iterator<IdArray> | undefined
  #pending: IdArray[] = []
  #pendingIds = 0

  /** @param planned every miss of the run, ascending; without it they are pushed */
  constructor(batchSize: number, planned?: Iterable<IdArray>) {
    this.#batchSize = batchSize
    this.#source = planned?.[Symbol.iterator]()
  }

  /** Ids that wait for their batch. */
  get size(): number {
    return this.#pendingIds
  }

  push(ids: IdArray): void {
    if (ids.length === 0) return
    this.#pending.push(ids)
    this.#pendingIds += ids.length
  }

  /** The next full batch; with `force`, or at the end of a plan, whatever there is. Undefined when there is none. */
  next(force: boolean): IdArray | undefined {
    while (this.#source && this.#pendingIds < this.#batchSize) {
      const more = this.#source.next()
      if (more.done === true) {
        force = true
        break
      }
      this.push(more.value)
    }
    if (this.#pendingIds === 0) return undefined
    const first = this.#pending[0]!
    const taken: IdArray[] = []
    let count = 0
    while (this.#pending.length > 0 && count < this.#batchSize && this.#pending[0]!.constructor === first.constructor) {
      const ids = this.#pending[0]!
      const room = this.#batchSize - count
      if (ids.length <= room) this.#pending.shift()
      else this.#pending[0] = ids.subarray(room)
      taken.push(ids.subarray(0, Math.min(room, ids.length)))
      count += taken.at(-1)!.length
    }
    const otherKindFollows = this.#pending.length > 0 && this.#pending[0]!.constructor !== first.constructor
    if (count < this.#batchSize && !force && !otherKindFollows) {
      this.#pending = [...taken, ...this.#pending]
      return undefined
    }
    this.#pendingIds -= count
    return taken.length === 1 ? taken[0]! : concatIds(taken)
  }
}
