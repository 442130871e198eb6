/** Random schemas, data and queries for the partition cache's property test. Everything follows from a seed. */
import { quoteIdentifier } from '../../../lib/sql/quote.js'
import type { Datatype } from '../../../lib/partition/key-types.js'
import type { Random } from '../../support/random.js'

type Kind = 'int' | 'real' | 'double' | 'numeric' | 'text' | 'timestamp' | 'timestamptz' | 'date' | 'bool'

interface ColumnOf { readonly name: string, readonly type: string, readonly kind: Kind }

export interface RandomTable {
  readonly name: string
  readonly columns: readonly ColumnOf[]
  /** The column that holds the partition key; a table without one has its own name for it, or none. */
  readonly keyColumn: string | undefined
}

export interface World {
  readonly partitionKey: string
  readonly keyType: string
  readonly datatype: Datatype
  readonly keys: readonly string[]
  readonly tables: readonly RandomTable[]
  readonly statements: readonly string[]
}

const KEY_TYPES: readonly { type: string, datatype: Datatype, keys: readonly string[] }[] = [
  { type: 'int4', datatype: 'integer', keys: ['0', '1', '2', '3', '4', '5', '-1', '-7', '1000', '2147483647', '10', '11'] },
  { type: 'int8', datatype: 'integer', keys: ['0', '1', '2', '3', '-5', '4294967296', '9007199254740993', '12', '13', '14'] },
  { type: 'text', datatype: 'text', keys: ["''", "'a'", "'A'", "'it''s'", "'b\"c'", "E'd\\\\e'", "'a,b'", "'null'", "'é'", "' a '", "'1'"] },
  { type: 'varchar(20)', datatype: 'text', keys: ["'north'", "'south'", "'East'", "''", "'x y'", "'{}'"] },
  { type: 'char(6)', datatype: 'text', keys: ["'n'", "'south'", "'East'", "'x y'", "'q'"] },
  { type: 'timestamp', datatype: 'timestamp', keys: ["'2024-01-01'", "'2024-01-01 00:00:00.000001'", "'2024-02-03 04:05:06'", "'1969-12-31 23:59:59.999'", "'infinity'"] },
  { type: 'timestamptz', datatype: 'timestamp', keys: ["'2024-01-01 00:00+00'", "'2024-01-01 00:00+02'", "'2024-07-03 04:05:06+00'", "'2030-01-01 00:00+00'"] },
  { type: 'float8', datatype: 'float', keys: ['0', '1.5', '-2.25', '0.1', '1e100', "'NaN'", '3', '4'] },
  { type: 'float4', datatype: 'float', keys: ['0', '1.1', '-2.25', '0.1', '7.7', '3', '4'] },
  { type: 'date', datatype: 'timestamp', keys: ["'2024-01-01'", "'2024-02-29'", "'1999-12-31'", "'2030-06-06'"] },
  { type: 'uuid', datatype: 'text', keys: ["'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'", "'abcdefab-0000-0000-0000-000000000003'"] },
]

const KEY_NAMES = ['region_id', 'id', 'user_id', 'Region', 'a key', 'order', 'k', 'partition_key']
const TABLE_NAMES = ['poi', 'users', 'Poi', 'my table', 'regions', 't1', 's1', 'select']

/** Columns of every kind; the names contain the partition key's as substrings. */
function columnsFor(random: Random, partitionKey: string): ColumnOf[] {
  const all: ColumnOf[] = [
    { name: 'x', type: 'int4', kind: 'int' }, { name: 'y', type: 'int8', kind: 'int' }, { name: 'r', type: 'float4', kind: 'real' },
    { name: 'd', type: 'float8', kind: 'double' }, { name: 'n', type: 'numeric', kind: 'numeric' }, { name: 'name', type: 'text', kind: 'text' },
    { name: 'Type', type: 'varchar(10)', kind: 'text' }, { name: 'ts', type: 'timestamp', kind: 'timestamp' }, { name: 'tz', type: 'timestamptz', kind: 'timestamptz' },
    { name: 'day', type: 'date', kind: 'date' }, { name: 'flag', type: 'bool', kind: 'bool' },
    { name: `${partitionKey}s`, type: 'int4', kind: 'int' }, { name: `my_${partitionKey}`, type: 'int4', kind: 'int' },
  ]
  const keep = 4 + random.below(5)
  const [x, ...others] = all
  for (let i = others.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [others[i], others[j]] = [others[j]!, others[i]!]
  }
  return [x!, ...others.slice(0, keep)]
}

