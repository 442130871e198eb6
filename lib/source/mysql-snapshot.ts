import type { RowBatch } from '../batch/row-batch.js'
import { isRounded } from './answer.js'
import type { Waits } from './limits.js'
import { mysqlPrepared, mysqlRows, type MySqlContext } from './mysql-run.js'
import { exactly } from './mysql-stream.js'
import { mysqlReader } from './mysql-types.js'
import { checkSql } from './statement.js'
import { typedError } from './source-error.js'
import type { DescribedColumn, SnapshotOptions, SnapshotQuery, SourceSnapshot } from './snapshot.js'

const BEGIN = ['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY']

/**
 * One REPEATABLE READ, READ ONLY transaction on a connection of its own. What tables of other engines than InnoDB hold is not part of
 * the view; an answer that changes in between is noticed by its end, and not kept.
 */
export async function mysqlSnapshot(context: MySqlContext, { signal, timeoutMs = context.timeoutMs }: SnapshotOptions = {}): Promise<SourceSnapshot> {
  const waits: Waits = { signal, timeoutMs }
  const { lease, learned } = await mysqlPrepared(context, waits, async lease => {
    for (const statement of BEGIN) await lease.run(statement, waits)
    return await lease.run('SELECT CURRENT_USER() AS user, DATABASE() AS db', waits) as [{ user: string, db: string | null }]
  }).catch((error: unknown) => { throw typedError(context, 'snapshot', error) })

  async function * query(sql: string, { params, batchRows = context.batchRows }: SnapshotQuery = {}): AsyncGenerator<RowBatch> {
    try {
      yield * mysqlRows(context, lease, { sql: checkSql(sql), params, batchRows, waits, keep: true })
    } catch (error) {
      throw typedError(context, 'query', error)
    }
  }

  async function describe(sql: string): Promise<DescribedColumn[]> {
    try {
      const { columns } = await lease.prepare(exactly(checkSql(sql)), waits)
      return columns.map(field => {
        const { type, origin, sqlType } = mysqlReader(field)
        const declared = context.columnTypes.get(field.name)
        return { name: field.name, type: declared ?? type, nullable: true, sqlType, isRounded: isRounded(type, declared ?? type), ...(origin === undefined || (declared ?? type) !== type ? {} : { origin }) }
      })
    } catch (error) {
      throw typedError(context, 'describe', error)
    }
  }

  async function close(): Promise<void> {
    // nothing was written, so there is nothing to commit
    const isOpen = await lease.run('ROLLBACK', { timeoutMs: waits.timeoutMs }).then(() => true, () => false)
    lease.release(!isOpen)
  }

  return { session: JSON.stringify([learned[0].user, learned[0].db]), describe, query, close }
}
