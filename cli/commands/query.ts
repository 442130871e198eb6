import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { InvalidArgumentError, messageOf } from '../../lib/errors.js'
import type { RunReport } from '../../lib/report.js'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import type { IncrementalOptions } from '../../pipelines/query-options.js'
import type { ResultStream } from '../../pipelines/result-stream.js'
import { withCache } from '../cache.js'
import { databaseOf, withConnection, type ConnectionOptions } from '../database.js'
import { errorFacts, ReaderLeft, reportFacts, Told } from '../failure.js'
import { cacheDirOption, duration, examples, jsonOption, repeatable, type CacheOptions } from '../options.js'
import { FORMATS, type FormatName } from '../output/formats.js'
import { jsonLine } from '../output/json.js'
import { streamTarget } from '../output/target.js'
import { counted, formatCount, formatMs } from '../output/text.js'
import { note, print, type Session } from '../session.js'
import { chooseFormat, deliver, openFile } from './get.js'

interface QueryCommandOptions extends CacheOptions, ConnectionOptions {
  query?: string
  queryFile?: string
  param?: string[]
  params?: string
  incremental?: boolean
  orderColumn?: string
  keyColumn?: string
  overlap?: string
  nullOrder?: 'refuse' | 'refetch'
  refresh?: boolean
  reconcile?: boolean
  cache: boolean
  watch?: number
  fetchTimeout?: number
  format?: FormatName
  out?: string
  progress: boolean
  quiet?: boolean
}

/** `millrace query`: a query's rows, from the cache where it has them; with `--incremental` only what is new is read. */
export function addQuery(program: Command, session: Session): void {
  const command = withConnection(program.command('query').summary("a query's rows, cached whole or by watermark")
    .description('Print or save the rows of a SELECT. The whole result is cached by its text and parameters; with --incremental the cached\nrows are extended by what lies beyond the highest value of the order column.\n' +
      'What --incremental cannot see: rows that change, vanish or come in below that value (see --overlap, --reconcile, --refresh).'))
    .argument('[sql]', 'the statement')
    .option('--query <sql>', 'the statement, as an option')
    .option('--query-file <file>', 'the statement from a file; - is stdin')
    .addOption(repeatable('--param <text>', 'a parameter, as text: for $1, $2 … (PostgreSQL) or each ? in order'))
    .option('--params <json>', 'all parameters, as a JSON list')
    .option('--incremental', 'read only what is new; needs --order-column')
    .option('--order-column <name>', 'the column of the result that only grows')
    .option('--key-column <name>', 'a column that tells rows of one order value apart')
    .option('--overlap <distance>', "read this far back as well: an interval such as '5 minutes', or a number")
    .addOption(new Option('--null-order <what>', 'rows without an order value').choices(['refuse', 'refetch']).default('refuse'))
    .option('--reconcile', 'compare cached ranges with the database by count and checksum first')
    .option('--refresh', 'read everything anew')
    .option('--no-cache', 'ask the database and leave the cache alone')
    .option('--watch <time>', 'run again and again, such as every 10s, and print what is new; until stopped', duration)
    .addOption(cacheDirOption())
    .option('--fetch-timeout <time>', 'longest silence tolerated from the database (default: 60s)', duration)
    .addOption(new Option('--format <name>', "output format (default: by the file's ending; else table on a terminal, ndjson elsewhere)").choices(Object.keys(FORMATS)))
    .option('--out <file>', 'write to a file, which appears when it is complete (- is stdout)')
    .option('--no-progress', 'no progress on stderr')
    .option('--quiet', 'neither progress nor summary on stderr')
    .addOption(jsonOption())
    .action((sql: string | undefined, options: QueryCommandOptions) => query(sql, options, session))
  examples(command, 'Examples', [
    ['millrace query "SELECT count(*) AS total FROM users" --pg postgres://me@localhost/shop', 'once from the database, then from the cache'],
    ['millrace query "SELECT * FROM events" --incremental --order-column created_at --key-column id --out events.parquet', 'only new events are read'],
    ["millrace query --query-file events.sql --incremental --order-column created_at --overlap '5 minutes' --watch 10s", 'new events as they come, late ones included']
  ]).addHelpText('after', '\nNext: `millrace cache ls` shows the cached queries; `millrace cache clear TEXT` forgets those whose text contains TEXT.')
}

async function statementOf(argument: string | undefined, { query: option, queryFile }: QueryCommandOptions, session: Session): Promise<string> {
  const given = [argument, option, queryFile].filter(each => each !== undefined)
  if (given.length !== 1) throw new InvalidArgumentError({ argument: 'sql', expected: 'one statement: as an argument, by --query or by --query-file', found: given.length === 0 ? 'none' : String(given.length) })
  if (queryFile === undefined) return argument ?? option!
  try {
    if (queryFile !== '-') return await readFile(queryFile, 'utf8')
    let text = ''
    for await (const piece of session.stdin.setEncoding('utf8')) text += String(piece)
    return text
  } catch (cause) {
    throw new InvalidArgumentError({ argument: '--query-file', expected: 'a file that can be read', found: messageOf(cause), cause })
  }
}

