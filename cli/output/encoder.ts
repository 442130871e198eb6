import { objectTransform } from 'through2'
import type { RowBatch } from '../../lib/batch/row-batch.js'

/** through2's types lean on those of readable-stream, which it does not bring along. */
type BatchTransform = (options: { highWaterMark: number }, encode: (batch: RowBatch) => Promise<string>) => NodeJS.ReadWriteStream

/**
 * RowBatch → text, a chunk per batch, one batch at a time. The function that through2 gets is an async one: a plain one it
 * takes for callback style, and waits for ever.
 */
export function batchEncoder(text: (batch: RowBatch) => string): NodeJS.ReadWriteStream {
  return (objectTransform as BatchTransform)({ highWaterMark: 1 }, async batch => text(batch))
}
