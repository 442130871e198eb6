import { storageValues } from '../../lib/batch/cells.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { jsonText } from './values.js'

/** A batch's rows, one JSON object a line. See `jsonText` for the values. */
export function ndjsonText({ schema, vectors, length }: RowBatch): string {
  const columns = schema.map(({ type }, c) => ({ type, values: storageValues(vectors[c]!) }))
  const keys = schema.map(({ name }, c) => `${c === 0 ? '{' : ','}${JSON.stringify(name)}:`)
  let text = ''
  for (let row = 0; row < length; row++) {
    for (let c = 0; c < columns.length; c++) text += keys[c]! + jsonText(columns[c]!.values[row], columns[c]!.type)
    text += '}\n'
  }
  return text
}
