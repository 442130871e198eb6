import type { ParseResult, ScanToken } from 'libpg-query'

/** What stands in the way of extending a result by new rows, and where. */
export interface Offence {
  construct: string
  reason: string
  /** Byte offset in the text; undefined where neither tree nor tokens tell. */
  at: number | undefined
}

/** A function's name as it is called. */
export interface CalledFunction {
  schema: string | undefined
  name: string
  at: number | undefined
}

/** A table or view as it is named. */
export interface NamedRelation {
  schema: string | undefined
  name: string
  at: number | undefined
}

/** What a statement's tree holds that matters here. */
export interface Findings {
  offences: Offence[]
  functions: CalledFunction[]
  relations: NamedRelation[]
  /** Operators as they are written. */
  operators: CalledFunction[]
  /** Names behind a dot: columns, or functions of one row, `t.f`. */
  attributes: CalledFunction[]
  /** Names defined by WITH. */
  ownRelations: string[]
}

type Node = Record<string, unknown>
type Statement = NonNullable<ParseResult['stmts']>[number]

const LIMITED = 'which rows it lets through changes as rows are added'
const GROUPED = 'a group that was delivered changes as rows are added'
const NEGATED = 'rows that were delivered may be taken back as rows are added'
const TIMED = 'its value changes from run to run, and with it which rows were right'

/** Words PostgreSQL reads as a time of the day the statement runs. */
const MOVING_TIME = /^\s*(now|today|tomorrow|yesterday)\b/i

/** STABLE functions that give another value in the next transaction. Volatile ones the catalogue names. */
const CLOCKS: ReadonlySet<string> = new Set(['now', 'transaction_timestamp', 'statement_timestamp', 'pg_current_snapshot', 'txid_current_snapshot',
  'pg_snapshot_xmin', 'pg_snapshot_xmax', 'pg_postmaster_start_time', 'pg_conf_load_time', 'pg_backend_pid', 'txid_current', 'txid_current_if_assigned',
  'pg_current_xact_id', 'pg_current_xact_id_if_assigned', 'inet_client_port'])

/** Tests that stay true where their sub-query finds more. */
const KEPT_TESTS: ReadonlySet<string> = new Set(['IS_TRUE', 'IS_NOT_FALSE', 'IS_NOT_NULL'])

const LOCKS: Readonly<Record<string, string>> = { LCS_FORUPDATE: 'FOR UPDATE', LCS_FORNOKEYUPDATE: 'FOR NO KEY UPDATE', LCS_FORSHARE: 'FOR SHARE', LCS_FORKEYSHARE: 'FOR KEY SHARE' }

function text(node: unknown): string | undefined {
  const value = (node as { String?: { sval?: string } } | undefined)?.String?.sval
  return typeof value === 'string' ? value : undefined
}

function locationOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  const { location } = node as { location?: unknown }
  if (typeof location === 'number' && location >= 0) return location
  for (const value of Object.values(node)) {
    const found = locationOf(value)
    if (found !== undefined) return found
  }
  return undefined
}

/** The sub-queries of some types in an expression, of all types where none are named; not those within them. */
function subQueries(value: unknown, types?: RegExp): Node[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(item => subQueries(item, types))
  const { SubLink: link } = value as { SubLink?: Node }
  if (link) return [...(!types || types.test(String(link['subLinkType'])) ? [link] : []), ...subQueries(link['testexpr'], types)]
  return Object.values(value).flatMap(item => subQueries(item, types))
}

/** The first of some keywords among the tokens after a place. */
function keywordAt(tokens: readonly ScanToken[], words: readonly string[], from = 0): number | undefined {
  return tokens.find(token => token.start >= from && token.keywordKind !== 0 && words.includes(token.text.toUpperCase()))?.start
}

/**
 * Walk a statement's tree and note everything that may keep a result from being extended: what makes delivered rows depend on
 * later ones, what differs from run to run, what changes data. Functions and relations are listed for the catalogue to judge.
 */
