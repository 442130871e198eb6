import { InvalidArgumentError } from '../errors.js'
import { CacheStore, sharedCache } from './cache.js'
import type { TableStore } from './table-store.js'

/** Which table of which cache a stage or call works on. */
export interface CacheReference {
  /** `'schema.table'`; parts that contain dots in double quotes. */
  table: string
  /** An opened cache, instead of `cacheDir`. */
  cache?: { readonly store: CacheStore } | undefined
  /** The cache's folder (default `~/data/cached_data`). */
  cacheDir?: string | undefined
  /** Separates caches of one table name (default none). */
  namespace?: string | undefined
  /** The key column (default `id`). */
  idColumn?: string | undefined
}

/**
 * The table a reference means. Touches no disk.
 *
 * @throws {InvalidArgumentError} no table name, or no cache
 */
export function tableOf({ table, namespace, idColumn, ...reference }: CacheReference): TableStore {
  if (idColumn !== undefined && (typeof idColumn !== 'string' || idColumn === '' || idColumn === '__proto__')) {
    throw new InvalidArgumentError({ argument: 'idColumn', expected: 'a column name', found: String(idColumn) })
  }
  if (namespace !== undefined && typeof namespace !== 'string') {
    throw new InvalidArgumentError({ argument: 'namespace', expected: 'text', found: typeof namespace })
  }
  return cacheOf(reference).table(table, { namespace, idColumn })
}

/** The cache a reference means. Touches no disk. */
export function cacheOf({ cache, cacheDir }: Pick<CacheReference, 'cache' | 'cacheDir'>): CacheStore {
  if (cacheDir !== undefined && (typeof cacheDir !== 'string' || cacheDir === '' || cacheDir.includes('\0'))) {
    throw new InvalidArgumentError({ argument: 'cacheDir', expected: 'a folder', found: JSON.stringify(cacheDir) })
  }
  if (cache === undefined) return sharedCache(cacheDir)
  if (!((cache as typeof cache | null)?.store instanceof CacheStore)) throw new InvalidArgumentError({ argument: 'cache', expected: 'a cache from openCache()' })
  return cache.store
}
