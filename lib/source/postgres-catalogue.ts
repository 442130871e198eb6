import { ColumnNotFoundError, InvalidArgumentError } from '../errors.js'
import { formatTableName, type TableName } from '../store/table-name.js'
import type { PgClient } from './postgres-session.js'
import { baseType, ID_TYPES, readAs, unknownTypes, type PgTypes } from './postgres-types.js'

/** One column of a table, as the catalogue has it. */
export interface PgColumn {
  oid: number
  modifier: number
  dimensions: number
  /** The first column of an index that has every row. */
  isIndexed: boolean
}

/** What a fetch has to know about a table. */
export interface PgTable {
  /** The name in messages. */
  name: string
  columns: ReadonlyMap<string, PgColumn>
  /** The database keeps UTF-8: its texts are sure to be. */
  isUtf8: boolean
  /** How often this table was looked up: prepared statements of an older look are never used again. */
  version: number
}

const COLUMNS = `SELECT a.attname, a.atttypid, a.atttypmod, a.attndims, pg_catalog.getdatabaseencoding(),
    EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum AND i.indisvalid AND i.indpred IS NULL)
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`

// 12: functions built into the server, which citext has as well; only true arrays have elements to us: point, name and int2vector have a typelem too, but print otherwise
const TYPES = `SELECT t.oid, t.typname, t.typbasetype, t.typtypmod, t.typdelim,
    CASE WHEN t.typlen = -1 AND t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc THEN t.typelem ELSE 0 END,
    (SELECT pg_catalog.count(*) = 2 FROM pg_catalog.pg_proc p WHERE p.oid IN (t.typoutput, t.typsend) AND p.prolang = 12
      AND p.prosrc IN ('textout', 'textsend', 'enum_out', 'enum_send'))
  FROM pg_catalog.pg_type t WHERE t.oid = ANY ($1::pg_catalog.oid[])`

async function rowsOf(client: PgClient, text: string, params: unknown[]): Promise<(string | null)[][]> {
  const { rows } = await client.query({ text, values: params, rowMode: 'array', types: { getTypeParser: () => (value: string) => value } })
  return rows as (string | null)[][]
}

/** Learn the types of these OIDs, and of what they are made of. One round trip per level; none where all are known. */
export async function learnTypes(client: PgClient, oids: Iterable<number>, types: PgTypes): Promise<void> {
  let unknown = unknownTypes(oids, types)
  while (unknown.length > 0) {
    const rows = await rowsOf(client, TYPES, [`{${unknown.join(',')}}`])
    const next: number[] = []
    for (const [oid, name, base, modifier, delimiter, element, sendsText] of rows) {
      const type = { name: name!, base: Number(base), baseModifier: Number(modifier), element: Number(element), delimiter: delimiter!,
        sendsText: sendsText === 't' }
      types.set(Number(oid), type)
      next.push(type.base, type.element)
    }
    // an OID that pg_type lacks would be asked for for ever
    for (const oid of unknown) if (!types.has(oid)) types.set(oid, { name: `oid ${oid}`, base: 0, baseModifier: -1, element: 0, delimiter: ',', sendsText: false })
    unknown = unknownTypes(next, types)
  }
}

/**
 * Look a table up by its exact name, and its columns' types.
 *
 * @throws {InvalidArgumentError} there is no such table, or the role may not see it
 */
export async function lookUpTable(client: PgClient, table: TableName, types: PgTypes, version: number): Promise<PgTable> {
  const name = formatTableName(table)
  const rows = await rowsOf(client, COLUMNS, [table.schema, table.table])
  if (rows.length === 0) {
    throw new InvalidArgumentError({ argument: 'table', expected: 'a table or view of the database', found: `no ${name}` })
  }
  const columns = new Map<string, PgColumn>()
  for (const [column, oid, modifier, dimensions, , isIndexed] of rows) {
    if (column !== null) columns.set(column!, { oid: Number(oid), modifier: Number(modifier), dimensions: Number(dimensions), isIndexed: isIndexed === 't' })
  }
  await learnTypes(client, [...columns.values()].map(column => column.oid), types)
  return { name, columns, version, isUtf8: rows[0]![4] === 'UTF8' }
}

/** The columns of these names, or the error that names every missing one. */
export function columnsOf(table: PgTable, names: readonly string[]): PgColumn[] {
  const missing = names.filter(name => !table.columns.has(name))
  if (missing.length > 0) throw new ColumnNotFoundError({ table: table.name, columns: [...new Set(missing)] })
  return names.map(name => table.columns.get(name)!)
}

/** The integer type of an id column. */
export function idTypeOf(column: PgColumn, name: string, types: PgTypes): { name: string, min: bigint, max: bigint } {
  const { oid } = baseType(column.oid, column.modifier, types)
  const type = ID_TYPES.get(oid)
  if (type) return type
  const found = readAs(oid, -1, types)
  throw new InvalidArgumentError({ argument: 'idColumn', expected: 'a column of type smallint, integer, bigint or oid',
    found: `${name} of type ${found.origin ?? found.type}` })
}
