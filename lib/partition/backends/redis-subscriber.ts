import { timerMs } from '../../timers.js'

/** A second connection like the client's, by what both drivers have. */
interface Duplicate {
  duplicate(): Duplicate
  on(event: string, listener: (...args: never[]) => void): unknown
  /** node-redis waits for a call, ioredis connects by itself. */
  connect?(): Promise<unknown>
  subscribe(channel: string, listener?: () => void): Promise<unknown>
  destroy?(): void
  disconnect?(): void
}

/**
 * Calls `heard` on each message of `channel`, and whenever one may have been missed, until the answer is called. On a connection of
 * its own, which both drivers restore, subscription included, for as long as it is wanted.
 *
 * Resolves at the latest after `timeoutMs`, whether or not it hears by then. Never fails.
 */
export async function redisSubscription(client: { callBuffer?: unknown }, channel: string, heard: () => void, timeoutMs: number): Promise<() => Promise<void>> {
  const isIoredis = typeof client.callBuffer === 'function'
  const one = (client as unknown as Duplicate).duplicate()
  let isOver = false
  // a lost connection is the driver's to restore; without a listener it would end the process
  one.on('error', () => {})
  one.on('ready', () => { if (!isOver) heard() })
  if (isIoredis) one.on('message', () => { heard() })
  const ready = (async (): Promise<void> => {
    if (!isIoredis) await one.connect!()
    await one.subscribe(channel, isIoredis ? undefined : heard)
    heard()
  })().catch(() => { /* whoever waits polls; its commands say what is wrong */ })
  let timer: NodeJS.Timeout | undefined
  await Promise.race([ready, new Promise(resolve => { timer = setTimeout(resolve, timerMs(timeoutMs)) })])
  clearTimeout(timer)
  return async () => {
    isOver = true
    if (isIoredis) one.disconnect!()
    else one.destroy!()
  }
}
