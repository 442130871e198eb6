import { CopyFormatError, type CopyRows } from './copy-rows.js'

// Loops have functions of their own, here and wherever rows are read: V8 makes code of a loop while it runs, and gives that up, each time
// anew, where what follows the loop in its function was not reached before.

/** The rows of a batch that are null in a column; undefined where none is. Checks the size of all others. */
export function presence(rows: CopyRows, column: number, size: number | undefined): Uint8Array | undefined {
  if (size !== undefined) checkSizes(rows, column, size)
  const first = nextNull(rows, column, 0)
  if (first === rows.length) return undefined
  const valid = new Uint8Array(rows.length).fill(1)
  markNulls(rows, column, first, valid)
  return valid
}

function checkSizes({ marks, columns, length }: CopyRows, column: number, size: number): void {
  for (let row = 0, mark = column * 2 + 1; row < length; row++, mark += columns * 2) {
    const found = marks[mark]!
    if (found !== size && found !== -1) throw new CopyFormatError(`a value of ${found} bytes where ${size} were expected`)
  }
}

function nextNull({ marks, columns, length }: CopyRows, column: number, row: number): number {
  for (let mark = (row * columns + column) * 2 + 1; row < length && marks[mark] !== -1; row++) mark += columns * 2
  return row
}

function markNulls({ marks, columns, length }: CopyRows, column: number, row: number, valid: Uint8Array): void {
  for (let mark = (row * columns + column) * 2 + 1; row < length; row++, mark += columns * 2) if (marks[mark] === -1) valid[row] = 0
}

