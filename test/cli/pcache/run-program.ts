import { Readable } from 'node:stream'
import { exitCodeOf } from '../../../cli/failure.js'
import { messageOf } from '../../../lib/errors.js'
import { pcacheProgram, type PcacheProgram } from '../../../cli/pcache/action.js'
import type { Session } from '../../../cli/session.js'

/** What a program did. */
export interface ProgramResult {
  code: number
  stdout: string
  stderr: string
}

/** Runs a `pcache-*` program in this process: everything but the process's own beginning and end. */
export async function runProgram(program: PcacheProgram, args: readonly string[], { stdin = '', signal = new AbortController().signal }: { stdin?: string, signal?: AbortSignal } = {}): Promise<ProgramResult> {
  const written = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr'): NodeJS.WriteStream => ({ write(text: string) { written[name] += text } }) as unknown as NodeJS.WriteStream
  const session: Session = {
    env: { databaseUrl: undefined, hasDatabaseDefaults: false, cacheDir: undefined, secrets: [] },
    signal, stdin: Readable.from([Buffer.from(stdin)]), stdout: stream('stdout'), stderr: stream('stderr'), redact: text => text, hide: () => {}, exitCode: 0
  }
  try {
    await pcacheProgram(program).programOf(session, { json: args.includes('--json') }).parseAsync(args, { from: 'user' })
  } catch (error) {
    session.exitCode = exitCodeOf(error)
    written.stderr += messageOf(error)
  }
  return { code: session.exitCode, ...written }
}
