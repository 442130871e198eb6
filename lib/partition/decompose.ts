import { InvalidArgumentError } from '../errors.js'
import { roundTo } from '../sql/decimal.js'
import { eachColumn, mapColumns, type Expression } from '../sql/expression.js'
import { loadGrammar, parseSelect } from '../sql/grammar.js'
import { conditionsOf, keyOf } from '../sql/normal-form.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import type { FunctionVolatility } from '../sql/volatility.js'
import { fragmentOf, type Fragment, type FragmentParts } from './canonical.js'
import { components, membersOf } from './components.js'
import { flatten } from './flatten.js'
import { foreignText } from './foreign-text.js'
import { Memo, optionsKey } from './memo.js'
import type { RelationFacts } from './relations.js'
import type { ReadingOptions, TableFacts } from './scope.js'
import { readShape, type Condition, type QueryShape } from './shape.js'

// whoever imports the partition cache wants to read SQL at once
await loadGrammar()

/** What a database says of its functions and tables; `readCatalogue` makes one. */
export interface Catalogue {
  /** The database's SQL, where it is not PostgreSQL's. */
  readonly dialect?: ForeignSql | undefined
  readonly volatility: FunctionVolatility
  readonly tableFacts: (schema: string | undefined, name: string) => TableFacts | undefined
  /** What lies behind a table's name, as it stands in a fragment's `tables`. */
  readonly relation?: (table: string) => RelationFacts | undefined
}

/** How a query is read. */
export interface QueryOptions {
  /** The column that holds the partition key, by its exact name. */
  partitionKey: string
  /** Values of $1, $2, …; one that is undefined stays unbound. */
  params?: readonly unknown[] | undefined
  /** Functions of one's own that answer the same for the same arguments: `dist`, `app.dist`. */
  pureFunctions?: readonly string[] | undefined
  catalogue?: Catalogue | undefined
}

/** How a query is decomposed. The defaults are those for populating. */
export interface DecomposeOptions extends QueryOptions {
  /** Tables per fragment at least (default 1) and at most (default 15). */
  minComponentSize?: number | undefined
  maxComponentSize?: number | undefined
  /** Only tables that conditions connect (default true); false: every combination. */
  followGraph?: boolean | undefined
  /** All conditions of a table together (default true); false: also, for each table, each of them alone. */
  keepAllAttributes?: boolean | undefined
  /** Also with the limits of computed values (distances) widened to multiples of this (default 0 = not). */
  bucketSteps?: number | undefined
  /** false: one fragment only, of all tables and conditions that can be cached (default true: also their parts). */
  recompose?: boolean | undefined
  /** A table (or alias) whose conditions enter every fragment. A star table without conditions is left out by itself. */
  starJoinTable?: string | undefined
  /** Also with these conditions: `{ poi: 'size = 4' }`. */
  addConstraints?: Readonly<Record<string, string>> | undefined
  /** Always without the conditions on columns of these names. */
  removeConstraintsAll?: readonly string[] | undefined
  /** Also without them. */
  removeConstraintsAdd?: readonly string[] | undefined
  /** Fragments at most, small ones first (default 256). */
  maxFragments?: number | undefined
}

const MEMO_QUERIES = 1000
const shapes = new Memo<QueryShape>(MEMO_QUERIES)
const decompositions = new Memo<readonly Fragment[]>(MEMO_QUERIES)

function readingOptions({ partitionKey, params = [], pureFunctions = [], catalogue }: QueryOptions): ReadingOptions {
  const pure = new Set(pureFunctions.map(name => name.toLowerCase()))
  return {
    // column names have no case there
    partitionKey: catalogue?.dialect ? partitionKey.toLowerCase() : partitionKey,
    params, tableFacts: catalogue?.tableFacts, dialect: catalogue?.dialect,
    volatility: (schema, name) => pure.has(name) || (schema !== undefined && pure.has(`${schema}.${name}`)) ? 'immutable' : catalogue?.volatility(schema, name)
  }
}