const VALUES: Record<Kind, readonly string[]> = {
  int: ['0', '1', '2', '3', '4', '5', '6', '-1', '-3'],
  real: ['0', '0.1', '1.1', '2.5', '5.1', '-1.5', '16777217'],
  double: ['0', '0.1', '1.1', '2.5', '5.1', '-1.5'],
  numeric: ['0', '0.10', '1.1', '2.5', '5.10', '-1.5', '4.0'],
  text: ["'a'", "'b'", "'c'", "'ab'", "''", "'it''s'", "'A'", "'5'"],
  timestamp: ["'2024-01-01'", "'2024-01-02 10:00:00'", "'2024-02-01 00:00:00.5'", "'2023-06-01'"],
  timestamptz: ["'2024-01-01 00:00:00+00'", "'2024-01-02 10:00:00+02'", "'2024-02-01 00:00:00+00'"],
  date: ["'2024-01-01'", "'2024-01-02'", "'2024-02-01'", "'2023-06-01'"],
  bool: ['true', 'false'],
}

export function randomWorld(random: Random): World {
  const partitionKey = random.pick(KEY_NAMES)
  const { type, datatype, keys } = random.pick(KEY_TYPES)
  const names = [...TABLE_NAMES]
  const tables: RandomTable[] = []
  const statements: string[] = []
  const count = 2 + random.below(3)
  for (let t = 0; t < count; t++) {
    const [name] = names.splice(random.below(names.length), 1) as [string]
    const kind = t === 0 ? 0 : random.below(8)
    const keyColumn = kind < 6 ? partitionKey : kind === 6 ? 'code' : undefined
    const columns = columnsFor(random, partitionKey)
    tables.push({ name, columns, keyColumn })
    const isNotNull = random.chance(0.3)
    const definitions = [...(keyColumn ? [`${quoteIdentifier(keyColumn)} ${type}${isNotNull ? ' NOT NULL' : ''}`] : []), ...columns.map(column => `${quoteIdentifier(column.name)} ${column.type}`)]
    statements.push(`CREATE TABLE ${quoteIdentifier(name)} (${definitions.join(', ')})`)
    const rows = Array.from({ length: 5 + random.below(40) }, () => {
      const key = keyColumn ? [!isNotNull && random.chance(0.1) ? 'NULL' : random.pick(keys)] : []
      return `(${[...key, ...columns.map(column => random.chance(0.15) ? 'NULL' : random.pick(VALUES[column.kind]))].join(', ')})`
    })
    statements.push(`INSERT INTO ${quoteIdentifier(name)} VALUES ${rows.join(', ')}`)
  }
  return { partitionKey, keyType: type, datatype, keys, tables, statements }
}

export interface RandomQuery { readonly sql: string, readonly params: readonly unknown[] }

interface Item { readonly table: RandomTable, readonly alias: string }

/** The parts of a query that variants of it share. */
export interface QueryPlan {
  readonly items: readonly Item[]
  readonly ties: readonly string[]
  readonly conditions: readonly Condition[]
  readonly style: number
}

/** A condition, and wider and narrower ones. */
interface Condition { readonly text: string, readonly wider?: string | undefined, readonly narrower?: string | undefined }

const ALIASES = ['a', 'b', 'c', 'd', 'A', 't1', 't2', 's1', 'x y', 'poi']

