import type { BackendSupport, PartitionBackend } from './backend.js'
import { memoryBackend, memorySupport } from './backends/memory.js'
import { postgresqlArrayBackend, postgresqlArraySupport } from './backends/postgresql-array.js'
import { postgresqlBitBackend, postgresqlBitSupport } from './backends/postgresql-bit.js'
import { redisBitBackend, redisBitSupport } from './backends/redis-bit.js'
import { redisSetBackend, redisSetSupport } from './backends/redis-set.js'
import { rocksdbBitBackend, rocksdbBitSupport } from './backends/rocksdb-bit.js'
import { rocksdbSetBackend, rocksdbSetSupport } from './backends/rocksdb-set.js'
import { rocksdictBackend, rocksdictSupport } from './backends/rocksdict.js'
import type { BitOptions } from './backends/integer-bits.js'
import type { LevelOptions } from './backends/level-open.js'
import type { PostgresqlOptions } from './backends/postgresql-store.js'
import type { RedisOptions } from './backends/redis-client.js'
import type { Datatype } from './key-types.js'

/** What each backend is opened with. */
export interface BackendOptions {
  memory: object
  postgresql_array: PostgresqlOptions
  postgresql_bit: PostgresqlOptions & BitOptions
  redis_set: RedisOptions
  redis_bit: RedisOptions & BitOptions
  rocksdb_set: LevelOptions
  rocksdb_bit: LevelOptions & BitOptions
  rocksdict: LevelOptions
}

/** A backend by its name. */
export type CacheType = keyof BackendOptions

/** What a backend's options name: where its server or its folder is. */
export type BackendFamily = 'memory' | 'postgresql' | 'redis' | 'folder'

interface Registered<T extends CacheType> {
  readonly family: BackendFamily
  readonly supports: BackendSupport
  readonly open: (options: BackendOptions[T]) => Promise<PartitionBackend>
}

/** Every backend; none loads its driver before it is opened. */
export const BACKENDS: { readonly [T in CacheType]: Registered<T> } = {
  memory: { family: 'memory', supports: memorySupport, open: async () => memoryBackend() },
  postgresql_array: { family: 'postgresql', supports: postgresqlArraySupport, open: postgresqlArrayBackend },
  postgresql_bit: { family: 'postgresql', supports: postgresqlBitSupport, open: postgresqlBitBackend },
  redis_set: { family: 'redis', supports: redisSetSupport, open: redisSetBackend },
  redis_bit: { family: 'redis', supports: redisBitSupport, open: redisBitBackend },
  rocksdb_set: { family: 'folder', supports: rocksdbSetSupport, open: rocksdbSetBackend },
  rocksdb_bit: { family: 'folder', supports: rocksdbBitSupport, open: rocksdbBitBackend },
  rocksdict: { family: 'folder', supports: rocksdictSupport, open: rocksdictBackend },
}

/** Whether `name` is a backend's. */
export function isCacheType(name: string): name is CacheType {
  return Object.hasOwn(BACKENDS, name)
}

/** The types that each backend stores. Needs no driver. */
export function listCacheTypes(): Record<CacheType, Datatype[]> {
  return Object.fromEntries(Object.entries(BACKENDS).map(([type, { supports }]) => [type, [...supports.datatypes]])) as Record<CacheType, Datatype[]>
}
