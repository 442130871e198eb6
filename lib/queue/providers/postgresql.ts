import { InvalidArgumentError } from '../../errors.js'
import { isTransientPostgres, RAW, type Row } from '../../partition/backends/postgresql-store.js'
import { textArrayParameter } from '../../partition/backends/postgresql-binary.js'
import type { Datatype } from '../../partition/key-types.js'
import { borrow, guarded, type Limits, type PgPool } from '../../source/postgres-session.js'
import { quoteIdentifier } from '../../sql/quote.js'
import { postgresqlListener } from '../postgresql-listener.js'
import { createQueueSql, queueNames, queueStatements, type QueueNames } from '../postgresql-schema.js'
import { RERUNS } from '../push-items.js'
import { QueueError, type HeldJob, type QueueProvider, type QueueStore, type StoredItem } from '../queue-store.js'

/** What the queues inside PostgreSQL take. */
export interface PostgresqlQueueOptions {
  /** A `pg.Pool`. One of its connections listens for pushes while somebody waits; with one connection at most, waits only poll. */
  pool: PgPool
  /** Start of the tables' names, an underscore is added where it has none (default 'partitioncache_queue'). */
  tablePrefix?: string | undefined
  /** Where the tables are (default: the connection's current schema). */
  schema?: string | undefined
  /** The longest silence tolerated from the server, in ms (default 30,000; 0 = no limit). */
  answerTimeoutMs?: number | undefined
  /** End the pool with the queues: it is nobody else's (default false). */
  ownsPool?: boolean | undefined
}

type Run = (action: string, text: string, values?: readonly unknown[]) => Promise<Row[]>

const PROVIDER = 'postgresql'
/** Two that waited for each other: one was told to try again. */
const DEADLOCK = /^40/
const MAX_TRIES = 5

function itemOf(row: Row): StoredItem {
  const { hash, partition_key: partitionKey, query, datatype, tables, params, rerun, priority } = row
  return {
    sql: query!, hash: hash!, partitionKey: partitionKey!, datatype: (datatype ?? undefined) as Datatype | undefined, priority: Number(priority),
    tables: tables == null ? undefined : JSON.parse(tables) as string[], params: params == null ? undefined : JSON.parse(params) as unknown[], rerun: RERUNS[Number(rerun)]
  }
}

function postgresqlStore(names: QueueNames, run: Run, listen: QueueStore['listen']): QueueStore {
  const sql = queueStatements(names)
  const ids = (jobs: readonly HeldJob[]): [string, string] => [`{${jobs.map(({ id }) => id).join(',')}}`, `{${jobs.map(({ lease }) => lease).join(',')}}`]
  return {
    listen,
    async push(items) {
      const rows = items.map(({ hash, partitionKey, sql: query, datatype, tables, params, rerun, priority, delayMs }) =>
        ({ hash, partition_key: partitionKey, query, datatype, tables, params, rerun: RERUNS.indexOf(rerun), priority, delay_ms: delayMs }))
      const [counted] = await run('could not push', sql.push, [JSON.stringify(rows)])
      return { inserted: Number(counted!['inserted']), merged: Number(counted!['merged']) }
    },
    async take(count, { leaseMs, maxAttempts }) {
      const rows = await run('could not take', sql.take, [count, leaseMs, maxAttempts])
      const wait = rows.find(({ id }) => id === null)
      const taken = rows.filter(row => row['id'] !== null && row['is_dead'] === 'f')
      return {
        jobs: taken.map(row => ({ id: row['id']!, lease: row['lease']!, attempt: Number(row['attempts']), item: itemOf(row) })),
        died: rows.length - taken.length - (wait ? 1 : 0), waitMs: wait && Number(wait['wait_ms'])
      }
    },
    ack: async jobs => (await run('could not ack', sql.ack, ids(jobs))).map(({ id }) => id!),
    async nack(jobs, { maxAttempts }) {
      const rows = jobs.map(({ id, lease, delayMs, error, counts, isDead }) => ({ id, lease, delay_ms: delayMs, error, counts, is_dead: isDead }))
      return (await run('could not give back', sql.nack, [JSON.stringify(rows), maxAttempts])).map(row => ({ id: row['id']!, isDead: row['is_dead'] === 't' }))
    },
    extend: async (jobs, { leaseMs }) => (await run('could not extend leases', sql.extend, [...ids(jobs), leaseMs])).map(({ id }) => id!),
    async counts() {
      const [row] = await run('could not count', sql.counts)
      const [waiting, delayed, leased, dead] = ['waiting', 'delayed', 'leased', 'dead'].map(name => Number(row![name])) as [number, number, number, number]
      return { waiting, delayed, leased, dead }
    },
    clear: async ({ dead }) => (await run('could not clear', sql.clear, [dead])).length,
    async dead(limit, after = '0') {
      const rows = await run('could not read the dead letters', sql.dead, [limit, after])
      return rows.map(row => ({ ...itemOf(row), id: row['id']!, attempts: Number(row['attempts']), error: row['error'] ?? undefined, diedAt: Number(row['dead_at']) }))
    },
    retry: async hashes => (await run('could not revive', sql.retry, [hashes ? textArrayParameter(hashes) : null])).length,
  }
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : undefined
}

