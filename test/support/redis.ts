import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A Redis server, or the masters of a cluster, on loopback. */
export interface TestRedis {
  readonly ports: readonly number[]
  /** The first one's. */
  readonly url: string
  stop(): Promise<void>
  /** Ends the server at `port` at once, as a crash does. */
  kill(port: number): Promise<void>
  /** Starts it again, over what it had written. */
  start(port: number): Promise<void>
}

/** Ports of a cluster's nodes: each has a bus 10,000 above, which must exist and be free too. */
async function freePort({ withBus = false } = {}): Promise<number> {
  for (;;) {
    const port = await listen(0)
    if (!withBus) return port!
    if (port! < 55_000 && await listen(port! + 10_000) !== undefined) return port!
  }
}

function listen(port: number): Promise<number | undefined> {
  return new Promise(resolve => {
    const server = createServer().once('error', () => { resolve(undefined) }).listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => { resolve(typeof address === 'object' ? address?.port : undefined) })
    })
  })
}

/** Waits until the server answers a PING. */
async function untilReady(port: number, server: ChildProcess): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`redis-server exited with ${server.exitCode}`)
    const isUp = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
      socket.once('data', data => {
        resolve(data.toString().startsWith('+PONG'))
        socket.destroy()
      })
      socket.once('error', () => { resolve(false) })
    })
    if (isUp) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function start(dir: string, port: number, settings: readonly string[]): ChildProcess {
  const home = join(dir, String(port))
  mkdirSync(home, { recursive: true })
  return spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', home, '--save', '', '--appendonly', 'no', ...settings], { stdio: 'ignore' })
}

async function startAll(ports: readonly number[], settings: readonly string[], ready: () => Promise<void>): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-redis-'))
  const servers = new Map(ports.map(port => [port, start(dir, port, settings)]))
  const stopNow = (): void => {
    for (const server of servers.values()) if (server.exitCode === null) server.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
  process.once('exit', stopNow)
  const ended = (server: ChildProcess): Promise<unknown> => new Promise(resolve => server.exitCode === null && server.signalCode === null ? server.once('exit', resolve) : resolve(0))
  try {
    await Promise.all([...servers].map(([port, server]) => untilReady(port, server)))
    await ready()
  } catch (error) {
    stopNow()
    throw error
  }
  for (const server of servers.values()) server.unref()
  return {
    ports, url: `redis://127.0.0.1:${ports[0]}`,
    async kill(port) {
      servers.get(port)!.ref()
      servers.get(port)!.kill('SIGKILL')
      await ended(servers.get(port)!)
    },
    async start(port) {
      servers.set(port, start(dir, port, settings))
      await untilReady(port, servers.get(port)!)
      servers.get(port)!.unref()
    },
    async stop() {
      process.removeListener('exit', stopNow)
      for (const server of servers.values()) {
        // waited for now, so it has to hold the process
        server.ref()
        server.kill('SIGKILL')
      }
      await Promise.all([...servers.values()].map(ended))
      rmSync(dir, { recursive: true, force: true })
    }
  }
}

/** One server; `settings` are its arguments, such as `['--maxmemory', '5mb']`. */
export async function startRedis(settings: readonly string[] = []): Promise<TestRedis> {
  return startAll([await freePort()], settings, async () => {})
}

/** A cluster of three masters. */
export async function startRedisCluster(): Promise<TestRedis> {
  const ports: number[] = []
  while (ports.length < 3) {
    const port = await freePort({ withBus: true })
    if (!ports.includes(port)) ports.push(port)
  }
  return startAll(ports, ['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf'], async () => {
    const cli = (...args: string[]): string => execFileSync('redis-cli', args, { encoding: 'utf8' })
    cli('--cluster', 'create', ...ports.map(port => `127.0.0.1:${port}`), '--cluster-yes')
    // every node has to have heard of it, not only the first
    while (!ports.every(port => cli('-p', String(port), 'cluster', 'info').includes('cluster_state:ok'))) await new Promise(resolve => setTimeout(resolve, 50))
  })
}