function parametersOf({ param, params }: QueryCommandOptions): unknown[] | undefined {
  if (param && params !== undefined) throw new InvalidArgumentError({ argument: '--params', expected: '--param or --params', found: 'both' })
  if (params === undefined) return param
  try {
    const list: unknown = JSON.parse(params)
    if (Array.isArray(list)) return list as unknown[]
  } catch { /* said below */ }
  throw new InvalidArgumentError({ argument: '--params', expected: 'a JSON list, such as ["a", 1]', found: params })
}

async function query(argument: string | undefined, options: QueryCommandOptions, session: Session): Promise<void> {
  const sql = await statementOf(argument, options, session)
  const params = parametersOf(options)
  if (options.incremental && options.orderColumn === undefined) throw new InvalidArgumentError({ argument: '--order-column', expected: 'the order column of --incremental', found: 'none' })
  if (!options.incremental && (options.orderColumn ?? options.keyColumn ?? options.overlap) !== undefined) throw new InvalidArgumentError({ argument: '--incremental', expected: 'this beside --order-column, --key-column or --overlap' })
  const format = chooseFormat(options, session)
  const database = await databaseOf(options, session)
  try {
    await withCache(options, session, async cache => {
      const db = await openDatabase({ source: database.source, cache })
      const { overlap } = options
      const request = { params, cache: options.cache, signal: session.signal, fetchTimeoutMs: options.fetchTimeout, ...(options.refresh ? { refresh: 'full' as const } : {}),
        orderColumn: options.orderColumn!, keyColumn: options.keyColumn, overlap, nullOrder: options.nullOrder, reconcile: options.reconcile }
      try {
        let printed = 0
        do {
          printed = await runOnce(db, sql, request, options, session, { format, skip: printed })
          // a tick that is cut short by a signal is no error
          if (options.watch !== undefined) await delay(options.watch, undefined, { signal: session.signal }).catch(() => undefined)
        } while (options.watch !== undefined && !session.signal.aborted)
      } finally {
        await db.close()
      }
    })
  } finally {
    await database.close()
  }
}

/** One run: its rows but the first `skip`, which were printed before. A file always gets all of them. */
async function runOnce(db: Database, sql: string, request: IncrementalOptions, options: QueryCommandOptions, session: Session, { format, skip }: { format: FormatName, skip: number }): Promise<number> {
  const { orderColumn: _order, keyColumn: _key, overlap: _overlap, nullOrder: _nulls, reconcile: _reconcile, ...plain } = request
  const stream = options.incremental ? db.streamIncremental(sql, request) : db.stream(sql, options.watch === undefined ? plain : { ...plain, refresh: 'full' })
  const isFile = options.out !== undefined && options.out !== '-'
  const rows = rowsAfter(stream, isFile ? 0 : options.incremental ? skip : 0)
  // the columns are known once the first rows are
  const first = await rows.next()
  const names = stream.columns().map(({ name }) => name)
  const target = isFile ? await openFile(options.out!) : streamTarget(session.stdout)
  const failure = await deliver(Object.assign(rest(first, rows), { destroy: () => stream.destroy() }), target, { format, names })
  if (failure?.error instanceof ReaderLeft) throw failure.error
  tell(options, session, { sql, format, names, report: stream.report, failure: failure?.error })
  if (failure) throw options.json ? new Told(failure.error) : failure.error
  return stream.report.rows
}

async function * rowsAfter(stream: ResultStream, skip: number): AsyncGenerator<RowBatch> {
  let left = skip
  for await (const batch of stream) {
    const from = Math.min(left, batch.length)
    left -= from
    if (from < batch.length) yield batch.slice(from, batch.length)
  }
}

async function * rest(first: IteratorResult<RowBatch>, rows: AsyncGenerator<RowBatch>): AsyncGenerator<RowBatch> {
  if (first.done) return
  yield first.value
  yield * rows
}

function tell(options: QueryCommandOptions, session: Session, { sql, format, names, report, failure }: { sql: string, format: FormatName, names: readonly string[], report: RunReport, failure: unknown }): void {
  if (options.json) {
    const out = options.out === '-' ? undefined : options.out
    const line = jsonLine({ ok: failure === undefined, sql, columns: names, format, out, report: reportFacts(report), error: failure === undefined ? undefined : errorFacts(failure) })
    if (out === undefined) note(session, line)
    else print(session, line)
    return
  }
  for (const { message } of report.warnings) note(session, `warning: ${message}`)
  if (options.quiet || session.signal.aborted) return
  const { rows, hits, fetched, ms } = report
  note(session, `query: ${counted(rows, 'row')}, ${formatCount(hits)} cached, ${formatCount(fetched)} read, ${formatMs(ms)}${options.out && options.out !== '-' && failure === undefined ? ` → ${options.out}` : ''}`)
}