function column(item: Item, name: string): string {
  return `${quoteIdentifier(item.alias)}.${quoteIdentifier(name)}`
}

function columnOfKind(random: Random, item: Item, kinds: readonly Kind[]): ColumnOf | undefined {
  const fitting = item.table.columns.filter(({ kind }) => kinds.includes(kind))
  return fitting.length === 0 ? undefined : random.pick(fitting)
}

const NUMBERS: readonly Kind[] = ['int', 'real', 'double', 'numeric']

/** A condition on one item. */
function localCondition(random: Random, item: Item, world: World, depth = 0): Condition {
  const { name, kind } = random.pick(item.table.columns)
  const at = column(item, name)
  const value = (): string => random.pick(VALUES[kind])
  const isOrdered = kind !== 'bool'
  switch (random.below(depth > 1 ? 9 : 18)) {
    case 0: case 1: {
      const list = [value(), value(), value()]
      return { text: `${at} IN (${list.slice(0, 2).join(', ')})`, wider: `${at} IN (${list.join(', ')})`, narrower: `${at} = ${list[0]!}` }
    }
    case 2: case 3: {
      if (!NUMBERS.includes(kind)) return { text: `${at} = ${value()}` }
      const limit = random.below(6)
      const op = random.pick(['<', '<=', '>', '>='])
      const step = op.startsWith('<') ? 1 : -1
      const flipped = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }[op]!
      const write = (n: number): string => random.chance(0.3) ? `${n} ${flipped} ${at}` : `${at} ${op} ${random.chance(0.2) ? n.toFixed(1) : random.chance(0.1) ? `${n - 1} + 1` : n}`
      return { text: write(limit), wider: write(limit + step * (1 + random.below(2))), narrower: write(limit - step) }
    }
    case 4: {
      if (!isOrdered) return { text: random.pick([at, `NOT ${at}`, `${at} IS TRUE`, `${at} = false`]) }
      const [low, high] = [value(), value()]
      return { text: random.chance(0.5) ? `${at} BETWEEN ${low} AND ${high}` : `${at} >= ${low} AND ${at} <= ${high}`, wider: `${at} >= ${low}` }
    }
    case 5: return { text: `${at} IS ${random.chance(0.7) ? 'NOT ' : ''}NULL` }
    case 6: return { text: `${at} <> ${value()}` }
    case 7: {
      if (kind !== 'text') return { text: `${at} = ${value()}` }
      return { text: random.pick([`${at} LIKE 'a%'`, `lower(${at}) = 'a'`, `${at} || 'x' = 'ax'`, `length(${at}) > 1`, `${at} ~ 'b'`, `${at} NOT LIKE '%b'`, `${at} >= 'a'`]) }
    }
    case 8: return { text: `NOT (${at} = ${value()} OR ${at} IS NULL)` }
    case 9: case 10: {
      const parts = Array.from({ length: 2 + random.below(2) }, () => localCondition(random, item, world, depth + 1))
      const wider = [...parts, localCondition(random, item, world, depth + 1)]
      const join = (list: readonly Condition[]): string => `(${list.map(({ text }) => random.chance(0.3) ? `(${text})` : text).join(' OR ')})`
      return { text: join(parts), wider: join(wider), narrower: parts[0]!.text }
    }
    case 11: {
      const other = localCondition(random, item, world, depth + 1)
      const third = localCondition(random, item, world, depth + 1)
      const base = localCondition(random, item, world, depth + 1)
      return { text: `((${base.text} AND ${other.text}) OR (${base.text} AND ${third.text}))`, wider: base.text }
    }
    case 12: return { text: random.pick([`coalesce(${at}, ${value()}) = ${value()}`, `CASE WHEN ${at} IS NULL THEN true ELSE false END`, `${at} IS DISTINCT FROM ${value()}`]) }
    case 13: return { text: subqueryCondition(random, item, world) }
    case 15: {
      if (!NUMBERS.includes(kind)) return { text: `${at} IN (${value()}, NULL)`, narrower: `${at} = ${value()}` }
      const limit = random.pick(['1', '1.0', '0.5', '2'])
      return { text: random.pick([`${at} / 2 > ${limit}`, `${at} / 2.0 > ${limit}`, `${at} * 1.5 <= ${limit}`, `greatest(${at}, 1.0) / 2 > ${limit}`, `-(${at}) < ${limit}`, `${at} - -1.5 > ${limit}`]) }
    }
    case 16: return { text: random.pick([`${at} NOT IN (${value()}, NULL)`, `NOT (${at} IN (${value()}, NULL) AND ${at} = ${value()})`, `${at} NOT IN (${value()}, ${value()})`]) }
    case 17: {
      if (!isOrdered) return { text: `(${at} AND ${at} IS NOT FALSE) IS NOT TRUE` }
      const not = random.chance(0.4) ? 'NOT ' : ''
      return { text: `${at} ${not}BETWEEN SYMMETRIC ${value()} AND ${value()}` }
    }
    default: return keyCondition(random, item, world)
  }
}

