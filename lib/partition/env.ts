import { InvalidArgumentError } from '../errors.js'
import { isCacheType, type CacheType } from './registry.js'

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Start of table names where no variable says another. */
const DEFAULT_PREFIX = 'partitioncache'

/** What the environment says of a backend, in the words of `createCache`'s options. */
export interface EnvironmentOptions {
  connectionString?: string
  tablePrefix?: string
  bitsize?: number
  host?: string
  port?: number
  username?: string
  password?: string
  database?: number
  path?: string
}

/** This process's environment. */
export function processEnvironment(): Environment {
  return process.env
}

function required(env: Environment, name: string, purpose: string): string {
  const value = env[name]
  if (value !== undefined && value !== '') return value
  throw new InvalidArgumentError({ argument: name, expected: `this environment variable, for ${purpose}` })
}

function optional(env: Environment, ...names: string[]): string | undefined {
  return names.map(name => env[name]).find(value => value !== undefined && value !== '')
}

function integer(env: Environment, ...names: string[]): number | undefined {
  const value = optional(env, ...names)
  if (value === undefined) return undefined
  if (/^\d+$/.test(value)) return Number(value)
  throw new InvalidArgumentError({ argument: names[0]!, expected: 'an integer from 0', found: JSON.stringify(value) })
}

/** The backend that `CACHE_BACKEND` names; the seed's short names and its default, postgresql_array, count. */
export function cacheTypeFromEnv(env: Environment = processEnvironment()): CacheType {
  const name = optional(env, 'CACHE_BACKEND') ?? 'postgresql_array'
  const type = name === 'redis' || name === 'rocksdb' ? `${name}_set` : name
  if (isCacheType(type)) return type
  throw new InvalidArgumentError({ argument: 'CACHE_BACKEND', expected: 'a backend of listCacheTypes()', found: name })
}

/** The start of the tables' names: the variable of the backend in use and an underscore, else `partitioncache_`. */
export function tablePrefixFromEnv(type: CacheType, env: Environment = processEnvironment()): string {
  const variable = type === 'postgresql_bit' ? 'PG_BIT_CACHE_TABLE_PREFIX' : type === 'postgresql_array' ? 'PG_ARRAY_CACHE_TABLE_PREFIX' : undefined
  return `${(variable && optional(env, variable)) ?? DEFAULT_PREFIX}_`
}

/** What must not be printed: passwords, and URLs that may hold some. */
export function secretsOf(env: Environment): { passwords: string[], urls: string[] } {
  const valuesOf = (ending: RegExp): string[] => Object.entries(env).flatMap(([name, value]) => value && ending.test(name) ? [value] : [])
  return { passwords: valuesOf(/PASSWORD$/), urls: valuesOf(/URL$/) }
}

/** `DB_HOST`, `DB_PORT`, `DB_USER`, `DB_PASSWORD` and `DB_NAME` as one URL; where none is set, `PGURL` or `DATABASE_URL`. */
export function databaseUrlFromEnv(env: Environment = processEnvironment()): string {
  const isSaid = optional(env, 'DB_HOST', 'DB_PORT', 'DB_USER', 'DB_NAME') !== undefined
  const url = isSaid ? undefined : optional(env, 'PGURL', 'DATABASE_URL')
  if (url !== undefined) return url
  const part = (name: string): string => encodeURIComponent(required(env, name, 'PostgreSQL'))
  const password = optional(env, 'DB_PASSWORD')
  const host = required(env, 'DB_HOST', isSaid ? 'PostgreSQL' : 'PostgreSQL (or all of it as one URL in PGURL or DATABASE_URL)')
  const user = `${part('DB_USER')}${password === undefined ? '' : `:${encodeURIComponent(password)}`}`
  // a folder of sockets is no host name of a URL
  const where = host.startsWith('/') ? '' : `${host.includes(':') ? `[${host}]` : host}:${optional(env, 'DB_PORT') ?? '5432'}`
  return `postgres://${user}@${where}/${part('DB_NAME')}${host.startsWith('/') ? `?host=${encodeURIComponent(host)}&port=${optional(env, 'DB_PORT') ?? '5432'}` : ''}`
}

/** Where pg_cron is: the database of `databaseUrlFromEnv`, each part replaced by its `PG_CRON_…` variable; undefined where none is set. */
export function cronUrlFromEnv(env: Environment = processEnvironment()): string | undefined {
  const url = new URL(databaseUrlFromEnv(env))
  const [host, port, user, password, database] = ['HOST', 'PORT', 'USER', 'PASSWORD', 'DATABASE'].map(part => optional(env, `PG_CRON_${part}`))
  if ([host, port, user, password, database].every(part => part === undefined)) return undefined
  if (host !== undefined) url.hostname = host
  if (port !== undefined) url.port = port
  if (user !== undefined) url.username = encodeURIComponent(user)
  if (password !== undefined) url.password = encodeURIComponent(password)
  if (database !== undefined) url.pathname = `/${encodeURIComponent(database)}`
  return url.href
}

/** Where queries run: as `databaseUrlFromEnv`, but each `PG_DB_…` variable goes before its `DB_…`. */
export function sourceUrlFromEnv(env: Environment = processEnvironment()): string {
  const own = Object.fromEntries(['HOST', 'PORT', 'USER', 'PASSWORD'].flatMap(part => {
    const value = optional(env, `PG_DB_${part}`)
    return value === undefined ? [] : [[`DB_${part}`, value]]
  }))
  return databaseUrlFromEnv({ ...env, ...own })
}

