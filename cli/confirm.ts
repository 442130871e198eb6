import { createInterface } from 'node:readline/promises'
import { EXIT } from './failure.js'
import { note, type Session } from './session.js'

/** Asks on a terminal whether to go on, unless `--yes` said so. Where the answer is no, the exit code says that nothing was done. */
export async function isConfirmed({ yes }: { yes?: boolean }, question: string, session: Session): Promise<boolean> {
  if (yes === true || session.stdin !== process.stdin || !process.stdin.isTTY || await answersYes(question, session)) return true
  note(session, 'nothing was done')
  session.exitCode = EXIT.failure
  return false
}

async function answersYes(question: string, session: Session): Promise<boolean> {
  const terminal = createInterface({ input: session.stdin, output: session.stderr })
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal: session.signal })).trim())
  } finally {
    terminal.close()
  }
}