function keyCondition(random: Random, item: Item, world: World): Condition {
  const { keyColumn } = item.table
  if (keyColumn === undefined) return { text: 'true' }
  const at = column(item, keyColumn)
  const [a, b, c] = [random.pick(world.keys), random.pick(world.keys), random.pick(world.keys)]
  return random.pick<Condition>([
    { text: `${at} IN (${a}, ${b})`, wider: `${at} IN (${a}, ${b}, ${c})`, narrower: `${at} = ${a}` },
    { text: `${at} NOT IN (${a}, ${b})`, wider: `${at} <> ${a}` }, { text: `${at} = ${a}` },
    ...(world.keyType === 'uuid' ? [] : [{ text: `${at} >= ${a}` }, { text: `${at} BETWEEN ${a} AND ${b}` }]), { text: `${at} IS NOT NULL` },
  ])
}

function subqueryCondition(random: Random, item: Item, world: World): string {
  const table = random.pick(world.tables)
  const inner: Item = { table, alias: random.pick(['q', 'a', 't1', 's1', 'b']) }
  const from = `${quoteIdentifier(table.name)} AS ${quoteIdentifier(inner.alias)}`
  const isSame = inner.alias === item.alias
  const own = localCondition(random, inner, world, 3).text
  const { keyColumn } = item.table
  const innerKey = table.keyColumn
  if (keyColumn && innerKey && random.chance(0.4)) {
    return `${column(item, keyColumn)} ${random.chance(0.25) ? 'NOT IN' : 'IN'} (SELECT ${column(inner, innerKey)} FROM ${from} WHERE ${own}${random.chance(0.3) ? ` AND ${column(inner, innerKey)} IS NOT NULL` : ''})`
  }
  const link = isSame ? 'x = x' : random.chance(0.5) && keyColumn && innerKey ? `${column(inner, innerKey)} = ${column(item, keyColumn)}` : `${column(inner, 'x')} = ${column(item, 'x')}`
  return random.pick([
    `EXISTS (SELECT 1 FROM ${from} WHERE ${link} AND ${own})`, `NOT EXISTS (SELECT 1 FROM ${from} WHERE ${link} AND ${own})`,
    `${column(item, 'x')} IN (SELECT ${column(inner, 'x')} FROM ${from} WHERE ${own})`, `${column(item, 'x')} >= (SELECT min(${column(inner, 'x')}) FROM ${from} WHERE ${own})`,
    `${column(item, 'x')} = ANY (SELECT ${column(inner, 'x')} FROM ${from})`, `EXISTS (SELECT count(*) FROM ${from} WHERE ${own})`,
    `${column(item, 'x')} < ALL (SELECT ${column(inner, 'x')} FROM ${from} WHERE ${own})`,
  ])
}

