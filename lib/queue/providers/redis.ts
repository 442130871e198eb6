import { createHash } from 'node:crypto'
import { PartitionBackendError } from '../../partition/backend.js'
import { redisCommands, type RedisCommands, type RedisOptions, type Reply } from '../../partition/backends/redis-client.js'
import { REDIS_KEYS, redisScript, REDIS_SCRIPTS } from '../redis-scripts.js'
import { QueueError, type QueueProvider, type QueueStore, type StoredItem } from '../queue-store.js'
import { RERUNS } from '../push-items.js'

/** What the queues inside Redis take: a client, or where the server is. `keyPrefix` defaults to 'partitioncache_queue'. */
export type RedisQueueOptions = RedisOptions

type ScriptName = keyof typeof REDIS_SCRIPTS
type Item = Omit<StoredItem, 'priority' | 'rerun'>

const PROVIDER = 'redis'
const PAGE = 1000
const scripts = new Map((Object.keys(REDIS_SCRIPTS) as ScriptName[]).map(name => {
  const text = redisScript(name)
  return [name, { text, sha: createHash('sha1').update(text).digest('hex') }]
}))

function storedItem(json: string, priority: string, rerun: string): StoredItem {
  return { ...JSON.parse(json) as Item, priority: Number(priority), rerun: RERUNS[Number(rerun)] }
}

/** Slices of a flat reply, `width` fields each. */
function rowsOf(fields: readonly Reply[], width: number): string[][] {
  return Array.from({ length: fields.length / width }, (_, i) => fields.slice(i * width, (i + 1) * width).map(String))
}

async function settled<T>(action: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw new QueueError({ provider: PROVIDER, action: `could not ${action}`, cause, isTransient: cause instanceof PartitionBackendError && cause.isTransient })
  }
}

function redisStore(redis: RedisCommands, tag: string): QueueStore {
  const keys = REDIS_KEYS.map(name => `${tag}${name}`)
  const channel = `${tag}wake`
  async function call(name: ScriptName, args: readonly (string | number)[]): Promise<Reply> {
    const { text, sha } = scripts.get(name)!
    const rest = [String(keys.length), ...keys, channel, ...args.map(String)]
    return settled(name, async () => {
      try {
        return await redis.send(keys[0]!, ['EVALSHA', sha, ...rest])
      } catch (error) {
        // a server that was restarted knows no scripts
        if (error instanceof PartitionBackendError && /NOSCRIPT/.test(error.message)) return await redis.send(keys[0]!, ['EVAL', text, ...rest])
        throw error
      }
    })
  }
  const list = async (name: ScriptName, args: readonly (string | number)[]): Promise<readonly Reply[]> => await call(name, args) as readonly Reply[]

  return {
    listen: wake => redis.subscribe(channel, wake),
    async push(items) {
      const [inserted, merged] = await list('push', items.flatMap(({ delayMs, priority, rerun, ...item }) =>
        [`${item.hash}\0${item.partitionKey}`, JSON.stringify(item), priority, RERUNS.indexOf(rerun), Math.ceil(delayMs)]))
      return { inserted: Number(inserted), merged: Number(merged) }
    },
    async take(count, { leaseMs, maxAttempts }) {
      const [died, wait, fields] = await list('take', [count, Math.ceil(leaseMs), maxAttempts])
      return {
        died: Number(died), waitMs: String(wait) === '' ? undefined : Number(wait),
        jobs: rowsOf(fields as readonly Reply[], 6).map(([id, lease, item, priority, rerun, attempt]) => ({ id: id!, lease: lease!, attempt: Number(attempt), item: storedItem(item!, priority!, rerun!) }))
      }
    },
    ack: async jobs => (await list('ack', jobs.flatMap(({ id, lease }) => [id, lease]))).map(String),
    async nack(jobs, { maxAttempts }) {
      const fields = await list('nack', [maxAttempts, ...jobs.flatMap(({ id, lease, delayMs, error = '', counts, isDead }) =>
        [id, lease, Math.ceil(delayMs), error, counts ? 1 : 0, isDead ? 1 : 0])])
      return rowsOf(fields, 2).map(([id, isDead]) => ({ id: id!, isDead: isDead === '1' }))
    },
    extend: async (jobs, { leaseMs }) => (await list('extend', [Math.ceil(leaseMs), ...jobs.flatMap(({ id, lease }) => [id, lease])])).map(String),
    async counts() {
      const [waiting, delayed, leased, dead] = (await list('counts', [])).map(Number) as [number, number, number, number]
      return { waiting, delayed, leased, dead }
    },
    async clear({ dead }) {
      let count = 0
      for (;;) {
        const gone = Number(await call('clear', [dead ? 1 : 0]))
        count += gone
        if (gone < PAGE) return count
      }
    },
    async dead(limit, after = '0') {
      return rowsOf(await list('dead', [limit, after]), 7).map(([id, item, priority, rerun, attempts, error, died]) =>
        ({ ...storedItem(item!, priority!, rerun!), id: id!, attempts: Number(attempts), error: error === '' ? undefined : error, diedAt: Number(died) }))
    },
    async retry(hashes) {
      let [count, after] = [0, '0']
      for (;;) {
        const page = await this.dead(PAGE, after)
        const wanted = page.filter(({ hash }) => hashes?.includes(hash) ?? true)
        if (wanted.length > 0) count += Number(await call('retry', wanted.map(({ id }) => id)))
        if (page.length < PAGE) return count
        after = page.at(-1)!.id
      }
    }
  }
}

/**
 * Both queues inside Redis, one server or a cluster: as durable as the server is told to be (`appendonly yes`, `maxmemory-policy
 * noeviction`).
 *
 * @throws {QueueError} the server cannot be reached
 * @throws {MissingDependencyError} no client was given and the package redis is not installed
 */
export async function redisQueues({ keyPrefix = 'partitioncache_queue', ...options }: RedisQueueOptions): Promise<QueueProvider> {
  const redis = await redisCommands('redis queue', options)
  const start = keyPrefix.replaceAll(/[{}]/g, encodeURIComponent)
  return { name: PROVIDER, incoming: redisStore(redis, `{${start}:incoming}`), outgoing: redisStore(redis, `{${start}:outgoing}`), close: () => redis.close() }
}
