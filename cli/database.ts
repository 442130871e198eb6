import { InvalidArgumentError, messageOf } from '../lib/errors.js'
import type { Fetcher } from '../lib/source/fetcher.js'
import { postgresPool, postgresSource } from '../lib/source/postgres.js'
import type { ColumnType } from '../lib/batch/column-type.js'
import { settleWithin } from './settle.js'
import type { Session } from './session.js'

/** A database to fetch from, for as long as a command runs. */
export interface Database {
  fetcher: Fetcher
  close(): Promise<void>
}

interface DatabaseOptions {
  pg?: string | undefined
  concurrency?: number | undefined
  columnTypes?: Readonly<Record<string, string>> | undefined
}

/** A pool that has to wait for a dead server must not keep the process. */
const CLOSE_MS = 2000

/**
 * The database that `--pg`, `PGURL`, `DATABASE_URL` or the `PG*` variables name; connected to when something has to be fetched.
 * Where nothing names one, what is cached can still be read.
 */
export function databaseOf({ pg, concurrency = 2, columnTypes }: DatabaseOptions, { env }: Session): Database {
  const url = pg ?? env.databaseUrl
  if (url === undefined && !env.hasDatabaseDefaults) return { fetcher: noDatabase, close: () => Promise.resolve() }
  try {
    const pool = postgresPool({ connectionString: url, max: concurrency })
    const source = postgresSource({ pool, maxConcurrency: concurrency, ...(columnTypes ? { columnTypes: columnTypes as Record<string, ColumnType> } : {}) })
    return { fetcher: source.fetch, close: () => settleWithin(CLOSE_MS, pool.end()) }
  } catch (cause) {
    // the driver's error names the URL, and the URL the password: neither is kept
    if (cause instanceof InvalidArgumentError) throw cause
    throw new InvalidArgumentError({ argument: '--pg', expected: 'postgres://user@host:port/database', found: messageOf(cause) })
  }
}

const noDatabase: Fetcher = ids => {
  throw new InvalidArgumentError({ argument: '--pg', expected: `a database for the ids that are not cached: --pg URL, or PGURL in the environment`,
    found: `none, and ${ids.length} or more ids to fetch` })
}
