import { CommanderError } from 'commander'
import { BatchFailedError, DataNotFoundError, InvalidArgumentError, messageOf, MillraceError } from '../lib/errors.js'
import type { RunReport } from '../lib/report.js'

/** What the process exits with. A signal's exit code is 128 and its number. */
export const EXIT = { ok: 0, failure: 1, usage: 2, incomplete: 3 } as const

export const EXIT_CODES_HELP = `
Exit codes:
  0    done
  1    failed (for verify: something is damaged)
  2    the command line is wrong; nothing was done
  3    incomplete: ids that the source does not have, some fetches failed, or no
       database was named and some ids are not cached; everything else was
       delivered and cached, run again for the rest
  129, 130, 143   stopped by SIGHUP, SIGINT, SIGTERM; committed batches are kept
`

/** Help and version end like errors, but are none. */
const HELP_CODES: ReadonlySet<string> = new Set(['commander.helpDisplayed', 'commander.version'])

/** Whether commander already said what there is to say. */
export function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof CommanderError
}

/** An error that stands in the result which was printed: only its exit code is left to give. */
export class Told extends Error {
  readonly error: unknown
  constructor(error: unknown) {
    super(messageOf(error))
    this.error = error
  }
}

/** Whoever read our output has left (`| head`): a reason to stop, and no error. */
export class ReaderLeft extends Error {}

/** Whether a write failed because nobody reads any more. */
export function isBrokenPipe(error: unknown): boolean {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED'
}

function rowsOf({ report }: MillraceError): number {
  return (report as Partial<RunReport> | undefined)?.rows ?? 0
}

/** The exit code for anything that was thrown. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Told) return exitCodeOf(error.error)
  if (error instanceof ReaderLeft) return EXIT.ok
  if (isCommanderError(error)) return HELP_CODES.has(error.code) ? EXIT.ok : EXIT.usage
  // where rows were delivered already, what is wrong concerns the rest
  if (error instanceof InvalidArgumentError) return rowsOf(error) > 0 ? EXIT.incomplete : EXIT.usage
  if (error instanceof DataNotFoundError) return EXIT.incomplete
  if (error instanceof BatchFailedError && rowsOf(error) > 0) return EXIT.incomplete
  return EXIT.failure
}

/** Facts of an error that are worth printing as JSON: what its class adds to the message. */
const FACTS = ['argument', 'table', 'ids', 'columns', 'column', 'id', 'batch', 'reason', 'cached', 'seen', 'file', 'errno', 'source', 'sqlState',
  'construct', 'position', 'backend', 'keyType', 'provider'] as const

/** What is said of an error: its message, with options where it names settings. */
export function complaintOf(error: unknown): string {
  const message = messageOf(error)
  return error instanceof DataNotFoundError ? message.replace(/\(onMissing: .*\)$/, '(--on-missing skip leaves them out, --on-missing null delivers rows of nulls)') : message
}

/** An error as data. Batches' causes are texts. */
export function errorFacts(error: unknown): Record<string, unknown> {
  if (isCommanderError(error)) return { name: 'UsageError', message: error.message.replace(/^error: /, ''), code: 'ERR_USAGE' }
  const code = (error as { code?: unknown } | null)?.code
  const facts: Record<string, unknown> = { name: error instanceof Error ? error.name : 'Error', message: messageOf(error), ...(typeof code === 'string' ? { code } : {}) }
  if (!(error instanceof MillraceError)) return facts
  const own = error as unknown as Record<string, unknown>
  for (const fact of FACTS) if (own[fact] !== undefined) facts[fact] = own[fact]
  if (error instanceof BatchFailedError) facts['failures'] = error.failures.map(failureFacts)
  if (error.cause !== undefined) facts['cause'] = messageOf(error.cause)
  return facts
}

function failureFacts({ batch, ids, cause }: BatchFailedError['failures'][number]): object {
  return { batch, ids, cause: messageOf(cause) }
}

/** A report as data. */
export function reportFacts(report: RunReport): object {
  return { ...report, failures: report.failures.map(failureFacts) }
}
