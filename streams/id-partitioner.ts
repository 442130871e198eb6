import type { Transform } from 'node:stream'
import { collectIds } from '../lib/batch/id-set.js'
import type { Window } from '../lib/batch/window.js'
import type { RowPlan } from '../lib/fetch/row-plan.js'
import { Run } from '../lib/run.js'
import type { CacheReference } from '../lib/store/cache-reference.js'
import { formatTableName, parseTableName } from '../lib/store/table-name.js'
import { stage } from './stage.js'

/** Options of `idPartitioner`. */
export interface IdPartitionerOptions extends CacheReference {
  /** Ids that were collected and planned already; the input then only has to end. */
  plan?: RowPlan | undefined
}

/**
 * Ids (or arrays of ids) → Window. Sorts them, drops repeats, and hands them on as windows of at most 65,536. It has to see
 * all ids before the first window leaves; memory: at most 12 bytes per id.
 *
 * Takes the same reference as the other stages and touches no disk: only the table's name matters here.
 *
 * @throws {InvalidArgumentError} no table name, or something is no id; the error names its position
 */
export function idPartitioner({ plan, table }: IdPartitionerOptions): Transform {
  const name = formatTableName(parseTableName(table))
  return stage<unknown, Window>('id-partitioner', async function * (source, { signal }) {
    const ids = await collectIds(source, signal)
    const run = plan?.run ?? new Run(name)
    let index = 0
    for (const windowIds of (plan?.ids ?? ids).windows()) yield { index: index++, ids: windowIds, run }
  })
}
