import { InvalidArgumentError, MissingDependencyError, messageOf } from '../../errors.js'
import { timerMs } from '../../timers.js'
import { PartitionBackendError } from '../backend.js'
import { redisSubscription } from './redis-subscriber.js'

/** A reply as far as it is used here. Texts are Buffers where `binary` was asked for. */
export type Reply = string | number | Buffer | null | readonly Reply[]

/** Commands to a Redis server or cluster. */
export interface RedisCommands {
  /** Send one command to the node that holds `key`. Commands sent in one go are pipelined. */
  send(key: string, args: readonly (string | Buffer)[], options?: { binary?: boolean }): Promise<Reply>
  /** One sender for each master, for commands without a key. */
  nodes(): Promise<((args: readonly string[]) => Promise<Reply>)[]>
  /** Calls `heard` on each message of a channel, and whenever one may have been missed, until the answer is called. */
  subscribe(channel: string, heard: () => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** A client of node-redis or of ioredis, single or cluster, by the methods used. It stays open. */
export interface RedisClient {
  sendCommand?: unknown
  callBuffer?: unknown
}

/** Where Redis is. */
export interface RedisOptions {
  client?: RedisClient | undefined
  url?: string | undefined
  host?: string | undefined
  port?: number | undefined
  username?: string | undefined
  password?: string | undefined
  database?: number | undefined
  /** true, or options of `tls.connect`. */
  tls?: boolean | object | undefined
  /** Start of every key (default 'partitioncache'). */
  keyPrefix?: string | undefined
  /** The longest wait for an answer, in ms (default 5000): a client that reconnects for ever must not hold a request. */
  timeoutMs?: number | undefined
}

interface NodeRedis {
  sendCommand(args: readonly (string | Buffer)[], options?: object): Promise<Reply>
}
interface NodeRedisCluster {
  sendCommand(key: string, isReadonly: boolean, args: readonly (string | Buffer)[], options?: object): Promise<Reply>
  readonly masters: readonly object[]
  nodeClient(node: object): NodeRedis | Promise<NodeRedis>
}
interface IoRedis {
  call(command: string, ...args: (string | Buffer)[]): Promise<Reply>
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<Reply>
  nodes?(role: 'master'): IoRedis[]
}

/** RESP's type byte of a bulk string, the key of node-redis' type mapping. */
const BLOB = '$'.charCodeAt(0)
const AS_BUFFERS = { typeMapping: { [BLOB]: Buffer } }
const TRANSIENT = /^(READONLY|LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|BUSY|OOM|NOREPLICAS)|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|closed|disconnect|offline|no answer|retries per request|isn't writeable|evicted/i

function commandsOf(client: RedisClient): Pick<RedisCommands, 'send' | 'nodes'> {
  if (typeof client.callBuffer === 'function') {
    const redis = client as unknown as IoRedis
    const call = (one: IoRedis, [command, ...args]: readonly (string | Buffer)[], binary: boolean): Promise<Reply> =>
      one[binary ? 'callBuffer' : 'call'](String(command), ...args)
    return {
      send: (_key, args, { binary = false } = {}) => call(redis, args, binary),
      nodes: async () => (redis.nodes?.('master') ?? [redis]).map(node => args => call(node, args, false))
    }
  }
  if (typeof client.sendCommand !== 'function') throw new InvalidArgumentError({ argument: 'client', expected: 'a client of redis or ioredis', found: typeof client })
  if ('nodeClient' in client) {
    const cluster = client as unknown as NodeRedisCluster
    return {
      send: (key, args, { binary = false } = {}) => cluster.sendCommand(key, false, args, binary ? AS_BUFFERS : undefined),
      nodes: () => Promise.all(cluster.masters.map(async node => {
        const one = await cluster.nodeClient(node)
        return (args: readonly string[]) => one.sendCommand(args)
      }))
    }
  }
  const redis = client as unknown as NodeRedis
  return {
    send: (_key, args, { binary = false } = {}) => redis.sendCommand(args, binary ? AS_BUFFERS : undefined),
    nodes: async () => [args => redis.sendCommand(args)]
  }
}

async function connect(type: string, { url, host, port, username, password, database, tls, timeoutMs }: RedisOptions): Promise<{ client: RedisClient, close: () => Promise<void> }> {
  const driver = await import('redis').catch((cause: unknown) => { throw new MissingDependencyError({ package: 'redis', purpose: `the backend ${type}`, cause }) })
  const client = driver.createClient({
    ...(url !== undefined && { url }), ...(username !== undefined && { username }), ...(password !== undefined && { password }), ...(database !== undefined && { database }),
    // commands fail while there is no connection, instead of waiting for one
    disableOfflineQueue: true,
    socket: { ...(host !== undefined && { host }), ...(port !== undefined && { port }), ...(tls !== undefined && tls !== false && { tls: true, ...(tls === true ? {} : tls) }), connectTimeout: timeoutMs ?? DEFAULT_TIMEOUT_MS }
  })
  // the command that meets the error reports it; without a listener it would end the process
  client.on('error', () => {})
  // a client that never connected tries for ever: the first error is the answer
  const failed = new Promise<never>((_, reject) => client.once('error', reject))
  try {
    await Promise.race([client.connect(), failed])
  } catch (cause) {
    client.destroy()
    throw new PartitionBackendError({ backend: type, action: 'could not connect', cause, isTransient: true })
  }
  failed.catch(() => {})
  return { client: client as unknown as RedisClient, close: async () => { await client.close() } }
}

const DEFAULT_TIMEOUT_MS = 5000

/** @throws {MissingDependencyError} no client was given and the package redis is not installed */
export async function redisCommands(type: string, options: RedisOptions): Promise<RedisCommands> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const own = options.client ? undefined : await connect(type, options)
  const commands = commandsOf(options.client ?? own!.client)
  async function settled<T>(action: string, reply: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => { reject(new Error(`no answer within ${timeoutMs} ms`)) }, timerMs(timeoutMs))
    })
    try {
      return await Promise.race([reply(), silence])
    } catch (cause) {
      throw new PartitionBackendError({ backend: type, action: `${action} failed`, cause, isTransient: TRANSIENT.test(messageOf(cause)) })
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    send: (key, args, sendOptions) => settled(String(args[0]), () => commands.send(key, args, sendOptions)),
    nodes: async () => (await settled('listing the masters', () => commands.nodes())).map(send => args => settled(String(args[0]), () => send(args))),
    subscribe: (channel, heard) => redisSubscription(options.client ?? own!.client, channel, heard, timeoutMs),
    async close() { await own?.close() }
  }
}

/** Whether an error is the server's word and not a lost connection: another command may do. */
export function isRefusal(error: unknown): boolean {
  return error instanceof PartitionBackendError && error.cause instanceof Error && /^(READONLY|OOM|NOPERM|NOSCRIPT|WRONGTYPE|ERR|MISCONF|EXECABORT)\b/.test(error.cause.message)
}
