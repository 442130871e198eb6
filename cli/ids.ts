import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { InvalidArgumentError, messageOf } from '../lib/errors.js'
import { idOf, type Id } from '../lib/batch/ids.js'

/** Ids per array that is handed on. */
const CHUNK_IDS = 65_536
/** A range of more ids is taken for a slip. */
const MAX_RANGE = 1_000_000_000

/** Where ids come from, as the options were given. All of them together. */
export interface IdSources {
  /** `1,2,3` */
  ids?: readonly string[] | undefined
  /** File names; `-` is stdin. */
  idsFile?: readonly string[] | undefined
  /** `1..1000000`, both ends included. */
  range?: readonly string[] | undefined
}

/** An inclusive range of ids. */
export interface IdRange {
  first: Id
  last: Id
}

const INTEGER = /^[+-]?\d+$/

function parseId(token: string, argument: string): Id {
  const id = INTEGER.test(token) ? idOf(Number.isSafeInteger(Number(token)) ? Number(token) : BigInt(token)) : undefined
  if (id === undefined) throw new InvalidArgumentError({ argument, expected: 'an integer id', found: JSON.stringify(token.slice(0, 80)) })
  return id
}

/** `1..1000000` → its ends. */
export function parseRange(text: string): IdRange {
  const match = /^\s*([+-]?\d+)\s*\.\.\s*([+-]?\d+)\s*$/.exec(text)
  if (!match) throw new InvalidArgumentError({ argument: '--range', expected: 'FIRST..LAST, such as 1..1000', found: JSON.stringify(text) })
  const [first, last] = [parseId(match[1]!, '--range'), parseId(match[2]!, '--range')]
  if (first > last) throw new InvalidArgumentError({ argument: '--range', expected: 'the smaller id first', found: text })
  if (BigInt(last) - BigInt(first) >= BigInt(MAX_RANGE)) {
    throw new InvalidArgumentError({ argument: '--range', expected: `at most ${MAX_RANGE.toLocaleString('en-US')} ids`, found: text })
  }
  return { first, last }
}

function * rangeIds({ first, last }: IdRange): Generator<Id[]> {
  const count = Number(BigInt(last) - BigInt(first)) + 1
  const safe = typeof first === 'number' && typeof last === 'number'
  for (let at = 0; at < count; at += CHUNK_IDS) {
    const length = Math.min(CHUNK_IDS, count - at)
    yield Array.from({ length }, (_, i) => safe ? first + at + i : idOf(BigInt(first) + BigInt(at + i))!)
  }
}

/** Text in pieces → ids, split at white space and commas. Errors name the line. */
async function * textIds(pieces: AsyncIterable<string> | Iterable<string>, name: string): AsyncGenerator<Id[]> {
  let rest = ''
  let line = 1
  const parse = (text: string): Id[] => {
    const tokens = text.split(/[\s,]+/)
    try {
      return tokens.flatMap(token => token === '' ? [] : parseId(token, name))
    } catch {
      // once more, slowly, to say where
      return text.split('\n').flatMap((row, i) => row.split(/[\s,]+/).flatMap(token => token === '' ? [] : parseId(token, `${name}:${line + i}`)))
    }
  }
  let isStart = true
  for await (const piece of pieces) {
    const text = rest + (isStart ? piece.replace(/^\uFEFF/, '') : piece)
    isStart = false
    const end = Math.max(text.lastIndexOf('\n'), text.lastIndexOf(','), text.lastIndexOf(' '), text.lastIndexOf('\t')) + 1
    rest = text.slice(end)
    if (rest.length > 1000) parseId(rest, `${name}:${line}`)
    const ids = parse(text.slice(0, end))
    for (let i = 0; i < end; i++) if (text.charCodeAt(i) === 10) line++
    if (ids.length > 0) yield ids
  }
  const ids = parse(rest)
  if (ids.length > 0) yield ids
}

/** A file's text as it arrives. */
async function * fileText(name: string, stdin: Readable): AsyncGenerator<string> {
  const stream = name === '-' ? stdin : createReadStream(name)
  stream.setEncoding('utf8')
  try {
    for await (const piece of stream) yield piece as string
  } catch (cause) {
    throw new InvalidArgumentError({ argument: '--ids-file', expected: 'a file that can be read', found: messageOf(cause), cause })
  } finally {
    stream.destroy()
  }
}

/**
 * All ids that were asked for, in arrays, read as they are needed. Which of them are right is found out on the way: ranges
 * and lists at once, files while they are read.
 *
 * @throws {InvalidArgumentError} nothing was given, or something is no id
 */
export function idsFrom({ ids = [], idsFile = [], range = [] }: IdSources, stdin: Readable): AsyncIterable<readonly Id[]> {
  if (ids.length + idsFile.length + range.length === 0) {
    throw new InvalidArgumentError({ argument: 'ids', expected: 'ids: --ids 1,2,3 or --range 1..1000 or --ids-file FILE (- for stdin)', found: 'none' })
  }
  const ranges = range.map(parseRange)
  const given = ids.flatMap(list => list.split(/[\s,]+/).flatMap(token => token === '' ? [] : parseId(token, '--ids')))
  return (async function * () {
    if (given.length > 0) yield given
    for (const each of ranges) yield * rangeIds(each)
    for (const name of idsFile) yield * textIds(fileText(name, stdin), name === '-' ? 'stdin' : name)
  })()
}
