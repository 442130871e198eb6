import type { BatchFailure } from './errors.js'

/** Something the run survived and the user should know. */
export interface Warning {
  /** Stable: `CACHE_WRITE_FAILED`, `CACHE_READ_FAILED`, `CACHE_CORRUPT`, … */
  code: string
  /** What happened, and what it means for the run. */
  message: string
  /** The file or folder that it is about. */
  file?: string
  /** The system's error code, such as `ENOSPC`. */
  errno?: string
}

/** What a run did. Counts are of ids unless said otherwise. */
export interface RunReport {
  /** Rows delivered. */
  rows: number
  /** Ids that the cache answered. */
  hits: number
  /** Ids that had to be asked for. */
  misses: number
  /** Rows that came from the fetcher. */
  fetched: number
  /** Fetcher calls that were answered or given up, retries not counted. */
  batches: number
  /** Fetcher calls that were made again. */
  retries: number
  /** Bytes read from the cache. */
  bytesRead: number
  /** Bytes of committed parts. */
  bytesWritten: number
  /** From the first step to the last. */
  ms: number
  /** Each kind of trouble once. */
  warnings: Warning[]
  /** Batches that failed, with their ids. */
  failures: BatchFailure[]
}

/** A report with nothing in it yet. */
export function newReport(): RunReport {
  return { rows: 0, hits: 0, misses: 0, fetched: 0, batches: 0, retries: 0, bytesRead: 0, bytesWritten: 0, ms: 0, warnings: [], failures: [] }
}
