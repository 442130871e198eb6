import type { Transform } from 'node:stream'
import type { RowBatch } from '../lib/batch/row-batch.js'
import type { ResultProgress } from '../lib/query/progress.js'
import { numbered } from '../lib/query/row-numbers.js'
import { stage } from './stage.js'

/** Options of `watermarkTracker`. */
export interface WatermarkTrackerOptions {
  /** Where the numbers begin; ends as what the watermark is made of. */
  progress: ResultProgress
}

/** RowBatch → RowBatch with the rows numbered. Keeps count of the rows, of the last order value, and of the rows that have it. */
export function watermarkTracker({ progress }: WatermarkTrackerOptions): Transform {
  return stage<RowBatch, RowBatch>('watermark-tracker', async function * (source) {
    for await (const batch of source) {
      const first = progress.rows
      progress.add(batch)
      if (batch.length > 0) yield numbered(batch, first)
    }
  })
}
