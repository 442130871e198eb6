import { UnsupportedQueryError } from '../errors.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import { respell } from '../sql/foreign-shape.js'

/** PostgreSQL's grammar cuts longer names. */
const MAX_NAME_BYTES = 63

/** A word, a quoted name, a number or a sign of a statement; texts and comments are left out. */
export interface Token {
  readonly kind: 'word' | 'name' | 'number' | 'sign'
  /** As it is spelled; of a quoted name what is between the quotes. */
  readonly text: string
  /** Character position, from 0. */
  readonly at: number
  /** Parentheses around it. */
  readonly depth: number
}

/** A MySQL or SQLite statement as PostgreSQL's grammar reads it. */
export interface ForeignText {
  /** In PostgreSQL's spelling, position for position. */
  readonly spelled: string
  readonly tokens: readonly Token[]
}

const PATTERN = /'(?:[^']|'')*'|--[^\n]*|\/\*[^]*?\*\/|"((?:[^"]|"")*)"|([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(\.?\d[\w.]*)|(\S)/g

function tokensOf(spelled: string): Token[] {
  const tokens: Token[] = []
  let depth = 0
  for (const { 0: all, 1: name, 2: word, 3: number, 4: sign, index: at } of spelled.matchAll(PATTERN)) {
    if (sign === ')') depth--
    if (name !== undefined) tokens.push({ kind: 'name', text: name, at, depth })
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, at, depth })
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, at, depth })
    else if (sign !== undefined) tokens.push({ kind: 'sign', text: all, at, depth })
    if (sign === '(') depth++
  }
  return tokens
}

function checkToken({ kind, text, at }: Token): void {
  const refuse = (construct: string, reason: string): never => { throw new UnsupportedQueryError({ construct, reason, position: at }) }
  if (kind === 'sign' && text === '?') refuse('a parameter', 'values must be written out for a partition cache over this database')
  // || is OR to MySQL, & binds otherwise than AND
  if (kind === 'sign' && /[|&^~%]/.test(text)) refuse(`the operator ${text}`, 'it means something else, or binds otherwise, in this database')
  if (kind === 'number' && !/^(\d+\.?\d*|\.\d+)$/.test(text)) refuse(`the number ${text}`, 'write it with digits and a point')
  if ((kind === 'word' || kind === 'name') && !/^[\x20-\x7e]*$/.test(text)) refuse(`the name ${text}`, 'names outside ASCII are compared otherwise in this database')
  if ((kind === 'word' || kind === 'name') && text.length > MAX_NAME_BYTES) refuse(`the name ${text}`, `it is longer than ${MAX_NAME_BYTES} bytes`)
}

/**
 * Reads the words of a statement.
 *
 * @throws {UnsupportedQueryError} a construct that PostgreSQL's grammar would take for something else
 */
export function foreignText(sql: string, dialect: ForeignSql): ForeignText {
  const spelled = respell(sql, dialect)
  // a parameter is respelled as a constant: it is looked for in the text itself
  const tokens = tokensOf(spelled)
  for (const token of tokens) checkToken(token)
  const parameter = tokens.find(({ kind, at }) => kind === 'number' && sql[at] === '?')
  if (parameter) checkToken({ ...parameter, kind: 'sign', text: '?' })
  return { spelled, tokens }
}

/** How a name is spelled outside of quotes, in each of its cases. */
export function spellingsOf({ tokens }: ForeignText, name: string): string[] {
  return [...new Set(tokens.flatMap(({ kind, text }) => kind === 'word' && text.toLowerCase() === name ? [text] : []))]
}

const CLAUSES: ReadonlySet<string> = new Set(['GROUP', 'HAVING', 'WINDOW', 'ORDER', 'LIMIT', 'OFFSET', 'FETCH'])

/** A statement with one more condition in its outermost WHERE; everything else stays as it is written. */
export function withCondition(sql: string, { tokens }: ForeignText, condition: string): string {
  const outer = tokens.filter(({ depth }) => depth === 0)
  const isWord = (token: Token, words: ReadonlySet<string>): boolean => token.kind === 'word' && words.has(token.text.toUpperCase())
  const where = outer.find(token => isWord(token, new Set(['WHERE'])))
  const end = outer.find(token => (!where || token.at > where.at) && (isWord(token, CLAUSES) || token.text === ';'))?.at ?? sql.length
  // a line of its own: a comment may stand before it
  if (!where) return `${sql.slice(0, end)}\nWHERE ${condition} ${sql.slice(end)}`
  const from = where.at + 'WHERE'.length
  return `${sql.slice(0, from)} (${sql.slice(from, end).trim()}\n) AND ${condition} ${sql.slice(end)}`
}
