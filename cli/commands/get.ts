import { Option, type Command } from 'commander'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import { InvalidArgumentError, messageOf } from '../../lib/errors.js'
import type { RunReport } from '../../lib/report.js'
import type { DataRequest } from '../../pipelines/request.js'
import { streamData } from '../../pipelines/stream-data.js'
import { withCache } from '../cache.js'
import { fetcherOf, withConnection, type ConnectionOptions } from '../database.js'
import { errorFacts, EXIT, exitCodeOf, ReaderLeft, reportFacts, Told } from '../failure.js'
import { count, duration, examples } from '../options.js'
import { formatOf, FORMATS, type FormatName } from '../output/formats.js'
import { jsonLine } from '../output/json.js'
import { fileTarget, streamTarget, type Target } from '../output/target.js'
import { counted, formatCount, formatMs } from '../output/text.js'
import { selectionOf, withSelection, type SelectionOptions } from '../selection.js'
import { note, print, type Session } from '../session.js'

interface GetOptions extends SelectionOptions, ConnectionOptions {
  onMissing?: 'error' | 'skip' | 'null'
  concurrency?: number
  retries?: number
  fetchTimeout?: number
  format?: FormatName
  out?: string
  progress: boolean
  quiet?: boolean
}

/** `millrace get`: rows by id, from the cache where it has them. */
export function addGet(program: Command, session: Session): void {
  const command = withConnection(withSelection(program.command('get').summary('rows by id, from the cache where it has them')
    .description('Print or save rows by id. What is cached comes from Parquet files; only the rest is fetched, and remembered.\nRows are sorted by id, each id once; the id column comes first.')))
    .addOption(new Option('--on-missing <what>', 'ids the source does not have: error (exit code 3), skip, or null rows').choices(['error', 'skip', 'null']).default('error'))
    .option('--concurrency <fetches>', 'fetches in flight (default: 2)', count(1))
    .option('--retries <times>', 'further attempts after a failed fetch (default: 2)', count(0))
    .option('--fetch-timeout <time>', 'longest time for one fetch, such as 30s (default: none)', duration)
    .addOption(new Option('--format <name>', "output format (default: by the file's ending; else table on a terminal, ndjson elsewhere)").choices(Object.keys(FORMATS)))
    .option('--out <file>', 'write to a file, which appears when it is complete (- is stdout)')
    .option('--no-progress', 'no progress on stderr')
    .option('--quiet', 'neither progress nor summary on stderr')
    .action((options: GetOptions) => get(options, session))
  examples(command, 'Examples', [
    ['millrace get --pg postgres://me@localhost/shop --table public.users --columns name,meta.address.city --ids 1,2,3', 'a few rows, a value out of a JSON column'],
    ['millrace get --table public.flights --columns delay,distance --range 1..1000000 --out flights.parquet', 'a million rows into one Parquet file, database from $PGURL'],
    ['psql -Atc "SELECT id FROM users" | millrace get --table public.users --columns name --ids-file - --format csv > users.csv', 'ids from another program, rows as CSV'],
    ['millrace get --table public.users --columns name --ids 1,2,3 | jq .name', 'again: from the cache, no database needed']
  ]).addHelpText('after', `
Formats:
  ndjson   one JSON object a line; integers of any size as digits, numeric as text, timestamps with microseconds
  csv      RFC 4180 with a header; null is empty, empty text is ""
  table    the first and last rows, aligned
  parquet  one plain Parquet file (to --out, or into a pipe)

Next: run it twice, the second run fetches nothing; \`millrace cache ls\` shows what is kept.`)
}

