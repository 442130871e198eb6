import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { InvalidArgumentError, messageOf } from '../../lib/errors.js'
import { processEnvironment, secretsOf, type Environment } from '../../lib/partition/env.js'
import type { Session } from '../session.js'
import type { CacheOptions, CommonOptions, DatabaseOptions } from './options.js'

function fileVariables(file: string): Record<string, string | undefined> {
  try {
    return parseEnv(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new InvalidArgumentError({ argument: '--env', expected: 'a readable file of NAME=value lines', found: messageOf(cause) })
  }
}

const environments = new WeakMap<Session, Environment>()

/** Reads the environment for a session, and keeps its passwords out of what is printed. */
export function useEnvironment({ envFile }: CommonOptions, session: Session): void {
  const own = Object.entries(processEnvironment()).filter(([, value]) => value !== undefined && value !== '')
  const env = { ...envFile === undefined ? {} : fileVariables(envFile), ...Object.fromEntries(own) }
  environments.set(session, env)
  session.hide(secretsOf(env))
}

/** What each option stands for: the variables that say the same. */
const VARIABLES: Readonly<Record<string, readonly string[]>> = {
  cacheBackend: ['CACHE_BACKEND'],
  bitsize: ['PG_BIT_CACHE_BITSIZE', 'REDIS_BIT_BITSIZE', 'ROCKSDB_BIT_BITSIZE'],
  tablePrefix: ['PG_ARRAY_CACHE_TABLE_PREFIX', 'PG_BIT_CACHE_TABLE_PREFIX'],
  dbHost: ['DB_HOST', 'PG_DB_HOST'],
  dbPort: ['DB_PORT', 'PG_DB_PORT'],
  dbUser: ['DB_USER', 'PG_DB_USER'],
  dbName: ['DB_NAME'],
  dbFile: ['SQLITE_DB_PATH'],
  queueProvider: ['QUERY_QUEUE_PROVIDER'],
  queuePrefix: ['PG_QUEUE_TABLE_PREFIX'],
  cronDatabase: ['PG_CRON_DATABASE']
}

/** With `--db-backend mysql` the options speak of that database; the `DB_…` variables stay the cache's. */
const MYSQL_VARIABLES: Readonly<Record<string, readonly string[]>> = { dbHost: ['MY_DB_HOST'], dbPort: ['MY_DB_PORT'], dbUser: ['MY_DB_USER'], dbName: ['MY_DB_NAME'] }

/** The session's variables as the options change them: an option is another way to set its variable, for this run. */
export function environmentOf(options: CacheOptions & DatabaseOptions & { queueProvider?: string, queuePrefix?: string, cronDatabase?: string }, session: Session): Environment {
  const variables = options.dbBackend === 'mysql' ? { ...VARIABLES, ...MYSQL_VARIABLES } : VARIABLES
  const given = Object.entries(variables).flatMap(([option, names]) => {
    const value = (options as Readonly<Record<string, unknown>>)[option]
    return value === undefined ? [] : names.map(name => [name, String(value)] as const)
  })
  return { ...environments.get(session), ...Object.fromEntries(given) }
}
