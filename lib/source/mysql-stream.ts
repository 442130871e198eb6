import { timerMs } from '../timers.js'
import type { MySqlLease } from './mysql-session.js'
import { mysqlReader, type MySqlField, type MySqlReader } from './mysql-types.js'
import type { Waits } from './limits.js'
import { abortError, silenceError } from './source-error.js'

/** Some rows of an answer, by row and column, as the driver read them. */
export interface MySqlRows {
  readonly fields: readonly MySqlField[]
  readonly readers: readonly MySqlReader[]
  readonly rows: readonly (readonly unknown[])[]
}

interface DriverField {
  readonly name: string
  string(encoding?: string): string | null
  buffer(): Uint8Array | null
}

/** Options that make the driver hand values out exactly, whatever the pool was made with. */
export function exactly(sql: string): { sql: string, rowsAsArray: true, nestTables: false } & Record<string, unknown> {
  return { sql, rowsAsArray: true, nestTables: false, dateStrings: true, supportBigNumbers: true, bigNumberStrings: true }
}

/** Whether the pool's own settings would have a say in how values are read. */
function isHostile(config: object): boolean {
  const { decimalNumbers, typeCast } = config as { decimalNumbers?: boolean, typeCast?: unknown }
  return decimalNumbers === true || typeof typeCast === 'function' || typeCast === false
}

/** Reads what the driver must not interpret; undefined where it would not. */
function castOf(readers: ReadonlyMap<string, MySqlReader>, config: object): ((field: DriverField, next: () => unknown) => unknown) | undefined {
  const needsCast = isHostile(config) || [...readers.values()].some(({ raw }) => raw === 'text' || raw === 'bytes')
  if (!needsCast) return undefined
  return (field, next) => {
    switch (readers.get(field.name)?.raw) {
      case 'text': return field.string('utf8')
      case 'ascii': return field.string('ascii')
      case 'bytes': return field.buffer()
      default: return next()
    }
  }
}

/**
 * Stream a prepared statement's rows. The socket is paused while nobody asks for rows; at most one batch waits. Settles whatever
 * happens: lost connections, silence, aborts. Gives the lease back: to the pool where the answer ended, else closed, and the statement
 * is ended on the server.
 *
 * @param fields as they were when the statement was prepared; the answer's own win
 */
export async function * streamMySql(lease: MySqlLease, { sql, values, batchRows, fields, waits, keep = false, onCount }:
{ sql: string, values: readonly unknown[], batchRows: number, fields: readonly MySqlField[], waits: Waits, keep?: boolean,
  onCount?: (affectedRows: number) => void }): AsyncGenerator<MySqlRows> {
  const { core } = lease
  const { signal, timeoutMs } = waits
  const options = exactly(sql)
  const ready: unknown[][][] = []
  const state: { answered: readonly MySqlField[], rows: unknown[][], count: number, ended: boolean, error: Error | undefined, isLost: boolean } =
    { answered: fields, rows: [], count: 0, ended: false, error: undefined, isLost: false }
  let wake: (() => void) | undefined
  const fail = (error: Error, isLost: boolean): void => {
    state.error ??= error
    state.isLost ||= isLost
    wake?.()
  }
  const onLost = (error?: Error): void => fail(error ?? Object.assign(new Error('the connection was closed'), { code: 'PROTOCOL_CONNECTION_LOST' }), true)
  const onAbort = (): void => {
    fail(abortError(signal!), true)
    // not by the reader, who may never come back
    lease.cut()
  }
  core.on('error', onLost)
  core.on('end', onLost)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    if (signal?.aborted) throw abortError(signal)
    const readers = new Map(fields.map(field => [field.name, mysqlReader(field)]))
    const command = core.execute({ ...options, values, typeCast: castOf(readers, core.config) ?? true })
    command.on('fields', ((answered: readonly MySqlField[] | undefined) => {
      if (answered && state.answered === fields) state.answered = answered
      else if (answered) fail(new Error('the statement returns several results'), true)
    }))
    command.on('result', ((row: unknown) => {
      state.count++
      if (!Array.isArray(row)) return onCount?.((row as { affectedRows?: number } | null)?.affectedRows ?? 0)
      state.rows.push(row)
      if (state.rows.length < batchRows) return
      ready.push(state.rows)
      state.rows = []
      core.pause()
      wake?.()
    }))
    // an error of the server ends the answer and leaves the connection usable; anything else does not
    command.on('error', ((error: Error & { errno?: number, fatal?: boolean }) => fail(error, error.fatal === true || typeof error.errno !== 'number')))
    command.on('end', () => {
      state.ended = true
      wake?.()
    })
    let delivered = false
    for (;;) {
      if (state.error) throw state.error
      const rows = ready.shift() ?? (state.ended ? state.rows.splice(0) : undefined)
      if (rows && (rows.length > 0 || !delivered) && state.answered.length > 0) {
        const answered = state.answered
        if (answered !== fields && !sameShape(answered, fields)) throw new Error('the statement returns other columns than it said it would: altered meanwhile, or a procedure')
        delivered = true
        yield { fields: answered, readers: answered.map(mysqlReader), rows }
        continue
      }
      if (state.ended) return
      await silence(() => state.count, timeoutMs, waiting => {
        wake = waiting
        core.resume()
      }, () => ready.length > 0 || state.ended || state.error !== undefined)
    }
  } catch (error) {
    state.error ??= error as Error
    if ((error as { code?: string }).code === 'ETIMEDOUT') state.isLost = true
    throw error
  } finally {
    signal?.removeEventListener('abort', onAbort)
    core.removeListener('error', onLost)
    core.removeListener('end', onLost)
    if (!state.ended || state.isLost) lease.cut()
    else {
      core.unprepare(options)
      if (!keep) lease.release()
    }
  }
}

function sameShape(a: readonly MySqlField[], b: readonly MySqlField[]): boolean {
  return a.length === b.length && a.every((field, i) => field.name === b[i]!.name && mysqlReader(field).raw === mysqlReader(b[i]!).raw)
}

/** Wait until `isOver`, as long as something comes at least every `timeoutMs`. */
async function silence(progress: () => number, timeoutMs: number, wait: (wake: () => void) => void, isOver: () => boolean): Promise<void> {
  let seen = progress()
  let timer: NodeJS.Timeout | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      const arm = (): void => {
        if (timeoutMs <= 0) return
        timer = setTimeout(() => {
          if (progress() === seen) return reject(silenceError(timeoutMs))
          seen = progress()
          arm()
        }, timerMs(timeoutMs))
      }
      arm()
      wait(() => { if (isOver()) resolve() })
      if (isOver()) resolve()
    })
  } finally {
    clearTimeout(timer)
  }
}
