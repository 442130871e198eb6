import { expect } from 'chai'
import pg from 'pg'
import type { Source } from '../../../lib/source/fetcher.js'
import { postgresSource, type PostgresSourceOptions } from '../../../lib/source/postgres.js'
import { tcpProxy, type Tampering, type TcpProxy } from '../../support/tcp-proxy.js'

/** What a test does with a source and its pool. */
export type PoolRun = (pool: pg.Pool, source: Source) => Promise<void>

/** A pool of its own (default: 2 clients), maybe by way of a proxy's port, and how its source is made. */
export type PoolOptions = { port?: number, application?: string, max?: number } & Partial<PostgresSourceOptions>

/** Run with a source on a pool of its own; afterwards nobody waits for a client and none is out. */
export async function withPostgres(url: string, run: PoolRun, { port, application = 'faults', max = 2, ...options }: PoolOptions = {}): Promise<void> {
  const target = new URL(url)
  if (port) target.port = String(port)
  const pool = new pg.Pool({ connectionString: target.href, max, application_name: application })
  try {
    await run(pool, postgresSource({ pool, batchRows: 100, ...options }))
    expect(pool.waitingCount).to.equal(0)
    expect(pool.idleCount).to.equal(pool.totalCount)
  } finally {
    await pool.end()
  }
}

/** A proxy before the server of `url`. */
export function proxyOf(url: string, tampering: Tampering = {}): Promise<TcpProxy> {
  return tcpProxy(Number(new URL(url).port), new URL(url).hostname, tampering)
}
