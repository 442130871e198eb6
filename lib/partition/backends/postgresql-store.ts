import { InvalidArgumentError } from '../../errors.js'
import type { PgPool } from '../../source/postgres-session.js'
import { PartitionBackendError, type EntryChange, type EntryInfo, type EntryUsage, type EntryState, type EntryStatus, type Marks, type Partition } from '../backend.js'
import { firstNumber } from '../marks.js'
import type { Datatype } from '../key-types.js'
import { quoteIdentifier, quoteText } from '../../sql/quote.js'
import { textArrayParameter } from './postgresql-binary.js'

/** A row as text, by column. */
export type Row = Record<string, string | null>

/** A pool of the `pg` package, by the method used. */
export interface QueryPool {
  query(config: { text: string, values?: unknown[], types: typeof RAW }): Promise<{ rows: unknown[] }>
}

/** What both PostgreSQL backends take. */
export interface PostgresqlOptions {
  pool: QueryPool | PgPool
  /** Start of the tables' names, an underscore is added where it has none (default 'partitioncache'). */
  tablePrefix?: string | undefined
  /** Where the tables are (default: the connection's current schema). */
  schema?: string | undefined
  /** End the pool with the backend: it is nobody else's (default false). */
  ownsPool?: boolean | undefined
}

/** Columns that hold sets, as one backend lays them out. */
export interface SetColumns {
  /** Part of the tables' names, so that two backends can share a prefix. */
  readonly family: string
  /** Column definitions. */
  readonly definitions: readonly string[]
  /** SQL that runs once after the table is made; `entries` is its quoted name. */
  readonly afterCreate?: (entries: string) => string
}

/** The values of one write, by column; `sql` places the parameter. */
export type SetValues = Readonly<Record<string, { readonly value: unknown, readonly cast: string }>>

/** Registry and entries in two tables; when entries were last used in a third, so that readers need no right to change entries. */
export interface PostgresqlStore {
  /** The quoted, qualified name of the table of entries. */
  readonly entries: string
  run(action: string, text: string, values?: readonly unknown[]): Promise<Row[]>
  register(name: string, datatype: Datatype): Promise<Datatype>
  partitions(): Promise<Partition[]>
  datatypeOf(name: string): Promise<Datatype | undefined>
  bytes(partition: Partition, hash: string): Promise<number | undefined>
  usage(partition: Partition): AsyncGenerator<readonly EntryUsage[]>
  touch(partition: Partition, uses: ReadonlyMap<string, number>): Promise<void>
  write(partition: Partition, hash: string, change: EntryChange, set: SetValues | undefined, ifNumber: number | undefined): Promise<boolean>
  begin(name: string): Promise<number>
  begun(): Promise<string[]>
  mark(name: string, scopes: readonly string[]): Promise<void>
  marks(name: string, scopes: readonly string[]): Promise<Marks>
  info(partition: Partition, hash: string): Promise<EntryInfo | undefined>
  states(partition: Partition, hashes: readonly string[]): Promise<EntryState[]>
  list(partition: Partition): AsyncGenerator<readonly EntryInfo[]>
  remove(partition: Partition, hashes: readonly string[]): Promise<void>
  forget(partition: Partition): Promise<void>
  close(): Promise<void>
}

/** Text as the server sent it: nothing depends on what parsers the process has set for pg. */
export const RAW = { getTypeParser: () => (value: string): string => value }
const PAGE_ROWS = 5000
const DEFAULT_PREFIX = 'partitioncache'
const TRANSIENT = /^(08|53|57P0|40|55P03|58|ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)|terminated|timeout/i

/** The condition that an entry counts: not expired. */
export const IS_LIVE = '(expires_at IS NULL OR expires_at > pg_catalog.clock_timestamp())'

const STATE = "CASE WHEN is_set THEN 'set' WHEN NOT is_set THEN 'null' ELSE 'none' END"
const INFO = `hash, ${STATE} AS state, query, status, pg_catalog.to_json(tables)::text AS tables,
  (extract(epoch FROM stored_at) * 1000)::bigint AS stored_at, (extract(epoch FROM expires_at) * 1000)::bigint AS expires_at`

function infoOf(row: Row): EntryInfo {
  return {
    hash: row['hash']!, state: row['state'] as EntryState, query: row['query'] ?? undefined,
    status: (row['status'] ?? undefined) as EntryStatus | undefined,
    tables: row['tables'] == null ? undefined : JSON.parse(row['tables']) as string[],
    storedAt: row['stored_at'] == null ? undefined : Number(row['stored_at']),
    expiresAt: row['expires_at'] == null ? undefined : Number(row['expires_at']),
  }
}