function crossCondition(random: Random, left: Item, right: Item): Condition {
  const [a, b] = [columnOfKind(random, left, NUMBERS), columnOfKind(random, right, NUMBERS)]
  const [x, y] = [column(left, a!.name), column(right, b!.name)]
  const limit = random.below(5)
  return random.pick<Condition>([
    { text: `${x} = ${y}` }, { text: `${x} < ${y}` }, { text: `${y} >= ${x}` }, { text: `${x} <> ${y}` },
    { text: `abs(${x} - ${y}) < ${limit}`, wider: `abs(${x} - ${y}) < ${limit + 1}`, narrower: `abs(${x} - ${y}) < ${limit - 1}` },
    { text: `dist(${x}, ${y}) <= ${limit}`, wider: `dist(${x}, ${y}) <= ${limit + 2}`, narrower: `dist(${x}, ${y}) <= ${limit / 2}` },
    { text: `(${x} = 1 OR ${y} > 2)`, narrower: `${x} = 1` }, { text: `(${x} + ${y} > ${limit} OR ${x} IS NULL)` },
    { text: `((${x} = 1 AND ${y} = 2) OR (${x} = 2 AND ${y} = 1))`, wider: `${x} IN (1, 2)` },
  ])
}

export function randomPlan(random: Random, world: World): QueryPlan {
  const size = random.pick([1, 1, 1, 2, 2, 2, 3, 3, 4])
  const aliases = [...ALIASES]
  const items = Array.from({ length: size }, (_, i): Item => {
    const keyed = world.tables.filter(({ keyColumn }) => keyColumn === world.partitionKey)
    const table = i === 0 || random.chance(0.75) ? random.pick(keyed) : random.pick(world.tables)
    return { table, alias: aliases.splice(random.below(aliases.length), 1)[0]! }
  })
  const ties: string[] = []
  for (let i = 1; i < size; i++) {
    const [from, to] = [items[random.below(i)]!, items[i]!]
    if (from.table.keyColumn && to.table.keyColumn && random.chance(0.85)) {
      const sides = [column(from, from.table.keyColumn), column(to, to.table.keyColumn)]
      ties.push((random.chance(0.5) ? sides : sides.reverse()).join(' = '))
    } else ties.push(`${column(from, 'x')} = ${column(to, 'x')}`)
  }
  const conditions = items.flatMap(item => Array.from({ length: random.below(3) }, () => localCondition(random, item, world)))
  for (let i = 1; i < size; i++) if (random.chance(0.5)) conditions.push(crossCondition(random, items[random.below(i)]!, items[i]!))
  if (conditions.length === 0) conditions.push(localCondition(random, items[0]!, world))
  return { items, ties, conditions, style: random.below(1000) }
}

/** A query that asks for less, in most ways: more conditions, narrower ones. */
export function narrowerPlan(random: Random, world: World, plan: QueryPlan): QueryPlan {
  const conditions = plan.conditions.map(condition => condition.narrower !== undefined && random.chance(0.5) ? { text: condition.narrower } : condition)
  if (random.chance(0.6)) conditions.push(localCondition(random, random.pick(plan.items), world))
  return { ...plan, conditions, style: random.below(1000) }
}

/** One that asks for more: fewer conditions, wider ones. */
export function widerPlan(random: Random, plan: QueryPlan): QueryPlan {
  const conditions = plan.conditions.filter(() => random.chance(0.8)).map(condition => condition.wider !== undefined && random.chance(0.6) ? { text: condition.wider } : condition)
  return { ...plan, conditions, style: random.below(1000) }
}

/** Renames aliases and shuffles what has no order. */
function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const list = [...items]
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [list[i], list[j]] = [list[j]!, list[i]!]
  }
  return list
}

function fromItem({ table, alias }: Item, random: Random): string {
  const name = quoteIdentifier(table.name)
  if (random.chance(0.06)) return `(SELECT * FROM ${name}) AS ${quoteIdentifier(alias)}`
  if (random.chance(0.06)) return `(SELECT z.* FROM ${name} z WHERE z.x IS NOT NULL) ${quoteIdentifier(alias)}`
  return `${name} ${random.chance(0.5) ? 'AS ' : ''}${quoteIdentifier(alias)}`
}

