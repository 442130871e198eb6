import { readEnvironment } from './env.js'
import { errorFacts, EXIT, exitCodeOf, isBrokenPipe, isCommanderError, ReaderLeft, Told } from './failure.js'
import { jsonLine } from './output/json.js'
import { programOf } from './program.js'
import { redactor } from './redact.js'
import { note, type Session } from './session.js'
import { listenToSignals } from './signals.js'
import { messageOf } from '../lib/errors.js'

/** Everything on the command line that may hold a password. */
function urlsIn(args: readonly string[]): string[] {
  return ['--pg', '--mysql'].flatMap(name => args.flatMap((arg, i) => arg.startsWith(`${name}=`) ? [arg.slice(name.length + 1)] : args[i - 1] === name ? [arg] : []))
}

/** Run a command line; resolves to the exit code when nothing is left to do. */
export async function main(args: readonly string[]): Promise<number> {
  const env = readEnvironment()
  const signals = listenToSignals()
  const { stdout, stderr } = process
  // a reader that left ends the output, and is no error; a full disk is one, also where nobody waits for the write
  const unwritten: unknown[] = []
  stdout.on('error', error => { if (!isBrokenPipe(error)) unwritten.push(error) })
  stderr.on('error', () => {})
  const json = args.includes('--json')
  const session: Session = {
    env, stdout, stderr, exitCode: 0, signal: signals.signal,
    // opened when it is read, not before
    get stdin() { return process.stdin },
    redact: redactor([...urlsIn(args), env.databaseUrl], env.secrets)
  }
  try {
    await programOf(session, { json }).parseAsync(args, { from: 'user' })
  } catch (error) {
    session.exitCode = exitCodeOf(error)
    if (signals.exitCode === undefined) complain(session, error, json)
  }
  if (signals.exitCode !== undefined) {
    note(session, 'millrace: stopped; what was committed is kept, run again for the rest')
    return signals.exitCode
  }
  // what was printed is on its way; whether it arrived is known after the last write
  await new Promise<void>(resolve => { stdout.write('', () => resolve()) })
  if (session.exitCode === EXIT.ok && unwritten.length > 0) {
    session.exitCode = EXIT.failure
    complain(session, unwritten[0], json)
  }
  return session.exitCode
}

function complain(session: Session, error: unknown, json: boolean): void {
  if (error instanceof Told || error instanceof ReaderLeft) return
  if (json) {
    if (session.exitCode !== 0) note(session, jsonLine({ ok: false, error: errorFacts(error) }))
  } else if (!isCommanderError(error)) note(session, `millrace: ${messageOf(error)}`)
}
