import { InvalidArgumentError, KeyTypeError } from '../errors.js'
import { postgresPool, type PostgresPoolOptions } from '../source/postgres.js'
import type { PartitionBackend } from './backend.js'
import { partitionCache, type PartitionCache } from './cache.js'
import { backendOptionsFromEnv } from './env.js'
import { checkDatatype, type Datatype } from './key-types.js'
import { BACKENDS, isCacheType, type BackendOptions, type CacheType } from './registry.js'

/** A pool is passed in, or made and ended by the cache. */
type OwnPool<O> = O extends { pool: unknown } ? O | Omit<O, 'pool'> & PostgresPoolOptions & { connectionString: string } : O

/** Options of `createCache` for a backend. */
export type CreateCacheOptions<T extends CacheType = CacheType> = OwnPool<BackendOptions[T]> & {
  /** Default life of entries in ms (default 0 = for ever). */
  ttlMs?: number | undefined
  /** Note when sets are used, for eviction by last use: one write a minute (default true). */
  trackUse?: boolean | undefined
}

async function openBackend(type: CacheType, options: Readonly<Record<string, unknown>>): Promise<PartitionBackend> {
  const { family, open } = BACKENDS[type] as { family: string, open: (options: object) => Promise<PartitionBackend> }
  if (family !== 'postgresql' || options['pool'] !== undefined) return open(options)
  if (typeof options['connectionString'] !== 'string') throw new InvalidArgumentError({ argument: 'pool', expected: 'a pg.Pool, or a connectionString' })
  const { connectionString, max, connectTimeoutMs, ...others } = options as unknown as PostgresPoolOptions
  const pool = postgresPool({ connectionString, max, connectTimeoutMs })
  // an idle connection that is lost is replaced by the next query; without a listener it would end the process
  pool.on?.('error', () => {})
  try {
    return await open({ ...others, pool, ownsPool: true })
  } catch (error) {
    await pool.end()
    throw error
  }
}

/**
 * Open a partition cache. Without options, from the environment; see `env.ts` for the variables.
 *
 * @param datatype the partition key's type; undefined: what is registered, or the type of its first set
 * @throws {InvalidArgumentError} no such backend, or options are missing
 * @throws {KeyTypeError} the backend does not store `datatype`, or the partition key is registered as another
 * @throws {MissingDependencyError} the backend's driver is not installed
 */
export async function createCache<T extends CacheType>(type: T, partitionKey: string, datatype?: Datatype, options?: CreateCacheOptions<T>): Promise<PartitionCache> {
  if (!isCacheType(type)) throw new InvalidArgumentError({ argument: 'type', expected: Object.keys(BACKENDS).join(', '), found: String(type) })
  const { datatypes } = BACKENDS[type].supports
  if (datatype !== undefined && !datatypes.includes(checkDatatype(datatype))) {
    throw new KeyTypeError({ backend: type, keyType: datatype, reason: `it stores ${datatypes.join(', ')}` })
  }
  const { ttlMs, trackUse, ...others } = (options ?? backendOptionsFromEnv(type)) as Readonly<Record<string, unknown>> &
    { ttlMs?: number | undefined, trackUse?: boolean | undefined }
  const backend = await openBackend(type, others)
  try {
    return await partitionCache({ backend, partitionKey, datatype, ttlMs, trackUse })
  } catch (error) {
    await backend.close()
    throw error
  }
}