/** Turns some numbers of a text into parameters. */
function withParameters(sql: string, random: Random): RandomQuery {
  if (!random.chance(0.3)) return { sql, params: [] }
  const params: unknown[] = []
  const text = sql.replace(/ (=|<|>|<=|>=|<>) (-?\d+(?:\.\d+)?|'[a-z]+')(?=[ )]|$)/g, (whole, op: string, value: string) => {
    if (!random.chance(0.4)) return whole
    params.push(value.startsWith("'") ? value.slice(1, -1) : Number(value))
    return ` ${op} $${params.length}`
  })
  return { sql: text, params }
}

export function writeQuery(random: Random, { items, ties, conditions }: QueryPlan, world: World): RandomQuery {
  const where = conditions.map(({ text }) => text)
  let from: string
  if (random.chance(0.45)) {
    // explicit joins, in the order in which the ties were made
    const [first, ...others] = items
    from = fromItem(first!, random)
    for (const [i, item] of others.entries()) {
      const isLeft = random.chance(0.08)
      const on = isLeft ? ties[i]! : random.chance(0.9) ? ties[i]! : undefined
      if (on === undefined) {
        from += ` CROSS JOIN ${fromItem(item, random)}`
        where.push(ties[i]!)
      } else from += ` ${isLeft ? 'LEFT JOIN' : random.pick(['JOIN', 'INNER JOIN'])} ${fromItem(item, random)} ON ${on}`
    }
  } else {
    from = shuffled(random, items).map(item => fromItem(item, random)).join(', ')
    where.push(...ties)
  }
  const [first] = items
  const text = shuffled(random, where).join(random.chance(0.1) ? ' /* and */ AND ' : ' AND ')
  const clause = text === '' ? '' : ` WHERE ${text}`
  const key = column(first!, world.partitionKey)
  const all = items.map(item => column(item, 'x')).join(', ')
  switch (random.below(14)) {
    case 0: return withParameters(`SELECT DISTINCT ${key} FROM ${from}${clause}`, random)
    case 1: return withParameters(`SELECT ${key}, count(*) FROM ${from}${clause} GROUP BY ${key}`, random)
    case 2: return withParameters(`SELECT ${all}, ${key} FROM ${from}${clause} ORDER BY 1 -- a comment`, random)
    case 3: return withParameters(`WITH q AS (SELECT ${key} AS ${quoteIdentifier(world.partitionKey)}, ${column(first!, 'x')} AS x FROM ${from}${clause}) SELECT * FROM q WHERE x >= 0`, random)
    case 4: return withParameters(`SELECT v.x FROM (SELECT ${key}, ${column(first!, 'x')} FROM ${from}${clause}) v WHERE v.x < 5`, random)
    case 5: return withParameters(`SELECT ${all}, row_number() OVER (PARTITION BY ${key} ORDER BY ${items.map(({ alias }) => `(${quoteIdentifier(alias)}.*)::text`).join(', ')}) FROM ${from}${clause}`, random)
    case 6: return random.chance(0.3) ? { sql: `SELECT count(*) FROM ${from}${clause}`, params: [] } : withParameters(`SELECT ${all} FROM ${from}${clause}`, random)
    case 7: return random.chance(0.3) ? { sql: `SELECT ${all} FROM ${from}${clause} UNION ALL SELECT ${all} FROM ${from}`, params: [] } : withParameters(`SELECT ${all} FROM ${from}${clause}`, random)
    case 8: return withParameters(`SELECT max(${column(first!, 'x')}), ${key} FROM ${from}${clause} GROUP BY ${key} HAVING count(*) > 1`, random)
    default: return withParameters(`SELECT * FROM ${from}${clause}`, random)
  }
}

