import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import type { RedisClient } from '../../lib/partition/backends/redis-client.js'
import type { TestRedis } from './redis.js'

/** Any command by any client, for what the tests do behind a backend's back. */
export type Command = (key: string, ...args: string[]) => Promise<unknown>

/** A client of either driver for a server or a cluster. */
export async function clientOf(server: TestRedis, driver: 'redis' | 'ioredis'): Promise<{ client: RedisClient, command: Command, end: () => Promise<void> }> {
  const isCluster = server.ports.length > 1
  if (driver === 'ioredis') {
    const client = isCluster ? new Cluster(server.ports.map(port => ({ host: '127.0.0.1', port }))) : new Redis(server.url)
    return { client, command: (_, name, ...args) => client.call(name, ...args), end: async () => { await client.quit() } }
  }
  if (isCluster) {
    const client = createCluster({ rootNodes: server.ports.map(port => ({ url: `redis://127.0.0.1:${port}` })) })
    await client.connect()
    return { client, command: (key, ...args) => client.sendCommand(key, false, args), end: async () => { await client.close() } }
  }
  const client = createClient({ url: server.url })
  await client.connect()
  return { client, command: (_, ...args) => client.sendCommand(args), end: async () => { await client.close() } }
}
