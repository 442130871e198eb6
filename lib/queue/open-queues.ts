import { checkInteger } from '../check-number.js'
import { InvalidArgumentError } from '../errors.js'
import { queueOptionsFromEnv, queueProviderFromEnv } from '../partition/env.js'
import { postgresPool, type PostgresPoolOptions } from '../source/postgres.js'
import { leaseQueue } from './lease-queue.js'
import type { QueueProvider } from './queue-store.js'
import type { Queues } from './queue.js'
import { isQueueProvider, QUEUE_PROVIDERS, type QueueProviderName, type QueueProviderOptions } from './registry.js'

/** A pool is passed in, or made and ended by the queues. */
type OwnPool<O> = O extends { pool: unknown } ? O | Omit<O, 'pool'> & PostgresPoolOptions : O

/** Options of `openQueues` for a provider. */
export type OpenQueuesOptions<N extends QueueProviderName = QueueProviderName> = OwnPool<QueueProviderOptions[N]> & {
  /** Times that a job is taken before it is given up (default 5). */
  maxAttempts?: number | undefined
  /** Longest time between two looks of a call that waits, in ms (default 1000): for what no push tells, such as leases that ran out. */
  pollMs?: number | undefined
}

/** One listens, the others ask. */
const POOL_CONNECTIONS = 4
const MAX_ATTEMPTS = 2 ** 31 - 1

async function openProvider(name: QueueProviderName, options: Readonly<Record<string, unknown>>): Promise<QueueProvider> {
  if (name !== 'postgresql' || options['pool'] !== undefined) return (QUEUE_PROVIDERS[name] as (options: object) => Promise<QueueProvider>)(options)
  const { tablePrefix, schema, answerTimeoutMs, ...connection } = options as OpenQueuesOptions<'postgresql'> & PostgresPoolOptions
  const pool = postgresPool({ max: POOL_CONNECTIONS, ...connection })
  try {
    return await QUEUE_PROVIDERS.postgresql({ pool, tablePrefix, schema, answerTimeoutMs, ownsPool: true })
  } catch (error) {
    await pool.end()
    throw error
  }
}

/**
 * Open the two queues of a partition cache. Without options (or without a provider), from the environment; see `env.ts` for the
 * variables.
 *
 * @throws {InvalidArgumentError} no such provider, or options are missing
 * @throws {QueueError} the server cannot be reached
 * @throws {MissingDependencyError} the provider's driver is not installed
 */
export async function openQueues<N extends QueueProviderName>(provider?: N, options?: OpenQueuesOptions<N>): Promise<Queues> {
  const name: string = provider ?? queueProviderFromEnv()
  if (!isQueueProvider(name)) throw new InvalidArgumentError({ argument: 'provider', expected: Object.keys(QUEUE_PROVIDERS).join(', '), found: String(name) })
  const { maxAttempts = 5, pollMs = 1000, ...others } = (options ?? queueOptionsFromEnv(name)) as OpenQueuesOptions & Readonly<Record<string, unknown>>
  const settings = { maxAttempts: checkInteger('maxAttempts', maxAttempts, 1, MAX_ATTEMPTS), pollMs: checkInteger('pollMs', pollMs, 1, MAX_ATTEMPTS) }
  const opened = await openProvider(name, others)
  const closing = new AbortController()
  const queueOf = (one: 'incoming' | 'outgoing'): Queues['incoming'] =>
    leaseQueue({ ...settings, name: one, provider: opened.name, store: opened[one], closed: closing.signal })
  return {
    provider: opened.name, incoming: queueOf('incoming'), outgoing: queueOf('outgoing'),
    async close() {
      if (closing.signal.aborted) return
      closing.abort()
      await opened.close()
    }
  }
}
