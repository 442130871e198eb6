import type { BatchFailure } from './errors.js'

/** Something the run survived and the user should know. */
export interface Warning {
  /** Stable: `CACHE_WRITE_FAILED`, `CACHE_READ_FAILED`, `CACHE_CORRUPT`, … */
  code: string
  message: string
  file?: string
  errno?: string
}

/** What a run did. Counts are of ids unless said otherwise. */
export interface RunReport {
  /** Rows delivered. */
  rows: number
  hits: number
  misses: number
  /** Rows that came from the fetcher. */
  fetched: number
  /** Fetcher calls that were answered or given up, retries not counted. */
  batches: number
  retries: number
  bytesRead: number
  bytesWritten: number
  ms: number
  warnings: Warning[]
  failures: BatchFailure[]
}

/** A report with nothing in it yet. */
export function newReport(): RunReport {
  return { rows: 0, hits: 0, misses: 0, fetched: 0, batches: 0, retries: 0, bytesRead: 0, bytesWritten: 0, ms: 0, warnings: [], failures: [] }
}