/** `MY_DB_HOST`, `MY_DB_PORT`, `MY_DB_USER`, `MY_DB_PASSWORD` and `MY_DB_NAME` (else `DB_NAME`) as one URL. */
export function mysqlUrlFromEnv(env: Environment = processEnvironment()): string {
  const [host, password] = [required(env, 'MY_DB_HOST', 'MySQL'), optional(env, 'MY_DB_PASSWORD')]
  const name = optional(env, 'MY_DB_NAME', 'DB_NAME') ?? required(env, 'MY_DB_NAME', 'MySQL')
  const user = `${encodeURIComponent(required(env, 'MY_DB_USER', 'MySQL'))}${password === undefined ? '' : `:${encodeURIComponent(password)}`}`
  return `mysql://${user}@${host.includes(':') ? `[${host}]` : host}:${integer(env, 'MY_DB_PORT') ?? 3306}/${encodeURIComponent(name)}`
}

/** The file of an SQLite database, `SQLITE_DB_PATH`. */
export function sqlitePathFromEnv(env: Environment = processEnvironment()): string {
  return required(env, 'SQLITE_DB_PATH', 'SQLite')
}

const REDIS = { redis_set: { start: 'REDIS_SET', databases: ['REDIS_SET_DB', 'REDIS_CACHE_DB'] }, redis_bit: { start: 'REDIS_BIT', databases: ['REDIS_BIT_DB'] } }
const FOLDERS = { rocksdb_set: 'ROCKSDB_PATH', rocksdb_bit: 'ROCKSDB_BIT_PATH', rocksdict: 'ROCKSDB_DICT_PATH' }
const BITSIZES: Partial<Record<CacheType, string>> = { postgresql_bit: 'PG_BIT_CACHE_BITSIZE', redis_bit: 'REDIS_BIT_BITSIZE', rocksdb_bit: 'ROCKSDB_BIT_BITSIZE' }

/** @throws {InvalidArgumentError} a variable that the backend needs is missing; its name is the error's `argument` */
export function backendOptionsFromEnv(type: CacheType, env: Environment = processEnvironment()): EnvironmentOptions {
  const bitsize = BITSIZES[type] === undefined ? undefined : integer(env, BITSIZES[type])
  const common = bitsize === undefined ? {} : { bitsize }
  if (type === 'memory') return common
  if (type === 'postgresql_array' || type === 'postgresql_bit') return { ...common, connectionString: databaseUrlFromEnv(env), tablePrefix: tablePrefixFromEnv(type, env) }
  if (type !== 'redis_set' && type !== 'redis_bit') return { ...common, path: required(env, FOLDERS[type], type) }
  const { start, databases } = REDIS[type]
  const [port, database] = [integer(env, `${start}_PORT`, 'REDIS_PORT'), integer(env, ...databases)]
  const [username, password] = [optional(env, `${start}_USERNAME`, 'REDIS_USERNAME'), optional(env, `${start}_PASSWORD`, 'REDIS_PASSWORD')]
  return {
    ...common, host: optional(env, `${start}_HOST`) ?? required(env, 'REDIS_HOST', type),
    ...(port !== undefined && { port }), ...(database !== undefined && { database }), ...(username !== undefined && { username }), ...(password !== undefined && { password })
  }
}

/** The queues' provider that `QUERY_QUEUE_PROVIDER` names (default postgresql). */
export function queueProviderFromEnv(env: Environment = processEnvironment()): string {
  return optional(env, 'QUERY_QUEUE_PROVIDER') ?? 'postgresql'
}

/**
 * What the environment says of a queue provider, in the words of `openQueues`' options: `PG_QUEUE_HOST`, `_PORT`, `_USER`, `_PASSWORD`,
 * `_DB` (each: else the `DB_…` variable; where none is set, `PGURL` or `DATABASE_URL`) and `PG_QUEUE_TABLE_PREFIX`; `REDIS_HOST`, `_PORT`, `_USERNAME`, `_PASSWORD`,
 * `QUERY_QUEUE_REDIS_DB` and `QUERY_QUEUE_REDIS_QUEUE_KEY`.
 *
 * @throws {InvalidArgumentError} a variable that the provider needs is missing; its name is the error's `argument`
 */
export function queueOptionsFromEnv(provider: string, env: Environment = processEnvironment()): Readonly<Record<string, string | number>> {
  if (provider === 'postgresql') {
    const own = (name: string): string | undefined => optional(env, `PG_QUEUE_${name === 'NAME' ? 'DB' : name}`, `DB_${name}`)
    const isSplit = ['HOST', 'PORT', 'USER', 'NAME'].some(name => own(name) !== undefined) || optional(env, 'PGURL', 'DATABASE_URL') === undefined
    for (const name of isSplit ? ['HOST', 'USER', 'NAME'] : []) if (own(name) === undefined) required(env, `PG_QUEUE_${name === 'NAME' ? 'DB' : name}`, 'the queues')
    const url = databaseUrlFromEnv({ PGURL: env['PGURL'], DATABASE_URL: env['DATABASE_URL'],
      ...Object.fromEntries(['HOST', 'PORT', 'USER', 'PASSWORD', 'NAME'].map(name => [`DB_${name}`, own(name)])) })
    const prefix = optional(env, 'PG_QUEUE_TABLE_PREFIX')
    return { connectionString: url, ...(prefix !== undefined && { tablePrefix: prefix }) }
  }
  if (provider !== 'redis') return {}
  const [port, database] = [integer(env, 'REDIS_PORT'), integer(env, 'QUERY_QUEUE_REDIS_DB')]
  const given = { username: optional(env, 'REDIS_USERNAME'), password: optional(env, 'REDIS_PASSWORD'), keyPrefix: optional(env, 'QUERY_QUEUE_REDIS_QUEUE_KEY'), port, database }
  const known = Object.entries(given).filter((entry): entry is [string, string | number] => entry[1] !== undefined)
  return { host: required(env, 'REDIS_HOST', 'the queues'), ...Object.fromEntries(known) }
}
