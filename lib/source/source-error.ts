import { FetcherContractError, messageOf, MillraceError, type MillraceErrorOptions } from '../errors.js'

/** SQLSTATE classes and codes after which the same statement may well succeed. */
const TRANSIENT_STATES = /^(08|53|57P0[1-3]|40001|40P01|55P03|58)/
const TRANSIENT_ERRNOS: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN',
  'EHOSTUNREACH', 'ENETUNREACH', 'PROTOCOL_CONNECTION_LOST', 'ER_CON_COUNT_ERROR', 'ER_TOO_MANY_USER_CONNECTIONS', 'ER_SERVER_SHUTDOWN', 'ER_LOCK_DEADLOCK',
  'ER_LOCK_WAIT_TIMEOUT', 'ER_QUERY_INTERRUPTED', 'ER_CONNECTION_KILLED', 'SQLITE_BUSY', 'SQLITE_BUSY_SNAPSHOT', 'SQLITE_LOCKED'])

/**
 * A database refused a statement, or the connection to it failed. `cause` is the driver's own error.
 *
 * `sqlState` is the server's five-character code where it spoke; `isTransient` tells whether another attempt may help
 * (connection lost, server starting, too many clients, serialization failure, a locked file).
 */
export class SourceError extends MillraceError {
  readonly source: string | undefined
  readonly sqlState: string | undefined
  readonly isTransient: boolean
  constructor({ source, action, isTransient, ...rest }:
  { source: string | undefined, action: string, isTransient?: boolean } & MillraceErrorOptions) {
    super('ERR_SOURCE', `${source ?? 'database'}: ${action}${rest.cause === undefined ? '' : `: ${causeText(rest.cause)}`}`, rest)
    this.source = source
    this.sqlState = sqlStateOf(rest.cause)
    this.isTransient = isTransient ?? looksTransient(rest.cause)
  }
}

/** The server's five-character code, or undefined where the error did not come from the server. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof SourceError) return error.sqlState
  const { sqlState } = Object(error) as { sqlState?: unknown }
  if (typeof sqlState === 'string' && /^[0-9A-Z]{5}$/.test(sqlState)) return sqlState
  const code = codeOf(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !TRANSIENT_ERRNOS.has(code) ? code : undefined
}

function codeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

function looksTransient(error: unknown): boolean {
  const [state, code] = [sqlStateOf(error), codeOf(error)]
  if (code !== undefined && TRANSIENT_ERRNOS.has(code)) return true
  if (state !== undefined) return TRANSIENT_STATES.test(state)
  return /terminated|timeout|not queryable|ended/i.test(messageOf(error))
}

/** Node reports a refused `localhost` as an AggregateError with an empty message; its parts say what happened. */
function causeText(cause: unknown): string {
  const state = sqlStateOf(cause)
  const text = cause instanceof AggregateError && cause.message === '' ? cause.errors.map(messageOf).join(', ') : messageOf(cause)
  return state === undefined ? text : `${text} (${state})`
}

/** The error of an aborted call: named `AbortError`, the signal's reason as its cause. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason })
  return Object.assign(error, { name: 'AbortError', code: 'ABORT_ERR' })
}

/** The error of a database that was silent for too long. */
export function silenceError(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer from the server for ${timeoutMs} ms`), { code: 'ETIMEDOUT' })
}

/** A value that the column's type cannot hold; the caller adds where it came from. */
export class UnreadableValue extends Error {
  constructor(column: string, reason: string, wayOut?: string) {
    super(`column ${column}: ${reason}${wayOut ? ` (${wayOut})` : ''}`)
  }
}

/** What went wrong, as an error of this library. */
export function typedError(context: { readonly identity: string | undefined }, action: string, error: unknown, batch = 0): unknown {
  if (error instanceof UnreadableValue) return new FetcherContractError({ batch, reason: error.message, cause: error })
  if (error instanceof MillraceError) return error
  return error instanceof Error && error.name === 'AbortError' ? error : new SourceError({ source: context.identity, action, cause: error })
}
