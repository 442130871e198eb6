/** What the command line takes from the environment. Read here and nowhere else. */
export interface Environment {
  /** `PGURL`, else `DATABASE_URL`. */
  databaseUrl: string | undefined
  /** The driver reads `PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE` by itself; this says whether any is set. */
  hasDatabaseDefaults: boolean
  /** `MILLRACE_CACHE_DIR`. */
  cacheDir: string | undefined
  /** Passwords to keep out of everything that is printed. */
  secrets: readonly string[]
}

/** Read the environment; empty variables count as unset. */
export function readEnvironment(): Environment {
  const { env } = process
  const read = (name: string): string | undefined => env[name] === '' ? undefined : env[name]
  const databaseUrl = read('PGURL') ?? read('DATABASE_URL')
  return {
    databaseUrl,
    hasDatabaseDefaults: ['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE'].some(name => read(name) !== undefined),
    cacheDir: read('MILLRACE_CACHE_DIR'),
    secrets: [read('PGPASSWORD') ?? ''].filter(Boolean)
  }
}
