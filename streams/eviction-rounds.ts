import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { checkInteger, checkNumber } from '../lib/check-number.js'
import { timerMs } from '../lib/timers.js'

/** When eviction runs. */
export interface EvictionRoundsOptions {
  /** From the end of one round to the start of the next, in ms: at least 1, waits of more than 24 days are cut to that. */
  everyMs: number
  /** Rounds in all (default: until aborted). */
  rounds?: number | undefined
  /** Ends the stream, as its last round would. */
  signal?: AbortSignal | undefined
}

/**
 * Readable of numbers from 1: the first round at once, each other one `everyMs` after the one before was taken.
 *
 * @throws {InvalidArgumentError} `everyMs` or `rounds` is no number of its kind
 */
export function evictionRounds({ everyMs, rounds = Infinity, signal }: EvictionRoundsOptions): Readable {
  checkNumber('everyMs', everyMs, 1)
  if (rounds !== Infinity) checkInteger('rounds', rounds, 0)
  async function * numbers(): AsyncGenerator<number> {
    for (let round = 1; round <= rounds && !signal?.aborted; round++) {
      yield round
      // the wait is cut short by the signal, which is an end and no error
      if (round < rounds) await delay(timerMs(everyMs), undefined, { signal }).catch(() => {})
    }
  }
  return Readable.from(numbers(), { objectMode: true, highWaterMark: 1 })
}
