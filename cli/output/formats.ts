import { pipeline } from 'node:stream/promises'
import type { Field } from '../../lib/batch/column-type.js'
import { unifyFields } from '../../lib/batch/combine.js'
import { formatTable } from '../../lib/batch/format-table.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { csvHeader, csvText } from './csv.js'
import { batchEncoder } from './encoder.js'
import { ndjsonText } from './ndjson.js'
import { ParquetFile } from './parquet-file.js'
import type { Target } from './target.js'

/** Writes batches to a target as they come, with bounded memory. `names` are the columns, the id first. */
export type Format = (batches: AsyncIterable<RowBatch>, target: Target, names: readonly string[]) => Promise<void>

/** Rows that are turned into text at a time: a few hundred kB. */
const SLICE_ROWS = 4096
/** Rows a printed table shows at either end. */
const EDGE_ROWS = 5

async function * slices(batches: AsyncIterable<RowBatch>): AsyncGenerator<RowBatch> {
  for await (const batch of batches) {
    for (let at = 0; at < batch.length; at += SLICE_ROWS) yield batch.slice(at, Math.min(at + SLICE_ROWS, batch.length))
  }
}

function textFormat(text: (batch: RowBatch) => string, header?: (names: readonly string[]) => string): Format {
  return async (batches, target, names) => {
    if (header) await target.write(header(names))
    await pipeline(slices(batches), batchEncoder(text), async (chunks: AsyncIterable<string | Buffer>) => {
      for await (const chunk of chunks) await target.write(chunk)
    })
  }
}

/** Keeps the first and the last rows, and how many there were. */
async function tableFormat(batches: AsyncIterable<RowBatch>, target: Target, names: readonly string[]): Promise<void> {
  let schema: readonly Field[] = names.map((name, c) => ({ name, type: c === 0 ? 'int64' : 'null', nullable: c > 0 }))
  const head: RowBatch[] = []
  let tail: RowBatch[] = []
  let length = 0
  for await (const batch of batches) {
    schema = length === 0 ? batch.schema : schema.map((field, c) => unifyFields([field, batch.schema[c]!], true) ?? field)
    const room = Math.max(0, Math.min(2 * EDGE_ROWS - length, batch.length))
    if (room > 0) head.push(batch.slice(0, room))
    tail = lastRows([...tail, batch.slice(Math.max(room, batch.length - EDGE_ROWS), batch.length)])
    length += batch.length
  }
  await target.write(`${formatTable({ schema, length, batches: [...head, ...tail] })}\n`)
}

/** As many of these from the end as a printed table needs. */
function lastRows(batches: readonly RowBatch[]): RowBatch[] {
  const last: RowBatch[] = []
  let rows = 0
  for (const batch of [...batches].reverse()) {
    if (rows >= EDGE_ROWS || batch.length === 0) continue
    last.unshift(batch)
    rows += batch.length
  }
  return last
}

async function parquetFormat(batches: AsyncIterable<RowBatch>, target: Target, names: readonly string[]): Promise<void> {
  const file = new ParquetFile(await target.file(), names)
  for await (const batch of batches) await file.append(batch)
  await file.finish()
}

/** The formats by name. A new one is a line here. */
export const FORMATS = {
  ndjson: textFormat(ndjsonText),
  csv: textFormat(csvText, csvHeader),
  table: tableFormat,
  parquet: parquetFormat
} satisfies Record<string, Format>

export type FormatName = keyof typeof FORMATS

const ENDINGS: Readonly<Record<string, FormatName>> = { csv: 'csv', parquet: 'parquet', pq: 'parquet', ndjson: 'ndjson', jsonl: 'ndjson', json: 'ndjson', txt: 'table' }

/** The format a file's name asks for. */
export function formatOf(file: string): FormatName | undefined {
  return ENDINGS[/\.([^./\\]+)$/.exec(file)?.[1]?.toLowerCase() ?? '']
}
