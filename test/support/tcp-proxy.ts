import { createServer, connect, type Socket } from 'node:net'

/** A TCP proxy that can misbehave. */
export interface TcpProxy {
  port: number
  /** Reset every connection. */
  cut(): void
  /** Pass nothing on any more, in either direction; connections stay open. */
  stall(): void
  /** Let new connections pass again; those that were open stay silent. */
  resume(): void
  /** Connections open right now. */
  readonly connections: number
  close(): Promise<void>
}

/** Start a proxy on a free loopback port. */
export async function tcpProxy(targetPort: number, targetHost = '127.0.0.1'): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>()
  let stalled = false
  const silent = new Set<[Socket, Socket]>()
  const server = createServer(client => {
    const target = connect(targetPort, targetHost)
    const pair: [Socket, Socket] = [client, target]
    const isSilent = (): boolean => stalled || silent.has(pair)
    pairs.add(pair)
    for (const [from, to] of [[client, target], [target, client]] as const) {
      from.setNoDelay(true)
      from.on('data', chunk => { if (!isSilent()) to.write(chunk) })
      from.on('end', () => { if (!isSilent()) to.end() })
      from.on('error', () => to.destroy())
      from.on('close', () => {
        const wasSilent = isSilent()
        pairs.delete(pair)
        silent.delete(pair)
        if (!wasSilent) to.destroy()
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = (): void => {
    for (const [client, target] of pairs) {
      client.resetAndDestroy()
      target.destroy()
    }
  }
  return {
    port: address.port,
    cut,
    stall: () => { stalled = true },
    resume() {
      stalled = false
      for (const pair of pairs) silent.add(pair)
    },
    get connections() { return pairs.size },
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      cut()
    }),
  }
}
