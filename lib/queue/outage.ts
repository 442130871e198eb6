import { setTimeout as delay } from 'node:timers/promises'
import type { Source } from '../source/fetcher.js'
import { emit } from './metrics.js'

const FIRST_MS = 100
const LONGEST_MS = 5000

/** Asks a source the least that can be asked. */
export async function sourceAnswers(source: Source): Promise<void> {
  const rows = source.query('SELECT 1')[Symbol.asyncIterator]()
  while ((await rows.next()).done !== true);
}

/** Waits until `probe` succeeds: twice as long after each failure, 5 seconds at most. @throws the reason of `signal` */
export async function untilAnswers(where: string, probe: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  for (let ms = FIRST_MS; ; ms = Math.min(2 * ms, LONGEST_MS)) {
    try {
      signal.throwIfAborted()
      await probe()
      return
    } catch (error) {
      signal.throwIfAborted()
      emit('millrace:queue:trouble', { where, error })
      await delay(ms, undefined, { signal }).catch(() => { signal.throwIfAborted() })
    }
  }
}