async function get(options: GetOptions, session: Session): Promise<void> {
  const selection = selectionOf(options, session)
  const format = chooseFormat(options, session)
  const database = await fetcherOf({ pg: options.pg, mysql: options.mysql, sqlite: options.sqlite, concurrency: options.concurrency, columnTypes: selection.columnTypes }, session)
  try {
    await withCache(options, session, async cache => {
      const stream = streamData({ ...selection, cache, fetcher: database.fetcher, onMissing: options.onMissing, concurrency: options.concurrency,
        retries: options.retries, fetchTimeoutMs: options.fetchTimeout, progress: options.progress && !options.quiet && !options.json })
      const isFile = options.out !== undefined && options.out !== '-'
      const target = isFile ? await openFile(options.out!) : streamTarget(session.stdout)
      const names = namesOf(selection)
      const failure = await deliver(stream, target, { format, names })
      if (failure?.error instanceof ReaderLeft) return
      tell(options, session, { table: selection.table, names, format, report: stream.report, failure: failure?.error })
      if (failure) throw options.json ? new Told(failure.error) : failure.error
    })
  } finally {
    await database.close()
  }
}

/** The format to write: as asked, by the file's ending, by where it goes. */
export function chooseFormat({ format, out }: Pick<GetOptions, 'format' | 'out'>, { stdout }: Session): FormatName {
  const toStdout = out === undefined || out === '-'
  const chosen = format ?? (toStdout ? undefined : formatOf(out)) ?? (toStdout && stdout.isTTY ? 'table' : 'ndjson')
  if (chosen === 'parquet' && toStdout && stdout.isTTY) {
    throw new InvalidArgumentError({ argument: '--format', expected: '--out FILE (or a pipe) for parquet', found: 'a terminal' })
  }
  return chosen
}

/** @throws {InvalidArgumentError} it cannot be written */
export async function openFile(name: string): Promise<Target> {
  try {
    return await fileTarget(name)
  } catch (cause) {
    throw new InvalidArgumentError({ argument: '--out', expected: 'a file that can be written', found: messageOf(cause), cause })
  }
}

function namesOf({ columns, idColumn = 'id' }: Pick<DataRequest, 'columns' | 'idColumn'>): string[] {
  return [idColumn, ...columns.filter(name => name !== idColumn)]
}

/**
 * Write what the stream delivers. Its error comes after everything good, so the output is brought to its end first; the
 * error is returned. A run that could not deliver, and a reader that left, leave no file.
 */
export async function deliver(stream: AsyncIterable<RowBatch> & { destroy(): unknown }, target: Target, { format, names }: { format: FormatName, names: readonly string[] }): Promise<{ error: unknown } | undefined> {
  let failure: { error: unknown } | undefined
  async function * delivered(): AsyncGenerator<RowBatch> {
    try {
      yield * stream
    } catch (error) {
      failure = { error }
    }
  }
  try {
    await FORMATS[format](delivered(), target, names)
    if (failure && exitCodeOf(failure.error) !== EXIT.incomplete) await target.discard()
    else await target.finish()
  } catch (error) {
    await target.discard()
    failure ??= { error }
  } finally {
    stream.destroy()
  }
  return failure
}

/** The report, for people or programs. */
function tell(options: GetOptions, session: Session, { table, names, format, report, failure }: { table: string, names: readonly string[], format: FormatName, report: RunReport | undefined, failure: unknown }): void {
  if (options.json) {
    const out = options.out === '-' ? undefined : options.out
    const line = jsonLine({ ok: failure === undefined, table, columns: names, format, out,
      report: report && reportFacts(report), error: failure === undefined ? undefined : errorFacts(failure) })
    if (out === undefined) note(session, line)
    else print(session, line)
    return
  }
  for (const { message } of report?.warnings ?? []) note(session, `warning: ${message}`)
  if (!report || options.quiet || session.signal.aborted) return
  const { rows, hits, fetched, batches, retries, ms } = report
  note(session, `${table}: ${counted(rows, 'row')}, ${formatCount(hits)} cached, ${formatCount(fetched)} fetched` +
    `${batches > 0 ? ` in ${counted(batches, 'batch', 'batches')}` : ''}${retries > 0 ? ` with ${counted(retries, 'retry', 'retries')}` : ''}, ${formatMs(ms)}` +
    (options.out && options.out !== '-' && (failure === undefined || exitCodeOf(failure) === EXIT.incomplete) ? ` → ${options.out}` : ''))
}
