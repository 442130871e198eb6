/** Print one measurement as a JSON line. */
export function printResult(result: { name: string, engine: string, rows: number, ms: number, fsync: boolean } & Record<string, unknown>): void {
  const { rows, ms } = result
  console.log(JSON.stringify({ ...result, ms: Math.round(ms * 10) / 10, rowsPerSec: Math.round(rows / ms * 1000),
    peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024), node: process.version }))
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}
