import type { PgClient, PgPool } from '../source/postgres-session.js'

/** One connection of a pool that listens to channels, for as long as somebody wants to be woken. */
export interface PostgresqlListener {
  /** Calls `wake` on each notification, and whenever one may have been missed, until the answer is called. Never fails: without a connection it tries again. */
  listen(channel: string, wake: () => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

type NotifyingClient = PgClient & {
  on(event: 'notification', listener: (message: { channel: string }) => void): unknown
  on(event: 'error' | 'end', listener: () => void): unknown
}

const RETRY_MS = 1000

/** A listener to all of `channels`; `sql` is what each is subscribed with. */
export function postgresqlListener(pool: PgPool, channels: readonly { readonly channel: string, readonly sql: string }[]): PostgresqlListener {
  const wakes = new Map(channels.map(({ channel }) => [channel, new Set<() => void>()]))
  let client: NotifyingClient | undefined
  let connecting: Promise<void> | undefined
  let retry: NodeJS.Timeout | undefined
  let isClosed = false
  const wakeAll = (): void => { for (const some of wakes.values()) for (const wake of [...some]) wake() }
  const isWanted = (): boolean => !isClosed && [...wakes.values()].some(({ size }) => size > 0)
  // the connection that listens must leave one for the statements
  const canListen = (pool.options as { max?: number } | undefined)?.max !== 1

  function lost(one: NotifyingClient): void {
    if (client !== one) return
    client = undefined
    one.release(true)
    wakeAll()
    again()
  }
  function again(): void {
    if (!isWanted()) return
    retry = setTimeout(() => { connecting = connect() }, RETRY_MS)
    retry.unref()
  }
  async function connect(): Promise<void> {
    let one: NotifyingClient | undefined
    try {
      one = await pool.connect() as NotifyingClient
      const connected = one
      connected.on('error', () => { lost(connected) })
      connected.on('end', () => { lost(connected) })
      connected.on('notification', ({ channel }) => { for (const wake of [...wakes.get(channel) ?? []]) wake() })
      for (const { sql } of channels) await connected.query({ text: sql })
      client = connected
      if (isWanted()) wakeAll()
      else await end()
    } catch {
      // whoever waits polls; its statements say what is wrong
      one?.release(true)
      again()
    }
  }
  async function end(): Promise<void> {
    clearTimeout(retry)
    const one = client
    client = undefined
    connecting = undefined
    // closed, not given back: its subscriptions are nobody else's
    one?.release(true)
  }

  return {
    async listen(channel, wake) {
      wakes.get(channel)!.add(wake)
      if (canListen && !client) await (connecting ??= connect())
      return async () => {
        wakes.get(channel)!.delete(wake)
        if (!isWanted()) await end()
      }
    },
    async close() {
      isClosed = true
      await connecting
      await end()
    }
  }
}
