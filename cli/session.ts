import type { Readable } from 'node:stream'
import type { Environment } from './env.js'
import type { Redactor } from './redact.js'

/** What a command gets beside its own arguments. */
export interface Session {
  readonly env: Environment
  /** Aborted by SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal
  readonly stdin: Readable
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly redact: Redactor
  /** Keep these passwords, and those in these URLs, out of everything that is printed from now on. */
  hide(found: { passwords: readonly string[], urls: readonly string[] }): void
  /** What the process will exit with; see `failure.ts`. */
  exitCode: number
}

/** One line on stdout, for results. */
export function print(session: Session, text: string): void {
  session.stdout.write(`${session.redact(text)}\n`)
}

/** One line on stderr, for everything that is no result. */
export function note(session: Session, text: string): void {
  session.stderr.write(`${session.redact(text)}\n`)
}
