import { Option } from 'commander'
import { count, duration } from '../options.js'

/** Options of every action: where the environment comes from. */
export interface CommonOptions {
  json?: boolean
  envFile?: string
}

/** Options that say which cache, and which partition key in it. */
export interface CacheOptions extends CommonOptions {
  cacheBackend?: string
  partitionKey?: string
  bitsize?: number
  tablePrefix?: string
}

/** Options that say which database. */
export interface DatabaseOptions extends CommonOptions {
  dbBackend?: string
  dbHost?: string
  dbPort?: number
  dbUser?: string
  dbName?: string
  dbFile?: string
}

/** Options that say which query. */
export interface QueryOptions {
  query?: string
  queryFile?: string
}

/** Options of every action. */
export function environmentOptions(): Option[] {
  // Node itself looks for `--env-file` on any command line, and ends where the file is not there: `--env` is the name to show
  return [new Option('--env, --env-file <file>', 'read variables from this file; those that are set already win')]
}

/**
 * `--cache-backend`, `--partition-key` and what a backend is opened with.
 *
 * @param types the backends that may be named
 */
export function cacheOptions(types = 'postgresql_array, postgresql_bit, redis_set, redis_bit, rocksdb_set, rocksdb_bit, rocksdict'): Option[] {
  return [
    new Option('--cache-backend <type>', `where the sets are: ${types} (default: $CACHE_BACKEND, else postgresql_array)`),
    partitionKeyOption(),
    new Option('--bitsize <count>', 'bits that a set starts with (postgresql_bit, redis_bit, rocksdb_bit); it grows when needed').argParser(count(1)),
    new Option('--table-prefix <prefix>', 'start of the table names of a cache in PostgreSQL, before an underscore (default: the variable, else partitioncache)')
  ]
}

/** `--partition-key`. */
export function partitionKeyOption(): Option {
  return new Option('--partition-key <column>', 'the column that holds the partition key')
}

/** `--partition-datatype`. */
export function datatypeOption(): Option {
  return new Option('--partition-datatype <type>', "the partition key's type (default: what is registered, else the column's)").choices(['integer', 'float', 'text', 'timestamp'])
}

/** The database that queries run in. Passwords come from the environment only. */
export function databaseOptions(): Option[] {
  return [
    new Option('--db-backend <name>', 'the database that the query runs in').choices(['postgresql', 'mysql', 'sqlite']).default('postgresql'),
    new Option('--db-host <host>', 'its host, or a folder of sockets (default: $DB_HOST, for mysql $MY_DB_HOST)'),
    new Option('--db-port <port>', 'its port (default: $DB_PORT, for mysql $MY_DB_PORT)').argParser(count(1)),
    new Option('--db-user <name>', 'the user (default: $DB_USER; the password is $DB_PASSWORD; for mysql $MY_DB_USER and $MY_DB_PASSWORD)'),
    new Option('--db-name <name>', 'the database (default: $DB_NAME, for mysql $MY_DB_NAME before it)'),
    new Option('--db-file <file>', 'the file of an SQLite database (default: $SQLITE_DB_PATH)')
  ]
}

/** The PostgreSQL database that a program works in. The password comes from the environment only. */
export function postgresqlOptions(): Option[] {
  return [
    new Option('--db-host <host>', 'the host of the database, or a folder of sockets (default: $DB_HOST)'),
    new Option('--db-port <port>', 'its port (default: $DB_PORT)').argParser(count(1)),
    new Option('--db-user <name>', 'the user (default: $DB_USER; the password is $DB_PASSWORD)'),
    new Option('--db-name <name>', 'the database (default: $DB_NAME)')
  ]
}

/** `--query` and `--query-file`. */
export function queryOptions(): Option[] {
  return [
    new Option('--query <sql>', 'the query; - reads it from stdin'),
    new Option('--query-file <file>', 'a file that holds the query; - is stdin')
  ]
}

/** `--yes`. */
export function yesOption(): Option {
  return new Option('--yes', 'do not ask (on a terminal it asks first; elsewhere it does not)')
}

const DAY_MS = 86_400_000

/** `30d`, and everything that `duration` takes. */
export function age(text: string): number {
  return /^\d+(\.\d+)?d$/.test(text) ? Math.round(Number(text.slice(0, -1)) * DAY_MS) : duration(text)
}
