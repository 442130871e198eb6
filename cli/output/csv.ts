import { storageValues } from '../../lib/batch/cells.js'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { plainText } from './values.js'

/** A field of RFC 4180: quoted where it has to be, and where it is empty text, so that null (nothing) differs. */
function quoted(text: string): string {
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** The first line. */
export function csvHeader(names: readonly string[]): string {
  return `${names.map(quoted).join(',')}\r\n`
}

/** A batch's rows. Null is an empty field, empty text is `""`. See `plainText` for the values. */
export function csvText({ schema, vectors, length }: RowBatch): string {
  const columns = schema.map(({ type }, c) => ({ type, values: storageValues(vectors[c]!) }))
  let text = ''
  for (let row = 0; row < length; row++) {
    for (let c = 0; c < columns.length; c++) {
      const value = columns[c]!.values[row]
      if (c > 0) text += ','
      if (value !== null) text += quoted(plainText(value, columns[c]!.type))
    }
    text += '\r\n'
  }
  return text
}
