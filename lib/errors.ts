/**
 * Every error millrace throws on purpose: one class per situation a caller would handle differently, a stable `code`,
 * the facts as fields. Match `code` (or the class), never the text.
 */

/** Facts every error may carry beside its own. */
export interface MillraceErrorOptions {
  cause?: unknown
  /** The report of the run that failed, set by the pipeline that threw. */
  report?: unknown
}

/** How many offenders a message names before it only counts the rest. */
const NAMED_OFFENDERS = 10

/** 'a, b, c and 5 more': the first offenders, then a count. */
export function listSome(items: ArrayLike<unknown>, limit = NAMED_OFFENDERS): string {
  const shown: string[] = []
  for (let i = 0; i < Math.min(items.length, limit); i++) shown.push(String(items[i]))
  const rest = items.length - shown.length
  return rest > 0 ? `${shown.join(', ')} and ${rest} more` : shown.join(', ')
}

/** Whether a thrown value says of itself that another attempt may help. */
export function isTransient(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'isTransient' in error && error.isTransient === true
}

/** The message of anything that was thrown, errors or not. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message || error.name
  try {
    return String(error)
  } catch {
    return 'a thrown value that cannot be printed'
  }
}

/** Keep a field out of what is printed of an error nobody caught: the message says what it comes to, and it may be thousands of lines. */
function unprinted(error: Error, field: string): void {
  Object.defineProperty(error, field, { enumerable: false })
}

/** Base class of all errors of this library. */
export class MillraceError extends Error {
  readonly code: string
  /** The report of the run (hits, fetched, failures …), when the error ended one. Not printed with the error. */
  report?: unknown

  constructor(code: string, message: string, { cause, report }: MillraceErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.code = code
    this.report = report
    unprinted(this, 'report')
  }
}

/** An argument is not what it must be; nothing was fetched. `argument` is its name and position, such as `ids[3]`. */
export class InvalidArgumentError extends MillraceError {
  readonly argument: string
  constructor({ argument, expected, found, ...rest }:
  { argument: string, expected: string, found?: string } & MillraceErrorOptions) {
    super('ERR_INVALID_ARGUMENT', `${argument}: expected ${expected}${found === undefined ? '' : `, found ${found}`}`, rest)
    this.argument = argument
  }
}

/** Neither cache nor source has these ids. Everything else was delivered and cached. */
export class DataNotFoundError extends MillraceError {
  readonly table: string
  readonly ids: readonly (number | bigint)[]
  constructor({ table, ids, ...rest }: { table: string, ids: readonly (number | bigint)[] } & MillraceErrorOptions) {
    super('ERR_DATA_NOT_FOUND', `${ids.length === 1 ? 'id' : `${ids.length} ids`} not found in ${table}: ${listSome(ids)}` +
      " (onMissing: 'skip' leaves them out, 'null' delivers rows of nulls)", rest)
    this.table = table
    this.ids = ids
  }
}

/** The source does not deliver these columns. */
export class ColumnNotFoundError extends MillraceError {
  readonly table: string
  readonly columns: readonly string[]
  constructor({ table, columns, detail, ...rest }:
  { table: string, columns: readonly string[], detail?: string } & MillraceErrorOptions) {
    super('ERR_COLUMN_NOT_FOUND', `column not found in ${table}: ${listSome(columns)}${detail ? ` (${detail})` : ''}`, rest)
    this.table = table
    this.columns = columns
  }
}

/** A JSON column that a dotted path reads holds text that is not JSON. */
export class JSONParseError extends MillraceError {
  readonly column: string
  readonly id: number | bigint | undefined
  constructor({ column, id, ...rest }: { column: string, id?: number | bigint } & MillraceErrorOptions) {
    super('ERR_JSON_PARSE', `column ${column}${id === undefined ? '' : ` of id ${id}`}: not valid JSON: ` +
      messageOf(rest.cause ?? 'unreadable text'), rest)
    this.column = column
    this.id = id
  }
}

/** One failed fetch: the batch's number, the ids that were asked for, and why. */
export interface BatchFailure {
  batch: number
  ids: readonly (number | bigint)[]
  cause: unknown
}

/** Fetches failed (threw, timed out, lost their connection). The other batches were delivered and cached. `failures` is not printed with the error. */
export class BatchFailedError extends MillraceError {
  readonly failures: readonly BatchFailure[]
  constructor({ failures, ...rest }: { failures: readonly BatchFailure[] } & MillraceErrorOptions) {
    const first = failures[0]
    const ids = failures.reduce((sum, failure) => sum + failure.ids.length, 0)
    super('ERR_BATCH_FAILED', `${failures.length === 1 ? '1 batch' : `${failures.length} batches`} (${ids} ids) could not be ` +
      `fetched${first ? `; batch ${first.batch} (ids ${rangeText(first.ids)}): ${messageOf(first.cause)}` : ''}; ` +
      'what succeeded is kept, run again to fetch the rest', { cause: first?.cause, ...rest })
    this.failures = failures
    unprinted(this, 'failures')
  }
}