function checkOptions(sql: unknown, { partitionKey }: QueryOptions): void {
  if (typeof sql !== 'string') throw new InvalidArgumentError({ argument: 'sql', expected: 'a text', found: typeof sql })
  if (typeof partitionKey !== 'string' || partitionKey === '') {
    throw new InvalidArgumentError({ argument: 'partitionKey', expected: "a column's name", found: typeof partitionKey === 'string' ? 'an empty text' : typeof partitionKey })
  }
}

/** What the partition cache sees in a query; remembered by text and options. @throws {UnsupportedQueryError} */
export function shapeOf(sql: string, options: QueryOptions): QueryShape {
  checkOptions(sql, options)
  const { partitionKey, params, pureFunctions, catalogue } = options
  return shapes.get(optionsKey(sql, params, { partitionKey, pureFunctions }), catalogue, () => readShape(sql, readingOptions(options)))
}

/**
 * The fragments of a query: questions about some of its tables and conditions, whose answers hold every partition that the query
 * can match. The smaller first. Remembered by text and options.
 *
 * @throws {UnsupportedQueryError} the query's shape cannot be narrowed
 */
export function decompose(sql: string, options: DecomposeOptions): Fragment[] {
  checkOptions(sql, options)
  return [...decompositions.get(optionsKey(sql, options.params, relevant(options)), options.catalogue, () => fragmentsOf(shapeOf(sql, options), options))]
}

/** The options that, beside the parameters, decide what the fragments are; callers pass others along. */
function relevant({ partitionKey, pureFunctions, minComponentSize, maxComponentSize, followGraph, keepAllAttributes, bucketSteps, starJoinTable, recompose,
  addConstraints, removeConstraintsAll, removeConstraintsAdd, maxFragments }: DecomposeOptions): object {
  return { partitionKey, pureFunctions, minComponentSize, maxComponentSize, followGraph, keepAllAttributes, bucketSteps, starJoinTable, recompose,
    addConstraints, removeConstraintsAll, removeConstraintsAdd, maxFragments }
}

function fragmentsOf(shape: QueryShape, options: DecomposeOptions): Fragment[] {
  const { minComponentSize = 1, maxComponentSize = 15, followGraph = true, maxFragments = 256 } = options
  const { tables, keyColumns } = shape
  const plain = shape.conditions.filter(({ kind }) => kind === 'plain')
  const keyed = [...keyColumns.keys()].reduce((mask, table) => mask | 1 << table, 0)
  const star = starOf(shape, plain, options)
  const masks = components({ keyed, followGraph, tables: tables.length, limit: maxFragments, minSize: minComponentSize, maxSize: maxComponentSize,
    edges: plain.map(({ mask }) => mask).filter(mask => (mask & (mask - 1)) !== 0) })
  if (options.recompose === false) {
    const whole = masks.reduce((all, mask) => all | mask, star)
    const parts = variants(whole, shape, plain, options).at(-1) ?? { tables: [shape.anchor.table], conditions: [], keyConditions: [] }
    return [fragmentOf(parts, tables, keyColumns, options.catalogue?.dialect)]
  }
  const found = new Map<string, Fragment>()
  const add = (parts: FragmentParts): void => {
    if (found.size >= maxFragments) return
    const fragment = fragmentOf(parts, tables, keyColumns, options.catalogue?.dialect)
    found.set(fragment.hash, fragment)
  }
  for (const mask of new Set(masks.map(mask => mask | star))) {
    for (const parts of variants(mask, shape, plain, options)) add(parts)
  }
  if (found.size === 0 && minComponentSize <= 1) add({ tables: [shape.anchor.table], conditions: [], keyConditions: [] })
  return [...found.values()]
}

/** The star table's bit, where it restricts anything; without conditions of its own it changes no fragment. */
function starOf({ tables, aliases, keyColumns }: QueryShape, plain: readonly Condition[], { starJoinTable }: DecomposeOptions): number {
  if (starJoinTable === undefined) return 0
  const index = aliases.get(starJoinTable) ?? tables.findIndex(({ name }) => name === starJoinTable)
  return index >= 0 && keyColumns.has(index) && plain.some(({ mask }) => mask === 1 << index) ? 1 << index : 0
}

