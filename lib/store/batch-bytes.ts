import type { RowBatch } from '../batch/row-batch.js'
import type { Vector } from '../batch/vector.js'
import { WINDOW_ROWS } from '../batch/id-set.js'

/** Values looked at where a vector does not say how large they are. */
const SAMPLE = 256

/** About how many bytes a batch takes in a part, before compression. */
export function batchBytes(batch: RowBatch): number {
  return batch.vectors.reduce((sum, vector) => sum + vectorBytes(vector), 0)
}

function vectorBytes(vector: Vector): number {
  switch (vector.form) {
    case 'fixed': return vector.length * (vector.compact ?? vector.values).BYTES_PER_ELEMENT
    case 'dictionary': return vector.codes.byteLength
    case 'bytes': return vector.lengthPrefixed ? vector.bytes.length : sampled(vector.length, i => 4 + (vector.valid?.[i] === 0 ? 0 : vector.ends[i]! - vector.starts[i]!))
    case 'values': return sampled(vector.length, i => valueBytes(vector.values[i]))
  }
}

/** The bytes of all rows, by those of a few. */
function sampled(length: number, bytesOf: (row: number) => number): number {
  const step = Math.max(1, Math.floor(length / SAMPLE))
  let [bytes, seen] = [0, 0]
  for (let i = 0; i < length; i += step, seen++) bytes += bytesOf(i)
  return seen === 0 ? 0 : Math.round(bytes / seen * length)
}

function valueBytes(value: unknown): number {
  if (typeof value === 'string') return value.length + 4
  if (value instanceof Uint8Array) return value.length + 4
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + valueBytes(item), 8)
  return 8
}

/** Guesses how many bytes rows take once they are encoded, and learns from each row group that was. */
export class SizeGuess {
  #encodedPerRaw = 1

  /** Bytes that `raw` bytes of vectors will take. */
  encoded(raw: number): number {
    return raw * this.#encodedPerRaw
  }

  learn(raw: number, encoded: number): void {
    if (raw > 0 && encoded > 0) this.#encodedPerRaw = encoded / raw
  }

  /** Rows per row group: 65,536, or fewer where those would not fit a part. */
  groupRows(rows: number, raw: number, partBytes: number): number {
    return rows === 0 || raw === 0 ? WINDOW_ROWS : Math.max(1, Math.min(WINDOW_ROWS, Math.floor(partBytes * rows / this.encoded(raw))))
  }
}
