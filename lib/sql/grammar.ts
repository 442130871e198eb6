import { MissingDependencyError, UnsupportedQueryError, messageOf } from '../errors.js'
import type { Node, Select } from './ast.js'

interface Statement { stmt?: Node }
interface Grammar {
  parseSync(sql: string): unknown
  deparseSync(tree: unknown, options?: { pretty?: boolean }): string
}

let grammar: Grammar | undefined
let loading: Promise<void> | undefined

async function load(): Promise<void> {
  let loaded: typeof import('pgsql-parser')
  try {
    loaded = await import('pgsql-parser')
  } catch (error) {
    throw new MissingDependencyError({ package: 'pgsql-parser', purpose: 'reading SQL', cause: error })
  }
  await loaded.loadModule()
  grammar = loaded
}

/** Loads PostgreSQL's grammar (4 MB of WASM, some 20 ms), once per process. Everything else here is synchronous and needs it. */
export function loadGrammar(): Promise<void> {
  return loading ??= load().catch((error: unknown) => {
    loading = undefined
    throw error
  })
}

function loadedGrammar(): Grammar {
  if (!grammar) throw new Error('the SQL grammar is not loaded: await loadGrammar() first')
  return grammar
}

/** The parser counts bytes, callers count characters. */
export function characterAt(sql: string, byte: number | undefined): number | undefined {
  if (byte === undefined || byte < 0) return undefined
  return new TextDecoder().decode(new TextEncoder().encode(sql).subarray(0, byte)).length
}

function syntaxError(error: unknown): UnsupportedQueryError {
  const details = typeof error === 'object' && error !== null && 'sqlDetails' in error ? error.sqlDetails as { cursorPosition?: number } : {}
  return new UnsupportedQueryError({ construct: 'a statement that PostgreSQL cannot parse', reason: messageOf(error), cause: error,
    ...(details.cursorPosition === undefined ? {} : { position: details.cursorPosition }) })
}

/** Levels of a tree at most: what reads one calls itself for each of them. */
const MAX_DEPTH = 1000

function isDeep(tree: object): boolean {
  let level: object[] = [tree]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === MAX_DEPTH) return true
    level = level.flatMap(node => Object.values(node).filter((child: unknown): child is object => typeof child === 'object' && child !== null))
  }
  return false
}

/**
 * Parses one statement.
 *
 * @throws {UnsupportedQueryError} a syntax error, no statement, or several; one that is nested too deeply
 */
export function parseStatement(sql: string): Node {
  // the parser takes an empty text for an error of its own
  if (sql.trim() === '') throw new UnsupportedQueryError({ construct: 'an empty statement' })
  let statements: Statement[]
  try {
    statements = (loadedGrammar().parseSync(sql) as { stmts?: Statement[] }).stmts ?? []
  } catch (error) {
    if (error instanceof Error && /not loaded/.test(error.message)) throw error
    throw syntaxError(error)
  }
  const [first, second] = statements
  if (!first?.stmt) throw new UnsupportedQueryError({ construct: 'an empty statement' })
  if (second) throw new UnsupportedQueryError({ construct: 'several statements in one text' })
  if (isDeep(first.stmt)) throw new UnsupportedQueryError({ construct: 'a statement that is nested too deeply' })
  return first.stmt
}

/** Parses one SELECT (set operations and VALUES included). @throws {UnsupportedQueryError} anything else */
export function parseSelect(sql: string): Select {
  const { SelectStmt: select } = parseStatement(sql)
  if (!select) throw new UnsupportedQueryError({ construct: 'a statement other than SELECT' })
  return select
}

/** Prints a statement's tree as SQL on few lines. */
export function printStatement(node: Node): string {
  return loadedGrammar().deparseSync(node, { pretty: false })
}
