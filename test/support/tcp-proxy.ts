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
  /** Send these bytes to every client, as if the server had. */
  inject(bytes: Uint8Array): void
  /** Connections open right now. */
  readonly connections: number
  close(): Promise<void>
}

/** What a proxy makes of the bytes that pass, by direction. */
export interface Tampering {
  question?: (chunk: Buffer) => Uint8Array
  answer?: (chunk: Buffer) => Uint8Array
}

/** Start a proxy on a free loopback port. */
export async function tcpProxy(targetPort: number, targetHost = '127.0.0.1', { question = chunk => chunk, answer = chunk => chunk }: Tampering = {}): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>()
  let stalled = false
  const silent = new Set<[Socket, Socket]>()
  const server = createServer(client => {
    const target = connect(targetPort, targetHost)
    const pair: [Socket, Socket] = [client, target]
    const isSilent = (): boolean => stalled || silent.has(pair)
    pairs.add(pair)
    for (const [from, to, change] of [[client, target, question], [target, client, answer]] as const) {
      from.setNoDelay(true)
      from.on('data', chunk => { if (!isSilent()) to.write(change(chunk)) })
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
    inject: bytes => { for (const [client] of pairs) client.write(bytes) },
    get connections() { return pairs.size },
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      cut()
    }),
  }
}
