import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { InvalidArgumentError, messageOf } from '../../lib/errors.js'
import type { Session } from '../session.js'
import type { QueryOptions } from './options.js'

async function textOf(stream: Readable, signal: AbortSignal): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of stream) {
    signal.throwIfAborted()
    pieces.push(Buffer.from(piece as Uint8Array))
  }
  return Buffer.concat(pieces).toString('utf8')
}

async function fileText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new InvalidArgumentError({ argument: '--query-file', expected: 'a readable file', found: messageOf(cause) })
  }
}

/** The query of `--query`, `--query-file` or stdin; undefined where none was given. */
export async function givenQuery({ query, queryFile }: QueryOptions, session: Session): Promise<string | undefined> {
  if (query === undefined && queryFile === undefined) return undefined
  if (query !== undefined && queryFile !== undefined) throw new InvalidArgumentError({ argument: '--query', expected: '--query or --query-file', found: 'both' })
  const text = query === '-' || queryFile === '-' ? await textOf(session.stdin, session.signal) : query ?? await fileText(queryFile!)
  if (text.trim() === '') throw new InvalidArgumentError({ argument: query === undefined ? '--query-file' : '--query', expected: 'a query', found: 'nothing' })
  return text
}

/** As `givenQuery`, for actions that cannot do without. */
export async function queryText(options: QueryOptions, session: Session): Promise<string> {
  const text = await givenQuery(options, session)
  if (text === undefined) throw new InvalidArgumentError({ argument: '--query', expected: '--query SQL or --query-file FILE (- for stdin)', found: 'none' })
  return text
}
