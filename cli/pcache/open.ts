import { InvalidArgumentError } from '../../lib/errors.js'
import type { PartitionCache } from '../../lib/partition/cache.js'
import { createCache } from '../../lib/partition/create-cache.js'
import { backendOptionsFromEnv, cacheTypeFromEnv, mysqlUrlFromEnv, sourceUrlFromEnv, sqlitePathFromEnv } from '../../lib/partition/env.js'
import type { Datatype } from '../../lib/partition/key-types.js'
import type { CacheType } from '../../lib/partition/registry.js'
import type { Source } from '../../lib/source/fetcher.js'
import { mysqlPool, mysqlSource } from '../../lib/source/mysql.js'
import { postgresPool, postgresSource } from '../../lib/source/postgres.js'
import { sqliteSource } from '../../lib/source/sqlite.js'
import { required } from '../options.js'
import { settleWithin } from '../settle.js'
import type { Session } from '../session.js'
import { environmentOf } from './environment.js'
import type { CacheOptions, DatabaseOptions } from './options.js'

/** A server that does not answer must not keep the process. */
const CLOSE_MS = 2000
/** The partition key of calls that name none, as the programs that came before had it. */
const DEFAULT_PARTITION_KEY = 'partition_key'

/** `--partition-key`, which most actions cannot do without. */
export function partitionKeyOf({ partitionKey }: CacheOptions): string {
  return required('--partition-key COLUMN', partitionKey)
}

interface Opening {
  /** Instead of `--cache-backend` and `CACHE_BACKEND`. */
  type?: CacheType | undefined
  datatype?: Datatype | undefined
}

/** Opens the cache that the options and the environment name, for as long as `work` takes. */
export async function withPartitionCache<T>(options: CacheOptions & DatabaseOptions, session: Session, work: (cache: PartitionCache) => Promise<T>, { type, datatype }: Opening = {}): Promise<T> {
  const env = environmentOf(options, session)
  const chosen = type ?? cacheTypeFromEnv(env)
  if (chosen === 'memory') throw new InvalidArgumentError({ argument: '--cache-backend', expected: 'a backend that outlives this process', found: 'memory' })
  const cache = await createCache(chosen, options.partitionKey ?? DEFAULT_PARTITION_KEY, datatype, backendOptionsFromEnv(chosen, env) as never)
  try {
    return await work(cache)
  } finally {
    await settleWithin(CLOSE_MS, cache.close())
  }
}

interface OpenSource { readonly source: Source, readonly close: () => Promise<void> }

async function openSource(options: DatabaseOptions, session: Session, max: number): Promise<OpenSource> {
  const env = environmentOf(options, session)
  switch (options.dbBackend) {
    case 'sqlite': {
      const source = sqliteSource({ path: sqlitePathFromEnv(env) })
      return { source, close: () => source.close() }
    }
    case 'mysql': {
      const pool = await mysqlPool({ uri: mysqlUrlFromEnv(env), max })
      return { source: mysqlSource({ pool, maxConcurrency: max }), close: () => pool.end() }
    }
    default: {
      const pool = postgresPool({ connectionString: sourceUrlFromEnv(env), max })
      return { source: postgresSource({ pool, maxConcurrency: max }), close: () => pool.end() }
    }
  }
}

/** Opens the database that the options and the environment name, for as long as `work` takes. Connects when it is first used. */
export async function withSource<T>(options: DatabaseOptions, session: Session, work: (source: Source) => Promise<T>, { concurrency = 2 }: { concurrency?: number | undefined } = {}): Promise<T> {
  const { source, close } = await openSource(options, session, concurrency)
  try {
    return await work(source)
  } finally {
    await settleWithin(CLOSE_MS, close())
  }
}
