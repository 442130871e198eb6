/** `1234567` → `1,234,567`. */
export function formatCount(value: number | bigint): string {
  return value.toLocaleString('en-US')
}

/** Singular or plural, with the count. */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(value)} ${value === 1 ? noun : plural}`
}

/** Bytes with a unit that fits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  let value = bytes
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}

/** Milliseconds as a person reads them. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** Rows of text under a header, aligned; columns named in `right` are right-aligned. */
export function alignedTable(header: readonly string[], rows: readonly (readonly string[])[], right: readonly string[] = []): string {
  const widths = header.map((name, c) => Math.max(name.length, ...rows.map(row => row[c]!.length)))
  const line = (cells: readonly string[]): string => cells
    .map((cell, c) => right.includes(header[c]!) ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)).join('  ').trimEnd()
  return [header, ...rows].map(line).join('\n')
}
