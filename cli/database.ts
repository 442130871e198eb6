import type { Command } from 'commander'
import type { ColumnType } from '../lib/batch/column-type.js'
import { InvalidArgumentError, messageOf } from '../lib/errors.js'
import type { Fetcher, Source } from '../lib/source/fetcher.js'
import { mysqlPool, mysqlSource } from '../lib/source/mysql.js'
import { postgresPool, postgresSource } from '../lib/source/postgres.js'
import { sqliteSource } from '../lib/source/sqlite.js'
import type { Session } from './session.js'
import { settleWithin } from './settle.js'

/** Options that name a database. */
export interface ConnectionOptions {
  pg?: string | undefined
  mysql?: string | undefined
  sqlite?: string | undefined
}

interface DatabaseOptions extends ConnectionOptions {
  concurrency?: number | undefined
  columnTypes?: Readonly<Record<string, string>> | undefined
}

/** A database to read from, for as long as a command runs. */
export interface Database {
  source: Source
  close(): Promise<void>
}

/** A pool that has to wait for a dead server must not keep the process. */
const CLOSE_MS = 2000

/** Declare the options that name a database. */
export function withConnection(command: Command): Command {
  return command
    .option('--pg <url>', 'a PostgreSQL database (default: $PGURL, $DATABASE_URL, else the PG* variables);\nkeep passwords out of the command line: use PGURL or PGPASSWORD')
    .option('--mysql <url>', 'a MySQL or MariaDB database, mysql://user@host:port/database (or as $DATABASE_URL); needs the package mysql2')
    .option('--sqlite <file>', 'a SQLite database file; needs the package better-sqlite3, or a Node with node:sqlite')
}

/**
 * The database that `--pg`, `--mysql`, `--sqlite`, `PGURL`, `DATABASE_URL` or the `PG*` variables name; connected to when something has
 * to be read.
 */
export async function databaseOf({ pg, mysql, sqlite, concurrency = 2, columnTypes }: DatabaseOptions, { env }: Session): Promise<Database> {
  const given = Object.entries({ '--pg': pg, '--mysql': mysql, '--sqlite': sqlite }).filter(([, value]) => value !== undefined)
  if (given.length > 1) throw new InvalidArgumentError({ argument: given[1]![0], expected: 'one database', found: given.map(([name]) => name).join(' and ') })
  const types = columnTypes ? { columnTypes: columnTypes as Record<string, ColumnType> } : {}
  if (sqlite !== undefined) {
    const source = sqliteSource({ path: sqlite, ...types })
    return { source, close: () => source.close() }
  }
  const url = pg ?? mysql ?? env.databaseUrl
  const isMySql = mysql !== undefined || (pg === undefined && /^(mysql|mariadb):/i.test(url ?? ''))
  try {
    if (isMySql) {
      const pool = await mysqlPool({ uri: url!.replace(/^mariadb:/i, 'mysql:'), max: concurrency })
      return { source: mysqlSource({ pool, maxConcurrency: concurrency, ...types }), close: () => settleWithin(CLOSE_MS, pool.end()) }
    }
    const pool = postgresPool({ connectionString: url, max: concurrency })
    return { source: postgresSource({ pool, maxConcurrency: concurrency, ...types }), close: () => settleWithin(CLOSE_MS, pool.end()) }
  } catch (cause) {
    // the driver's error names the URL, and the URL the password: neither is kept
    if ((cause as { code?: string }).code?.startsWith('ERR_MISSING') || cause instanceof InvalidArgumentError) throw cause
    throw new InvalidArgumentError({ argument: isMySql ? '--mysql' : '--pg', expected: `${isMySql ? 'mysql' : 'postgres'}://user@host:port/database`, found: messageOf(cause) })
  }
}

/** As `databaseOf`, for rows by id: where nothing names a database, what is cached can still be read. */
export async function fetcherOf(options: DatabaseOptions, session: Session): Promise<{ fetcher: Fetcher, close(): Promise<void> }> {
  const { env } = session
  const isNamed = (options.pg ?? options.mysql ?? options.sqlite ?? env.databaseUrl) !== undefined || env.hasDatabaseDefaults
  if (!isNamed) return { fetcher: noDatabase, close: () => Promise.resolve() }
  const database = await databaseOf(options, session)
  return { fetcher: database.source.fetch, close: () => database.close() }
}

const noDatabase: Fetcher = ids => {
  throw new InvalidArgumentError({ argument: '--pg', expected: 'a database for the ids that are not cached: --pg URL, --mysql URL or --sqlite FILE, or PGURL or DATABASE_URL in the environment',
    found: `none, and ${ids.length} or more ids to fetch` })
}
