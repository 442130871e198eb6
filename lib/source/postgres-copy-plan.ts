import { idOf, type IdArray } from '../batch/ids.js'
import { InvalidArgumentError } from '../errors.js'
import type { TableName } from '../store/table-name.js'
import type { CopyForm } from './copy-columns.js'
import { RepeatedValues } from './copy-repeated.js'
import { idTypeOf, type PgTable } from './postgres-catalogue.js'
import type { FetchPlan, Output } from './postgres-plan.js'
import { escapedJson, pathSql, quoteIdentifier } from './postgres-sql.js'
import { jsonKind, type PgTypes } from './postgres-types.js'

/** A fetch by COPY, decided. */
export interface CopyPlan {
  /** A statement that describes the columns and keeps them from being altered until the second one, the COPY, is done. */
  text: string
  /** How each of the plan's outputs is read; `printed`: as the text that the server prints. */
  forms: readonly (CopyForm | 'printed')[]
  /** What is known of each output's values from other fetches. */
  repeated: readonly RepeatedValues[]
}

const FORMS: ReadonlyMap<number, CopyForm> = new Map<number, CopyForm>([
  [16, 'bool'], [17, 'bytes'], [20, 'int8'], [21, 'int2'], [23, 'int4'], [26, 'oid'], [700, 'float4'], [701, 'float8'], [1082, 'date'], [1083, 'time'],
  [1114, 'timestamp'], [1184, 'timestamp'], [2950, 'uuid'], [1700, 'numeric'], [3802, 'jsonb'], [114, 'bytes'], [25, 'bytes'], [1043, 'bytes'], [1042, 'bytes'], [19, 'bytes'],
])

/** Keys that mean nothing but themselves inside quotes inside an array's text inside a literal. */
const PLAIN_KEY = /^[\p{L}\p{N}_-]+$/u

/**
 * Ids as digits, with commas between: the one place where values become part of a statement's text, since COPY takes no parameters.
 *
 * @throws {InvalidArgumentError} something is no int64
 */
export function idDigits(ids: IdArray): string {
  for (const id of ids) if (idOf(id) === undefined) throw new InvalidArgumentError({ argument: 'ids', expected: 'integers of 64 bits', found: String(id) })
  return ids.join(',')
}

/** What the type's own output function prints. (A cast would take the blanks of char(n) and add a mask to inet; a row of nulls IS NULL.) */
function printed(column: string): string {
  return `CASE WHEN ${column} IS DISTINCT FROM NULL THEN pg_catalog.concat(${column}) END`
}

function formOf(output: Output, types: PgTypes): CopyForm | 'printed' {
  switch (output.kind) {
    case 'id': return FORMS.get(output.oid)!
    case 'column': return output.as.isDeclared ? 'printed' : FORMS.get(output.oid) ?? (types.get(output.oid)?.sendsText ? 'bytes' : 'printed')
    case 'path': case 'escaped': return 'bytes'
  }
}

/** As long as a table is looked at the same way. */
const repeatedValues = new WeakMap<PgTable, Map<string, RepeatedValues>>()

function repeatedIn(table: PgTable, outputs: readonly Output[]): RepeatedValues[] {
  const known = repeatedValues.get(table) ?? new Map<string, RepeatedValues>()
  repeatedValues.set(table, known)
  return outputs.map(({ kind, name }) => {
    const key = `${kind} ${name}`
    const repeated = known.get(key) ?? new RepeatedValues()
    known.set(key, repeated)
    return repeated
  })
}

/**
 * Which ids. An array that the planner can see it weighs element by element, which takes longer than reading the rows; one from a sub-select
 * it does not, and expects few: right for an index, but without one it would be searched from its start for every row of the table.
 */
function whereOf({ ids, isRange }: FetchPlan, type: string, isIndexed: boolean): string {
  if (isRange) return `BETWEEN '${idDigits(ids.subarray(0, 1))}'::${type} AND '${idDigits(ids.subarray(-1))}'::${type}`
  const array = `'{${idDigits(ids)}}'::${type}[]`
  return isIndexed ? `= ANY ((SELECT ${array})::${type}[])` : `= ANY (${array})`
}

/**
 * Decide how a planned fetch is made by COPY; undefined where it cannot be: the server's texts may be no UTF-8, or a JSON path has keys
 * that are left to parameters. Pure.
 */
export function planCopy(table: PgTable, { schema, table: name }: TableName, plan: FetchPlan, types: PgTypes): CopyPlan | undefined {
  if (!table.isUtf8) return undefined
  if (plan.outputs.some(output => output.kind === 'path' && !output.path.keys.every(key => PLAIN_KEY.test(key)))) return undefined
  const forms = plan.outputs.map(output => formOf(output, types))
  const described: string[] = []
  const selected = plan.outputs.map((output, at) => {
    if (output.kind === 'path') return pathSql(quoteIdentifier(output.path.base), jsonKind(table.columns.get(output.path.base)!.oid, types)!, output.path.keys, value => `'${value}'`)
    const column = quoteIdentifier(output.name)
    if (output.kind === 'escaped') return escapedJson(column)
    described.push(column)
    return forms[at] === 'printed' ? printed(column) : column
  })
  const [{ name: idName }] = plan.outputs as [Output]
  const id = quoteIdentifier(idName)
  // a search path may have other types of these names
  const where = whereOf(plan, `pg_catalog.${idTypeOf(table.columns.get(idName)!, idName, types).name}`, table.columns.get(idName)!.isIndexed)
  const from = `FROM ${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
  const text = `SELECT ${described.join(', ')} ${from} LIMIT 0; COPY (SELECT ${selected.join(', ')} ${from} WHERE ${id} ${where}) TO STDOUT (FORMAT binary)`
  return { text, forms, repeated: repeatedIn(table, plan.outputs) }
}
