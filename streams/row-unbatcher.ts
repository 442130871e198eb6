import type { Transform } from 'node:stream'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { Row } from '../lib/batch/row-factory.js'
import { stage } from './stage.js'

/**
 * RowBatch → single rows, in order. Convenient, and the slowest way to take rows: a stream costs per item, so take batches
 * where speed counts.
 */
export function rowUnbatcher(): Transform {
  return stage<RowBatch, Row>('row-unbatcher', async function * (source) {
    for await (const batch of source) yield * batch.toRows()
  })
}
