import { setTimeout as delay } from 'node:timers/promises'

/** Wait for something that ends by itself, but not for ever. */
export async function settleWithin(ms: number, work: Promise<unknown>): Promise<void> {
  const timer = new AbortController()
  await Promise.race([work, delay(ms, undefined, { signal: timer.signal }).catch(() => undefined)])
  timer.abort()
}
