import { checkPolicy, type EvictionPolicy } from '../eviction-plan.js'
import type { EvictionOrder } from '../backend.js'
import { runSql, type ProcessorPool } from './connection.js'
import type { ProcessorNames } from './names.js'

const COLUMNS = { maxEntries: 'max_entries', maxBytes: 'max_bytes', maxAgeMs: 'max_age_ms', maxIdleMs: 'max_idle_ms' } as const

/**
 * Keep a policy for a partition key, or for `*`; undefined removes it.
 * @throws {InvalidArgumentError} no policy
 */
export async function setPolicy(pool: ProcessorPool, { evictionConfig }: ProcessorNames, partitionKey: string, policy: EvictionPolicy | undefined): Promise<void> {
  if (policy === undefined) {
    await runSql(pool, 'remove a policy', `DELETE FROM ${evictionConfig} WHERE partition_key = $1`, [partitionKey])
    return
  }
  checkPolicy(policy)
  const columns = [...Object.values(COLUMNS), 'eviction_order']
  const values = [...Object.keys(COLUMNS).map(field => policy[field as keyof typeof COLUMNS]).map(value => value === undefined ? null : Math.round(value)), policy.order ?? 'least-recently-used']
  await runSql(pool, 'keep a policy', `INSERT INTO ${evictionConfig} (partition_key, ${columns.join(', ')}) VALUES ($1, ${columns.map((_, i) => `$${i + 2}`).join(', ')})
    ON CONFLICT (partition_key) DO UPDATE SET ${columns.map(column => `${column} = excluded.${column}`).join(', ')}`, [partitionKey, ...values])
}

/** Every policy, by partition key. */
export async function policies(pool: ProcessorPool, { evictionConfig }: ProcessorNames): Promise<Record<string, EvictionPolicy>> {
  const rows = await runSql(pool, 'read the policies', `SELECT * FROM ${evictionConfig} ORDER BY partition_key COLLATE "C"`)
  return Object.fromEntries(rows.map(row => [row['partition_key']!, {
    ...Object.fromEntries(Object.entries(COLUMNS).flatMap(([field, column]) => row[column] == null ? [] : [[field, Number(row[column])]])),
    order: row['eviction_order'] as EvictionOrder
  }]))
}
