import type { Command } from 'commander'
import { readEnvironment } from './env.js'
import { complaintOf, errorFacts, EXIT, exitCodeOf, isBrokenPipe, isCommanderError, ReaderLeft, Told } from './failure.js'
import { jsonLine } from './output/json.js'
import { redactor } from './redact.js'
import { note, type Session } from './session.js'
import { listenToSignals } from './signals.js'

/** Everything on the command line that may hold a password. */
function urlsIn(args: readonly string[]): string[] {
  return ['--pg', '--mysql'].flatMap(name => args.flatMap((arg, i) => arg.startsWith(`${name}=`) ? [arg.slice(name.length + 1)] : args[i - 1] === name ? [arg] : []))
}

/** A program: its name before every message, and its commands. */
export interface Program {
  readonly name: string
  /** `json`: errors are printed as data by whoever runs it. */
  readonly programOf: (session: Session, options: { json: boolean }) => Command
}

/** Run a program with the process's arguments; it ends when nothing is left to do. */
export async function runMain(program: Program): Promise<void> {
  const code = await main(program, process.argv.slice(2))
  process.exitCode = code
  // after a signal the process ends now, whatever is still open
  if (code > 128) process.exit(code)
}

/** Run a command line; resolves to the exit code when nothing is left to do. */
export async function main({ name, programOf }: Program, args: readonly string[]): Promise<number> {
  const env = readEnvironment()
  const signals = listenToSignals()
  const { stdout, stderr } = process
  // a reader that left ends the output, and is no error; a full disk is one, also where nobody waits for the write
  const unwritten: unknown[] = []
  stdout.on('error', error => { if (!isBrokenPipe(error)) unwritten.push(error) })
  stderr.on('error', () => {})
  const json = args.includes('--json')
  const urls = [...urlsIn(args), env.databaseUrl]
  let redact = redactor(urls, env.secrets)
  const session: Session = {
    env, stdout, stderr, exitCode: 0, signal: signals.signal,
    // opened when it is read, not before
    get stdin() { return process.stdin },
    redact: text => redact(text),
    hide(found) {
      redact = redactor([...urls, ...found.urls], [...env.secrets, ...found.passwords])
    }
  }
  const complain = (error: unknown): void => {
    if (error instanceof Told || error instanceof ReaderLeft) return
    if (json) {
      if (session.exitCode !== 0) note(session, jsonLine({ ok: false, error: errorFacts(error) }))
    } else if (!isCommanderError(error)) note(session, `${name}: ${complaintOf(error)}`)
  }
  try {
    await programOf(session, { json }).parseAsync(args, { from: 'user' })
  } catch (error) {
    session.exitCode = exitCodeOf(error)
    if (signals.exitCode === undefined) complain(error)
  }
  if (signals.exitCode !== undefined) {
    note(session, `${name}: stopped; what was committed is kept, run again for the rest`)
    return signals.exitCode
  }
  // what was printed is on its way; whether it arrived is known after the last write
  await new Promise<void>(resolve => { stdout.write('', () => resolve()) })
  if (session.exitCode === EXIT.ok && unwritten.length > 0) {
    session.exitCode = EXIT.failure
    complain(unwritten[0])
  }
  return session.exitCode
}
