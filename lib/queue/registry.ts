import { memoryQueues } from './providers/memory.js'
import { postgresqlQueues, type PostgresqlQueueOptions } from './providers/postgresql.js'
import { redisQueues, type RedisQueueOptions } from './providers/redis.js'
import type { QueueProvider } from './queue-store.js'

/** What each provider is opened with. */
export interface QueueProviderOptions {
  memory: object
  postgresql: PostgresqlQueueOptions
  redis: RedisQueueOptions
}

/** A provider by its name. */
export type QueueProviderName = keyof QueueProviderOptions

/** Every provider; none loads its driver before it is opened. */
export const QUEUE_PROVIDERS: { readonly [N in QueueProviderName]: (options: QueueProviderOptions[N]) => Promise<QueueProvider> } = {
  memory: memoryQueues,
  postgresql: postgresqlQueues,
  redis: redisQueues
}

/** Whether `name` is a provider's. */
export function isQueueProvider(name: string): name is QueueProviderName {
  return Object.hasOwn(QUEUE_PROVIDERS, name)
}