type OnKey = FragmentParts['keyConditions'][number]

/** A condition on one table's key, to be put on another's. */
function onKey({ expression }: Condition): OnKey {
  return column => expression.k === 'in' ? { ...expression, arg: column } : expression.k === 'cmp' ? { ...expression, left: column } : expression
}

function mentions(expression: Expression, columns: readonly string[]): boolean {
  let found = false
  eachColumn(expression, ({ column }) => { found ||= columns.includes(column) })
  return found
}

/** The forms in which one set of tables is cached. */
function variants(mask: number, shape: QueryShape, plain: readonly Condition[], options: DecomposeOptions): FragmentParts[] {
  const { keepAllAttributes = true, bucketSteps = 0, removeConstraintsAll = [], removeConstraintsAdd = [], addConstraints = {} } = options
  const tables = membersOf(mask)
  const within = plain.filter(condition => (condition.mask & ~mask) === 0)
  let lists: Expression[][] = [within.map(({ expression }) => expression)]
  if (!keepAllAttributes) lists.push(...singleAttributes(tables, within))
  lists = lists.map(list => list.filter(expression => !mentions(expression, removeConstraintsAll)))
  if (removeConstraintsAdd.length > 0) lists = lists.flatMap(list => [list, list.filter(expression => !mentions(expression, removeConstraintsAdd))])
  for (const [table, text] of Object.entries(addConstraints)) lists = lists.flatMap(list => [list, [...list, ...constraintOn(table, text, tables, shape, options)]])
  if (bucketSteps > 0) lists = lists.flatMap(list => [list, list.map(expression => widened(expression, bucketSteps))])
  const keyConditions = shape.conditions.filter(({ kind, expression }) => kind === 'key' && !mentions(expression, removeConstraintsAll)).map(onKey)
  const distinct = new Map(lists.map(list => [list.map(keyOf).sort().join(' AND '), list]))
  return [...distinct.values()].flatMap(conditions => [
    ...(conditions.length > 0 ? [{ tables, conditions, keyConditions: [] }] : []),
    ...(keyConditions.length > 0 && (conditions.length > 0 || tables.length === 1) ? [{ tables, conditions, keyConditions }] : []),
  ])
}

/** For each table with several conditions of its own, each of them without the others. */
function singleAttributes(tables: readonly number[], within: readonly Condition[]): Expression[][] {
  return tables.flatMap(table => {
    const own = within.filter(({ mask }) => mask === 1 << table)
    if (own.length < 2) return []
    const others = within.filter(({ mask }) => mask !== 1 << table)
    return own.map(condition => [condition, ...others].map(({ expression }) => expression))
  })
}

function constraintOn(table: string, text: string, tables: readonly number[], shape: QueryShape, options: DecomposeOptions): Expression[] {
  const targets = tables.filter(index => shape.tables[index]!.name === table || shape.tables[index]!.text === table)
  if (targets.length === 0) return []
  const dialect = options.catalogue?.dialect
  const condition = dialect ? foreignText(text, dialect).spelled : text
  const { conditions } = flatten(parseSelect(`SELECT FROM ${shape.tables[targets[0]!]!.text} WHERE ${condition}`), readingOptions(options))
  return targets.flatMap(target => conditionsOf({ k: 'and', args: conditions }).map(expression => mapColumns(expression, ({ column }) => ({ k: 'col', table: target, column }))))
}

/** `dist(…) < 350.5` → `dist(…) < 351`. */
function widened(expression: Expression, step: number): Expression {
  if (expression.k !== 'cmp' || expression.right.k !== 'num' || (expression.left.k !== 'form' && expression.left.k !== 'op') || expression.op === '=' || expression.op === '<>') return expression
  const text = roundTo(expression.right.text, step, expression.op.startsWith('<'))
  return text === undefined ? expression : { ...expression, right: { k: 'num', text } }
}
