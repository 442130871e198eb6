import { cellText } from './cells.js'
import type { Field } from './column-type.js'
import type { RowBatch } from './row-batch.js'

const MAX_CELL = 32
const EDGE_ROWS = 5

interface Printable {
  readonly length: number
  readonly schema: readonly Field[]
  readonly batches: readonly RowBatch<object>[]
}

/** Columns of text by display width: wide characters count two, combining ones none. */
function displayWidth(text: string): number {
  let width = 0
  for (const char of text) {
    const code = char.codePointAt(0)!
    if (/\p{Mn}/u.test(char) || code === 0x200d) continue
    width += code >= 0x1100 && /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]|[\uff01-\uff60]/u.test(char) ? 2 : 1
  }
  return width
}

function fit(text: string): string {
  // control characters would break the frame
  const flat = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, char => JSON.stringify(char).slice(1, -1))
  if (displayWidth(flat) <= MAX_CELL) return flat
  let cut = ''
  for (const char of flat) {
    if (displayWidth(cut + char) >= MAX_CELL) break
    cut += char
  }
  return `${cut}…`
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return right ? space + text : text + space
}

function isNumeric({ type }: Field): boolean {
  return type.startsWith('int') || type.startsWith('float') || type.startsWith('decimal')
}

/** The first and last rows, as cells' text; null cells read `null`. */
function edgeRows({ batches, length, schema }: Printable, edge: number): { head: string[][], tail: string[][] } {
  const whole = length <= edge * 2
  const text = (batch: RowBatch<object>): string[][] => batch.toRows().map(row => schema.map(({ name }) => {
    const value = (row as Record<string, unknown>)[name]
    return value === null ? 'null' : fit(cellText(value))
  }))
  const head: string[][] = []
  for (const batch of batches) {
    const wanted = (whole ? length : edge) - head.length
    if (wanted <= 0) break
    head.push(...text(batch.slice(0, Math.min(wanted, batch.length))))
  }
  const tail: string[][] = []
  if (!whole) {
    for (const batch of [...batches].reverse()) {
      const wanted = edge - tail.length
      if (wanted <= 0) break
      tail.unshift(...text(batch.slice(Math.max(0, batch.length - wanted), batch.length)))
    }
  }
  return { head, tail }
}

/** A result as a data frame prints: shape, names, types, the first and last rows, aligned. */
export function formatTable(table: Printable, { edge = EDGE_ROWS }: { edge?: number } = {}): string {
  const { schema, length } = table
  const { head, tail } = edgeRows(table, edge)
  const names = schema.map(field => fit(field.name))
  const types = schema.map(field => field.type)
  const all = [names, types, ...head, ...tail]
  const widths = schema.map((_, c) => Math.max(1, ...all.map(cells => displayWidth(cells[c]!))))
  const line = (cells: readonly string[], header = false): string =>
    `│ ${cells.map((cell, c) => pad(cell, widths[c]!, !header && isNumeric(schema[c]!))).join(' ┆ ')} │`
  const rule = (left: string, fill: string, middle: string, right: string): string =>
    left + widths.map(width => fill.repeat(width + 2)).join(middle) + right
  return [
    `${length} ${length === 1 ? 'row' : 'rows'} × ${schema.length} ${schema.length === 1 ? 'column' : 'columns'}`,
    rule('┌', '─', '┬', '┐'),
    line(names, true), line(schema.map(() => '---'), true), line(types, true),
    rule('╞', '═', '╪', '╡'),
    ...head.map(cells => line(cells)),
    ...(tail.length > 0 ? [line(schema.map(() => '…')), ...tail.map(cells => line(cells))] : []),
    rule('└', '─', '┴', '┘')
  ].join('\n')
}