async function ask(pool: PgPool, limits: Limits, text: string, values: readonly unknown[] = []): Promise<Row[]> {
  const lease = await borrow(pool, limits)
  let isBroken = true
  try {
    const { rows } = await guarded(lease, limits, () => lease.client.query({ text, types: RAW, ...(values.length > 0 && { values: [...values] }) }))
    isBroken = false
    return rows as Row[]
  } catch (error) {
    // what the server itself refused leaves the connection as it was
    isBroken = !/^(?!57P|08)[0-9A-Z]{5}$/.test(codeOf(error) ?? '')
    throw error
  } finally {
    lease.release(isBroken)
  }
}

/**
 * Both queues inside PostgreSQL, made where absent: as durable as the server (its `synchronous_commit`).
 *
 * @throws {QueueError} the server cannot be reached, or the tables cannot be made
 */
export async function postgresqlQueues({ pool, tablePrefix = 'partitioncache_queue', schema, answerTimeoutMs = 30_000, ownsPool = false }: PostgresqlQueueOptions): Promise<QueueProvider> {
  if (typeof (pool as Partial<PgPool> | undefined)?.connect !== 'function') throw new InvalidArgumentError({ argument: 'pool', expected: 'a pg.Pool', found: typeof pool })
  const limits: Limits = { timeoutMs: answerTimeoutMs, cancel: () => {} }
  const run: Run = async (action, text, values) => {
    for (let tries = 1; ; tries++) {
      try {
        return await ask(pool, limits, text, values)
      } catch (cause) {
        if (tries < MAX_TRIES && DEADLOCK.test(codeOf(cause) ?? '')) continue
        throw new QueueError({ provider: PROVIDER, action, cause, isTransient: isTransientPostgres(cause) })
      }
    }
  }
  const [where] = schema === undefined ? await run('could not find the current schema', 'SELECT pg_catalog.current_schema() AS schema') : [{ schema }]
  if (where?.['schema'] == null) throw new InvalidArgumentError({ argument: 'schema', expected: 'a schema, as the connection has none of its own' })
  const names = (['incoming', 'outgoing'] as const).map(kind => queueNames(where['schema']!, tablePrefix, kind)) as [QueueNames, QueueNames]
  for (const one of names) {
    const [found] = await run('could not look for its tables', 'SELECT pg_catalog.to_regclass($1) AS found', [one.table])
    if (found?.['found'] == null) await run('could not create its tables', createQueueSql(one))
  }
  const listener = postgresqlListener(pool, names.map(({ channel }) => ({ channel, sql: `LISTEN ${quoteIdentifier(channel)}` })))
  const [incoming, outgoing] = names.map(one => postgresqlStore(one, run, wake => listener.listen(one.channel, wake))) as [QueueStore, QueueStore]
  return {
    name: PROVIDER, incoming, outgoing,
    async close() {
      await listener.close()
      if (ownsPool) await (pool as PgPool & { end?(): Promise<void> }).end?.()
    }
  }
}
