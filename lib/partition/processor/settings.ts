import { checkInteger, checkNumber } from '../../check-number.js'
import { InvalidArgumentError } from '../../errors.js'
import type { Row } from '../backends/postgresql-store.js'

/** How a processor works. */
export interface ProcessorConfig {
  readonly enabled: boolean
  /** How often the queue is looked at when it is empty, in seconds. */
  readonly frequencySeconds: number
  readonly maxParallelJobs: number
  /** Longest run of one fragment, in ms. */
  readonly timeoutMs: number
  /** Keys of one set at most. */
  readonly resultLimit: number
  /** Attempts before a job goes to the dead letters. */
  readonly maxAttempts: number
  /** Wait after the first failure, in ms; doubled with each. */
  readonly retryDelayMs: number
  /** Life of the sets, in ms; undefined: for ever. */
  readonly ttlMs: number | undefined
  /** Ids from 0 to below this, with the bit family. */
  readonly maxBits: number
  /** The search_path that fragments are run with. */
  readonly fragmentPath: string
  /** The incoming queue takes registered queries only. */
  readonly registeredOnly: boolean
  /** undefined: eviction is not scheduled. */
  readonly evictEveryMinutes: number | undefined
  /** Newest lines of the log that are kept. */
  readonly logRows: number
}

/** What can be changed; what is left out stays. */
export type ProcessorChange = { readonly [K in Exclude<keyof ProcessorConfig, 'enabled'>]?: ProcessorConfig[K] | undefined }

type Kind = 'integer' | 'number' | 'text' | 'boolean'
const FIELDS: Readonly<Record<keyof ProcessorChange, readonly [column: string, kind: Kind, min: number, max: number]>> = {
  frequencySeconds: ['frequency_seconds', 'number', 0.05, 3600], maxParallelJobs: ['max_parallel_jobs', 'integer', 1, 32],
  timeoutMs: ['timeout_ms', 'integer', 1, 86_400_000], resultLimit: ['result_limit', 'integer', 1, 50_000_000], maxAttempts: ['max_attempts', 'integer', 1, 1000],
  retryDelayMs: ['retry_delay_ms', 'integer', 0, 86_400_000], ttlMs: ['ttl_ms', 'integer', 1, Number.MAX_SAFE_INTEGER], maxBits: ['max_bits', 'integer', 64, 2 ** 31 - 64],
  fragmentPath: ['fragment_path', 'text', 0, 0], registeredOnly: ['registered_only', 'boolean', 0, 0], evictEveryMinutes: ['evict_every_minutes', 'integer', 1, 1440],
  logRows: ['log_rows', 'integer', 1000, 2 ** 31 - 1],
}
const CAN_BE_UNSET: ReadonlySet<string> = new Set(['ttlMs', 'evictEveryMinutes'])

function parsed(text: string | null | undefined, kind: Kind): unknown {
  if (text == null) return undefined
  return kind === 'text' ? text : kind === 'boolean' ? text === 't' : Number(text)
}

/** A row of the configuration's table. */
export function configOf(row: Row): ProcessorConfig {
  const fields = Object.entries(FIELDS).map(([field, [column, kind]]) => [field, parsed(row[column], kind)])
  return { enabled: row['enabled'] === 't', ...Object.fromEntries(fields) } as ProcessorConfig
}

function check(field: string, value: unknown): void {
  const spec = FIELDS[field as keyof ProcessorChange] as (typeof FIELDS)[keyof ProcessorChange] | undefined
  if (!spec) throw new InvalidArgumentError({ argument: field, expected: `a setting: ${Object.keys(FIELDS).join(', ')}` })
  const [, kind, min, max] = spec
  if (value === undefined && CAN_BE_UNSET.has(field)) return
  if (kind === 'text' || kind === 'boolean') {
    if (typeof value === (kind === 'text' ? 'string' : 'boolean')) return
    throw new InvalidArgumentError({ argument: field, expected: `a ${kind}`, found: String(value) })
  }
  const checkValue = kind === 'integer' ? checkInteger : checkNumber
  checkValue(field, value, min, max)
}

/**
 * Columns and values of a change. A field that is there and undefined is unset where it can be.
 * @throws {InvalidArgumentError} an unknown field, or a value out of range
 */
export function changeOf(change: ProcessorChange): { columns: string[], values: unknown[] } {
  const fields = Object.entries(change)
  for (const [field, value] of fields) check(field, value)
  return { columns: fields.map(([field]) => FIELDS[field as keyof ProcessorChange][0]), values: fields.map(([, value]) => value ?? null) }
}
