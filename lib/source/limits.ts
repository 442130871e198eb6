import { timerMs } from '../timers.js'
import { abortError, silenceError } from './source-error.js'

/** What ends a wait for a database. */
export interface Waits {
  signal?: AbortSignal | undefined
  /** The longest silence tolerated, in ms; 0 = no limit. */
  timeoutMs: number
}

/**
 * Wait for `work` so that it settles: an abort or a silence beyond the limit calls `stop`, which must make `work` settle as well,
 * and is what is thrown.
 */
export async function settled<T>({ signal, timeoutMs }: Waits, work: () => Promise<T>, stop: (error: Error) => void): Promise<T> {
  if (signal?.aborted) throw abortError(signal)
  let failure: Error | undefined
  const end = (error: Error): void => {
    failure ??= error
    stop(error)
  }
  const onAbort = (): void => end(abortError(signal!))
  const timer = timeoutMs > 0 ? setTimeout(() => end(silenceError(timeoutMs)), timerMs(timeoutMs)) : undefined
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await work()
  } catch (error) {
    throw failure ?? error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

/**
 * Take something that comes when it is free, unless the wait is aborted or takes too long; what comes too late is given back.
 *
 * @throws {Error} code `ETIMEDOUT`: nothing was free in time
 */
export function taken<T>(take: () => Promise<T>, { signal, waitMs, giveBack, what }:
{ signal?: AbortSignal | undefined, waitMs: number, giveBack: (late: T) => void, what: string }): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal))
    let isOver = false
    const finish = (settle: () => void): void => {
      isOver = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const onAbort = (): void => finish(() => reject(abortError(signal!)))
    const timer = waitMs > 0 ? setTimeout(() => finish(() =>
      reject(Object.assign(new Error(`${what} for ${waitMs} ms`), { code: 'ETIMEDOUT' }))), timerMs(waitMs)) : undefined
    signal?.addEventListener('abort', onAbort, { once: true })
    take().then(value => {
      if (isOver) giveBack(value)
      else finish(() => resolve(value))
    }, (error: Error) => { if (!isOver) finish(() => reject(error)) })
  })
}