function rangeText(ids: readonly (number | bigint)[]): string {
  if (ids.length === 0) return 'none'
  return ids.length === 1 ? String(ids[0]) : `${ids[0]} to ${ids[ids.length - 1]}`
}

/** A fetcher broke its contract: conflicting rows, unusable ids, a result that is no list of rows. */
export class FetcherContractError extends MillraceError {
  readonly batch: number
  readonly reason: string
  constructor({ batch, reason, ...rest }: { batch: number, reason: string } & MillraceErrorOptions) {
    super('ERR_FETCHER_CONTRACT', `the fetcher's answer to batch ${batch} is unusable: ${reason}`, rest)
    this.batch = batch
    this.reason = reason
  }
}

/** A column's values changed to a type that the cached ones cannot be widened to. */
export class SchemaConflictError extends MillraceError {
  readonly column: string
  readonly cached: string
  readonly seen: string
  constructor({ column, cached, seen, ...rest }: { column: string, cached: string, seen: string } & MillraceErrorOptions) {
    super('ERR_SCHEMA_CONFLICT', `column ${column}: cached as ${cached}, now seen as ${seen} ` +
      `(declare one type with columnTypes: { ${JSON.stringify(column)}: … }, or renew the rows with refresh: true)`, rest)
    this.column = column
    this.cached = cached
    this.seen = seen
  }
}

/** A file of the cache is not what was written. Its rows count as misses; the file is kept aside. */
export class CacheCorruptionError extends MillraceError {
  readonly file: string
  readonly reason: string
  constructor({ file, reason, ...rest }: { file: string, reason: string } & MillraceErrorOptions) {
    super('ERR_CACHE_CORRUPTION', `${file}: ${reason}`, rest)
    this.file = file
    this.reason = reason
  }
}

/** Other writers were faster so often that a commit was given up. */
export class CacheConflictError extends MillraceError {
  readonly table: string
  constructor({ table, ...rest }: { table: string } & MillraceErrorOptions) {
    super('ERR_CACHE_CONFLICT', `${table}: other writers kept committing; the rows were delivered but not cached`, rest)
    this.table = table
  }
}

/** The cache folder cannot be used as asked: not a folder, not writable, written by a newer version, wrong permissions. */
export class CacheUnusableError extends MillraceError {
  readonly file: string
  readonly errno: string | undefined
  constructor({ file, reason, errno, ...rest }: { file: string, reason: string, errno?: string } & MillraceErrorOptions) {
    super('ERR_CACHE_UNUSABLE', `${file}: ${reason}`, rest)
    this.file = file
    this.errno = errno
  }
}

/** The cached rows came from another source. */
export class SourceMismatchError extends MillraceError {
  readonly table: string
  readonly cached: string
  readonly seen: string
  constructor({ table, cached, seen, ...rest }: { table: string, cached: string, seen: string } & MillraceErrorOptions) {
    super('ERR_SOURCE_MISMATCH', `${table}: cached from ${cached}, now asked from ${seen} ` +
      '(give each source its own namespace, or clear the table)', rest)
    this.table = table
    this.cached = cached
    this.seen = seen
  }
}

/** A query's shape cannot be cached or narrowed safely. */
export class UnsupportedQueryError extends MillraceError {
  readonly construct: string
  readonly position: number | undefined
  constructor({ construct, position, reason, ...rest }:
  { construct: string, position?: number, reason?: string } & MillraceErrorOptions) {
    super('ERR_UNSUPPORTED_QUERY', `${construct}${position === undefined ? '' : ` at character ${position}`} is not supported` +
      `${reason ? `: ${reason}` : ''}`, rest)
    this.construct = construct
    this.position = position
  }
}

/** A partition-cache backend does not store keys of this type. */
export class KeyTypeError extends MillraceError {
  readonly backend: string
  readonly keyType: string
  constructor({ backend, keyType, reason, ...rest }:
  { backend: string, keyType: string, reason?: string } & MillraceErrorOptions) {
    super('ERR_KEY_TYPE', `${backend} does not take keys of type ${keyType}${reason ? `: ${reason}` : ''}`, rest)
    this.backend = backend
    this.keyType = keyType
  }
}

/** An optional package is needed and not installed, or cannot be loaded: `unusable` says why. */
export class MissingDependencyError extends MillraceError {
  readonly package: string
  constructor({ package: name, purpose, unusable, ...rest }: { package: string, purpose: string, unusable?: string | undefined } & MillraceErrorOptions) {
    super('ERR_MISSING_DEPENDENCY', `${purpose} needs the package ${name}${unusable === undefined ? `: npm install ${name}`
      : `, which is installed and cannot be loaded (${unusable}): npm rebuild ${name}`}`, rest)
    this.package = name
  }
}