/** Whether another attempt may help. */
export function isTransientPostgres(error: unknown): boolean {
  const { code, message } = error as { code?: unknown, message?: unknown }
  return TRANSIENT.test(String(code)) || (code === undefined && TRANSIENT.test(String(message)))
}

function prefixOf(tablePrefix: string): string {
  return tablePrefix === '' || tablePrefix.endsWith('_') ? tablePrefix : `${tablePrefix}_`
}

/** The unquoted names of a backend's tables. */
export function storeTables(family: string, tablePrefix: string = DEFAULT_PREFIX): { entries: string, keys: string, uses: string, marks: string } {
  const start = `${prefixOf(tablePrefix)}${family}_`
  return { entries: `${start}entries`, keys: `${start}partition_keys`, uses: `${start}uses`, marks: `${start}invalidations` }
}

/** Open the tables of `type`, made where absent. */
export async function postgresqlStore(type: string, { pool, tablePrefix = DEFAULT_PREFIX, schema, ownsPool = false }: PostgresqlOptions, columns: SetColumns): Promise<PostgresqlStore> {
  if (typeof (pool as Partial<QueryPool> | undefined)?.query !== 'function') throw new InvalidArgumentError({ argument: 'pool', expected: 'a pg.Pool', found: typeof pool })
  const names = storeTables(columns.family, tablePrefix)

  async function run(action: string, text: string, values?: readonly unknown[]): Promise<Row[]> {
    try {
      const result = await (pool as QueryPool).query({ text, types: RAW, ...(values && { values: [...values] }) })
      return result.rows as Row[]
    } catch (cause) {
      throw new PartitionBackendError({ backend: type, action: `could not ${action}`, cause, isTransient: isTransientPostgres(cause) })
    }
  }

  const [where] = schema === undefined ? await run('find the current schema', 'SELECT pg_catalog.current_schema() AS schema') : [{ schema }]
  if (where?.['schema'] == null) throw new InvalidArgumentError({ argument: 'schema', expected: 'a schema, as the connection has none of its own' })
  const inSchema = (name: string): string => `${quoteIdentifier(where['schema']!)}.${quoteIdentifier(name)}`
  const [entries, keys, uses, marks] = [inSchema(names.entries), inSchema(names.keys), inSchema(names.uses), inSchema(names.marks)]
  const [found] = await run('look for its tables', `SELECT pg_catalog.to_regclass($1) IS NOT NULL AND pg_catalog.to_regclass($2) IS NOT NULL
    AND pg_catalog.to_regclass($3) IS NOT NULL AS are_there`, [entries, uses, marks])
  // one simple query is one transaction; the lock lets many processes start at once
  if (found?.['are_there'] !== 't') {
    await run('create its tables', `SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${quoteText(entries)}, 0));
      CREATE TABLE IF NOT EXISTS ${keys} (partition_key text PRIMARY KEY, datatype text NOT NULL, created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
        UNIQUE (partition_key, datatype));
      CREATE TABLE IF NOT EXISTS ${marks} (partition_key text NOT NULL, scope text NOT NULL, number bigint NOT NULL, PRIMARY KEY (partition_key, scope));
      CREATE TABLE IF NOT EXISTS ${entries} (partition_key text NOT NULL, datatype text NOT NULL, hash text NOT NULL, is_set boolean, key_count integer,
        query text, status text CHECK (status IN ('ok', 'timeout', 'failed')), tables text[], stored_at timestamptz, expires_at timestamptz,
        ${columns.definitions.join(', ')}, PRIMARY KEY (partition_key, hash),
        FOREIGN KEY (partition_key, datatype) REFERENCES ${keys} (partition_key, datatype) ON DELETE CASCADE);
      CREATE UNLOGGED TABLE IF NOT EXISTS ${uses} (partition_key text NOT NULL, hash text NOT NULL, used_at timestamptz NOT NULL, PRIMARY KEY (partition_key, hash),
        FOREIGN KEY (partition_key, hash) REFERENCES ${entries} (partition_key, hash) ON DELETE CASCADE);
      ${columns.afterCreate?.(entries) ?? ''}`)
  }

  async function datatypeOf(name: string): Promise<Datatype | undefined> {
    const [held] = await run('read the partition keys', `SELECT datatype FROM ${keys} WHERE partition_key = $1`, [name])
    return held?.['datatype'] as Datatype | undefined
  }
  const time = (at: number | undefined): string | null => at === undefined ? null : new Date(at).toISOString()
  const setNames = columns.definitions.map(definition => definition.split(' ')[0]!)
  const setBytes = setNames.map(column => `coalesce(pg_catalog.pg_column_size(${column}), 0)`).join(' + ')
  /** Rows of a query with the parameters partition key, datatype and "hash after", ordered by hash and limited, page by page. */
  async function * pages(action: string, text: string, { name, datatype }: Partition): AsyncGenerator<Row[]> {
    for (let after = ''; ;) {
      const rows = await run(action, text, [name, datatype, after])
      if (rows.length > 0) yield rows
      if (rows.length < PAGE_ROWS) return
      after = rows.at(-1)!['hash']!
    }
  }

  return {
    entries, run,
    datatypeOf,
    async register(name, datatype) {
      const held = await datatypeOf(name)
      if (held !== undefined) return held
      await run('register a partition key', `INSERT INTO ${keys} (partition_key, datatype) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [name, datatype])
      return await datatypeOf(name) ?? datatype
    },
    async partitions() {
      const rows = await run('read the partition keys', `SELECT partition_key, datatype FROM ${keys}`)
      return rows.map(row => ({ name: row['partition_key']!, datatype: row['datatype'] as Datatype }))
    },
    async write({ name, datatype }, hash, { keys: given, query, status, tables, storedAt, expiresAt }, set, ifNumber) {
      const columnsOfChange: Record<string, { value: unknown, cast: string }> = {
        query: { value: query ?? null, cast: 'text' }, status: { value: status ?? null, cast: 'text' },
        tables: { value: tables ? textArrayParameter(tables) : null, cast: 'text[]' }, stored_at: { value: time(storedAt), cast: 'timestamptz' },
      }
      if (given !== undefined) {
        const empty = Object.fromEntries(setNames.map(column => [column, { value: null, cast: columns.definitions.find(one => one.startsWith(`${column} `))!.slice(column.length + 1) }]))
        Object.assign(columnsOfChange, empty, set, {
          is_set: { value: given !== null, cast: 'boolean' }, key_count: { value: given?.length ?? null, cast: 'integer' },
          expires_at: { value: time(expiresAt), cast: 'timestamptz' } })
      }
      const list = Object.keys(columnsOfChange)
      const replaced = ['is_set', 'key_count', 'expires_at', ...setNames]
      // what has expired is as if it were gone: nothing of it is kept
      const old = (column: string): string => `CASE WHEN e.expires_at IS NULL OR e.expires_at > pg_catalog.clock_timestamp() THEN e.${column} END`
      const kept = [...replaced.map(column => `${column} = ${given === undefined ? old(column) : `excluded.${column}`}`),
        ...list.filter(column => !replaced.includes(column)).map(column => column === 'stored_at' && given === undefined
          ? `stored_at = coalesce(${old(column)}, excluded.stored_at)` : `${column} = coalesce(excluded.${column}, ${old(column)})`)]
      // the row of the last number is held until the write is done: an invalidation waits for it, and then sees what was written
      const guard = ifNumber === undefined ? '' : `FROM (SELECT number FROM ${marks} WHERE partition_key = $1 AND scope = '*' FOR SHARE) AS m WHERE m.number = $${list.length + 4}::bigint`
      const written = await run('write an entry', `INSERT INTO ${entries} AS e (partition_key, datatype, hash, ${list.join(', ')})
        SELECT $1, $2, $3, ${list.map((column, i) => `$${i + 4}::${columnsOfChange[column]!.cast}`).join(', ')} ${guard}
        ON CONFLICT (partition_key, hash) DO UPDATE SET datatype = excluded.datatype, ${kept.join(', ')} RETURNING true AS written`,
      [name, datatype, hash, ...list.map(column => columnsOfChange[column]!.value), ...(ifNumber === undefined ? [] : [ifNumber])])
      return written.length > 0
    },
    async begin(name) {
      const [row] = await run('read the last invalidation', `INSERT INTO ${marks} AS m (partition_key, scope, number) VALUES ($1, '*', $2)
        ON CONFLICT (partition_key, scope) DO UPDATE SET number = m.number RETURNING number`, [name, firstNumber()])
      return Number(row!['number'])
    },
    async begun() {
      const rows = await run('list the partition keys', `SELECT partition_key FROM ${marks} WHERE scope = '*'`)
      return rows.map(row => row['partition_key']!)
    },
    async mark(name, scopes) {
      await run('mark an invalidation', `WITH last AS (INSERT INTO ${marks} AS m (partition_key, scope, number) VALUES ($1, '*', $2)
          ON CONFLICT (partition_key, scope) DO UPDATE SET number = m.number + 1 RETURNING number)
        INSERT INTO ${marks} AS m (partition_key, scope, number) SELECT $1, scope, number FROM last, pg_catalog.unnest($3::text[]) AS s(scope) WHERE scope <> '*'
        ON CONFLICT (partition_key, scope) DO UPDATE SET number = greatest(m.number, excluded.number)`, [name, firstNumber(), textArrayParameter(scopes)])
    },
    async marks(name, scopes) {
      const [row] = await run('read the invalidations', `SELECT max(number) FILTER (WHERE scope = '*') AS number, max(number) FILTER (WHERE scope = ANY($2::text[])) AS marked
        FROM ${marks} WHERE partition_key = $1`, [name, textArrayParameter(scopes)])
      // a count that is gone says that anything may have happened
      return { number: Number(row?.['number'] ?? 0), marked: row?.['number'] == null ? Number.MAX_SAFE_INTEGER : Number(row['marked'] ?? 0) }
    },
    async info({ name, datatype }, hash) {
      const [row] = await run('read an entry', `SELECT ${INFO} FROM ${entries} WHERE partition_key = $1 AND datatype = $2 AND hash = $3 AND ${IS_LIVE}`, [name, datatype, hash])
      return row && infoOf(row)
    },
    async states({ name, datatype }, hashes) {
      const rows = await run('look for entries', `SELECT hash, ${STATE} AS state FROM ${entries}
        WHERE partition_key = $1 AND datatype = $2 AND hash = ANY($3::text[]) AND ${IS_LIVE}`, [name, datatype, textArrayParameter(hashes)])
      const states = new Map(rows.map(row => [row['hash'], row['state'] as EntryState]))
      return hashes.map(hash => states.get(hash) ?? 'none')
    },
    async * list(partition) {
      const text = `SELECT ${INFO} FROM ${entries} WHERE partition_key = $1 AND datatype = $2 AND hash > $3 AND ${IS_LIVE} ORDER BY hash LIMIT ${PAGE_ROWS}`
      for await (const rows of pages('list the entries', text, partition)) yield rows.map(infoOf)
    },
    async * usage(partition) {
      const text = `SELECT hash, ${STATE} AS state, CASE WHEN is_set THEN ${setBytes} ELSE 0 END AS bytes, (extract(epoch FROM stored_at) * 1000)::bigint AS stored_at,
        (extract(epoch FROM used_at) * 1000)::bigint AS used_at FROM ${entries} LEFT JOIN ${uses} USING (partition_key, hash)
        WHERE partition_key = $1 AND datatype = $2 AND hash > $3 AND ${IS_LIVE} ORDER BY hash LIMIT ${PAGE_ROWS}`
      for await (const rows of pages('measure the entries', text, partition)) {
        yield rows.map(({ hash, state, bytes, stored_at: storedAt, used_at: usedAt }) => ({ hash: hash!, state: state as EntryState, bytes: Number(bytes),
          storedAt: storedAt == null ? undefined : Number(storedAt), usedAt: usedAt == null ? undefined : Number(usedAt) }))
      }
    },
    async touch({ name }, used) {
      // in one order, so that two processes cannot wait for each other
      const hashes = [...used.keys()].sort()
      await run('note uses', `INSERT INTO ${uses} AS u (partition_key, hash, used_at) SELECT partition_key, hash, pg_catalog.to_timestamp(at)
        FROM unnest($2::text[], $3::float8[]) WITH ORDINALITY AS given (hash, at, nth) JOIN ${entries} USING (hash) WHERE partition_key = $1 ORDER BY nth
        ON CONFLICT (partition_key, hash) DO UPDATE SET used_at = excluded.used_at WHERE u.used_at < excluded.used_at`,
      [name, textArrayParameter(hashes), `{${hashes.map(hash => used.get(hash)! / 1000).join()}}`])
    },
    async remove({ name }, hashes) {
      await run('remove entries', `DELETE FROM ${entries} WHERE partition_key = $1 AND hash = ANY($2::text[])`, [name, textArrayParameter(hashes)])
    },
    async forget({ name }) {
      await run('drop a partition key', `DELETE FROM ${keys} WHERE partition_key = $1`, [name])
    },
    async bytes({ name, datatype }, hash) {
      const [row] = await run('measure a set', `SELECT ${setBytes} AS bytes FROM ${entries}
        WHERE partition_key = $1 AND datatype = $2 AND hash = $3 AND is_set AND ${IS_LIVE}`, [name, datatype, hash])
      return row && Number(row['bytes'])
    },
    async close() {
      if (ownsPool) await (pool as QueryPool & { end?(): Promise<void> }).end?.()
    },
  }
}