export function findingsOf(statement: Statement['stmt'], tokens: readonly ScanToken[]): Findings {
  const findings: Findings = { offences: [], functions: [], relations: [], operators: [], attributes: [], ownRelations: [] }
  const offend = (construct: string, reason: string, at: number | undefined): void => { findings.offences.push({ construct, reason, at }) }

  /** EXISTS and IN of a condition may come true as rows are added, and so may AND and OR of them; of other expressions nobody knows. */
  const checkCondition = (condition: unknown): void => {
    if (typeof condition !== 'object' || condition === null) return
    const { SubLink: link, BoolExpr: bool, BooleanTest: test } = condition as Record<string, Node | undefined>
    if (bool && bool['boolop'] !== 'NOT_EXPR') (bool['args'] as unknown[]).forEach(checkCondition)
    else if (test && KEPT_TESTS.has(String(test['booltesttype']))) checkCondition(test['arg'])
    else if (!bool) for (const found of subQueries(link ? link['testexpr'] : condition, /EXISTS|ANY/)) offend('an expression of EXISTS or IN', NEGATED, locationOf({ location: found['location'] }))
  }

  const checkSelect = (select: Node): void => {
    const has = (key: string): boolean => select[key] !== undefined && (!Array.isArray(select[key]) || (select[key] as unknown[]).length > 0)
    if (has('op') && select['op'] !== 'SETOP_NONE') {
      const word = String(select['op']).replace('SETOP_', '')
      offend(word, 'a set operation may take back rows that were delivered', keywordAt(tokens, [word]))
    }
    checkCondition(select['whereClause'])
    if (has('distinctClause')) offend('DISTINCT', 'a row that was delivered may stand for another one later', keywordAt(tokens, ['DISTINCT']))
    if (has('groupClause')) offend('GROUP BY', GROUPED, keywordAt(tokens, ['GROUP']))
    if (has('havingClause')) offend('HAVING', GROUPED, keywordAt(tokens, ['HAVING']))
    if (has('windowClause')) offend('WINDOW', GROUPED, keywordAt(tokens, ['WINDOW']))
    if (has('limitCount')) offend(select['limitOption'] === 'LIMIT_OPTION_WITH_TIES' ? 'FETCH FIRST … WITH TIES' : 'LIMIT', LIMITED, keywordAt(tokens, ['LIMIT', 'FETCH']))
    if (has('limitOffset')) offend('OFFSET', LIMITED, keywordAt(tokens, ['OFFSET']))
    const [lock] = (select['lockingClause'] ?? []) as readonly { LockingClause?: { strength?: string } }[]
    if (lock) offend(LOCKS[lock.LockingClause?.strength ?? ''] ?? 'FOR UPDATE', 'rows that come from the cache would not be locked', keywordAt(tokens, ['FOR']))
    if (has('intoClause')) offend('SELECT INTO', 'it writes a table', keywordAt(tokens, ['INTO']))
    if ((select['withClause'] as { recursive?: boolean } | undefined)?.recursive) offend('WITH RECURSIVE', 'rows follow from other rows', keywordAt(tokens, ['RECURSIVE']))
  }

  const checkCall = (call: Node): void => {
    const names = (call['funcname'] as unknown[]).flatMap(part => text(part) ?? [])
    const name = names.at(-1) ?? ''
    const at = locationOf({ location: call['location'] })
    if (call['over']) offend(`the window function ${name}()`, GROUPED, at)
    else if (call['agg_star'] || call['agg_distinct'] || call['agg_filter'] || call['agg_within_group'] || call['agg_order']) offend(`the aggregate ${name}()`, GROUPED, at)
    const isBuiltIn = names.length === 1 || names[0] === 'pg_catalog'
    if (isBuiltIn && (CLOCKS.has(name) || (name === 'age' && ((call['args'] as unknown[] | undefined)?.length ?? 0) === 1))) offend(`${name}()`, TIMED, at)
    findings.functions.push({ schema: names.length > 1 ? names.at(-2) : undefined, name, at })
  }

  const noteOperator = (name: unknown, node: Node): void => {
    const names = ((name ?? []) as unknown[]).flatMap(part => text(part) ?? [])
    if (names.length > 0) findings.operators.push({ schema: names.at(-2), name: names.at(-1)!, at: locationOf({ location: node['location'] }) })
  }

  const noteAttribute = (parts: unknown, node: Node): void => {
    for (const name of ((parts ?? []) as unknown[]).flatMap(part => text(part) ?? [])) findings.attributes.push({ schema: undefined, name, at: locationOf(node) })
  }

  const check = (type: string, node: Node): void => {
    if (type === 'SelectStmt') checkSelect(node)
    else if (type === 'FuncCall') checkCall(node)
    else if (type === 'RangeVar') findings.relations.push({ schema: node['schemaname'] as string | undefined, name: node['relname'] as string, at: locationOf(node) })
    else if (type === 'CommonTableExpr') findings.ownRelations.push(String(node['ctename']))
    else if (type === 'RangeTableSample') offend('TABLESAMPLE', 'it picks other rows each time', locationOf({ location: node['location'] }))
    else if (type === 'SQLValueFunction' && !/USER|ROLE|CATALOG|SCHEMA/.test(String(node['op']))) {
      offend(String(node['op']).replace('SVFOP_', '').replace(/_N$/, ''), TIMED, locationOf(node))
    } else if (type === 'A_Const') {
      const literal = (node['sval'] as { sval?: string } | undefined)?.sval
      if (literal !== undefined && MOVING_TIME.test(literal)) offend(`'${literal}'`, TIMED, locationOf(node))
    } else if (type === 'BoolExpr' && node['boolop'] === 'NOT_EXPR') {
      if (subQueries(node).length > 0) offend('NOT before a sub-query', NEGATED, locationOf(node))
    } else if (type === 'BooleanTest' || type === 'NullTest') {
      const kind = String(node['booltesttype'] ?? node['nulltesttype'])
      if (!KEPT_TESTS.has(kind) && subQueries(node).length > 0) offend(`${kind.replaceAll('_', ' ')} behind a sub-query`, NEGATED, locationOf({ location: node['location'] }))
    } else if (type === 'SubLink') {
      if (node['subLinkType'] === 'ALL_SUBLINK') offend('ALL before a sub-query', NEGATED, locationOf(node))
      if (node['subLinkType'] === 'ARRAY_SUBLINK') offend('ARRAY of a sub-query', GROUPED, locationOf({ location: node['location'] }))
      noteOperator(node['operName'], node)
    } else if (type === 'A_Expr') {
      if (node['kind'] === 'AEXPR_OP_ALL' && subQueries(node['rexpr']).length > 0) offend('ALL before a sub-query', NEGATED, locationOf({ location: node['location'] }))
      if (node['kind'] === 'AEXPR_IN' && text((node['name'] as unknown[])[0]) === '<>' && subQueries(node).length > 0) offend('NOT before a sub-query', NEGATED, locationOf({ location: node['location'] }))
      noteOperator(node['name'], node)
    } else if (type === 'JoinExpr') checkCondition(node['quals'])
    else if (type === 'ColumnRef') noteAttribute((node['fields'] as unknown[]).slice(1), node)
    else if (type === 'A_Indirection') noteAttribute(node['indirection'], node)
    else if (/^Json.*Agg$|^GroupingFunc$|^Aggref$/.test(type)) offend('an aggregate', GROUPED, locationOf(node))
    else if (/Stmt$/.test(type)) {
      const word = type.replace(/^Variable(?=S)|Stmt$/g, '').toUpperCase()
      offend(word, 'only SELECT can be extended', keywordAt(tokens, [word]) ?? tokens[0]?.start)
    }
  }

  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk)
    else if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) {
        // node types begin with a capital; `larg` and `rarg` of a set operation hold statements outright
        if (/^[A-Z]/.test(key)) check(key, (child ?? {}) as Node)
        walk(child)
      }
    }
  }
  walk(statement)
  return findings
}
