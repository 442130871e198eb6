import { createServer, connect, type Socket } from 'node:net'

/** A TCP proxy that can misbehave. */
export interface TcpProxy {
  port: number
  /** Reset every connection. */
  cut(): void
  /** Pass nothing on any more, in either direction; connections stay open. */
  stall(): void
  /** Connections open right now. */
  readonly connections: number
  close(): Promise<void>
}

/** Start a proxy on a free loopback port. */
export async function tcpProxy(targetPort: number, targetHost = '127.0.0.1'): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>()
  let stalled = false
  const server = createServer(client => {
    const target = connect(targetPort, targetHost)
    const pair: [Socket, Socket] = [client, target]
    pairs.add(pair)
    for (const [from, to] of [[client, target], [target, client]] as const) {
      from.setNoDelay(true)
      from.on('data', chunk => { if (!stalled) to.write(chunk) })
      from.on('end', () => { if (!stalled) to.end() })
      from.on('error', () => to.destroy())
      from.on('close', () => {
        pairs.delete(pair)
        if (!stalled) to.destroy()
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
    get connections() { return pairs.size },
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      cut()
    }),
  }
}
