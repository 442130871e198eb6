import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

/** When eviction runs. */
export interface EvictionRoundsOptions {
  /** From the end of one round to the start of the next, in ms. */
  everyMs: number
  /** Rounds in all (default: until aborted). */
  rounds?: number | undefined
  /** Ends the stream, as its last round would. */
  signal?: AbortSignal | undefined
}

/** Readable of numbers from 1: the first round at once, each other one `everyMs` after the one before was taken. */
export function evictionRounds({ everyMs, rounds = Infinity, signal }: EvictionRoundsOptions): Readable {
  async function * numbers(): AsyncGenerator<number> {
    for (let round = 1; round <= rounds && !signal?.aborted; round++) {
      yield round
      // the wait is cut short by the signal, which is an end and no error
      if (round < rounds) await delay(everyMs, undefined, { signal }).catch(() => {})
    }
  }
  return Readable.from(numbers(), { objectMode: true, highWaterMark: 1 })
}
