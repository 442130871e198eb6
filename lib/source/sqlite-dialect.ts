import { UnsupportedQueryError } from '../errors.js'
import { foreignShape } from '../sql/foreign-shape.js'
import { overlapDigits, overlapMicros, overlapNumber } from './overlap-micros.js'
import { quoteIdentifier } from './postgres-sql.js'
import type { DescribedColumn, JudgedQuery, SourceSnapshot, SqlDialect } from './snapshot.js'

const TABLES = 'SELECT type FROM pragma_table_list WHERE lower(name) = ? AND lower(schema) = coalesce(?, lower(schema))'
const REPLACED = 'SELECT name FROM pragma_function_list WHERE lower(name) = ? AND builtin = 0'

async function answers(snapshot: SourceSnapshot, sql: string, params: readonly unknown[]): Promise<unknown[]> {
  const values: unknown[] = []
  for await (const batch of snapshot.query(sql, { params })) values.push(...batch.toRows().map(row => Object.values(row)[0]))
  return values
}

async function judge(sql: string, snapshot: SourceSnapshot): Promise<JudgedQuery> {
  const shape = await foreignShape(sql, 'sqlite')
  for (const { schema, name, position } of shape.relations) {
    const kinds = await answers(snapshot, TABLES, [name.toLowerCase(), schema?.toLowerCase() ?? null])
    const isOwn = schema === undefined && shape.ownRelations.includes(name)
    if ((kinds.length > 0 || isOwn) && kinds.every(kind => kind === 'table')) continue
    throw new UnsupportedQueryError({ construct: kinds.length === 0 ? `the unknown table ${name}` : `${name}, a ${String(kinds[0])},`,
      reason: 'only tables are known to keep their rows: name those behind it', ...(position === undefined ? {} : { position }) })
  }
  for (const { name, position } of shape.functions) {
    const replaced = await answers(snapshot, REPLACED, [name])
    if (replaced.length > 0) throw new UnsupportedQueryError({ construct: `the function ${name}()`, reason: 'this connection has one of its own under that name', ...(position === undefined ? {} : { position }) })
  }
  return { text: shape.text, sort: shape.sort }
}

const isText = ({ type, sqlType }: DescribedColumn): boolean => type === 'text' && (sqlType === '' || /CHAR|CLOB|TEXT/.test(sqlType))

/** A time's text without what makes equal times differ: `T`, `Z` and zeros at the end of a fraction. */
function plainTime(expression: string): string {
  const text = `replace(replace(${expression}, 'T', ' '), 'Z', '')`
  return `CASE WHEN instr(${text}, '.') > 0 THEN rtrim(rtrim(${text}, '0'), '.') ELSE ${text} END`
}

/** SQLite's spelling. Texts are ordered by their bytes, whatever collation the column has. */
export const sqliteDialect: SqlDialect = {
  name: 'sqlite',
  hasNumberedParameters: false,
  quote: quoteIdentifier,
  orderBy(expression, column) {
    if (column.type === 'int64' || column.type === 'float64') return expression
    if (column.type === 'timestamp') return `(${plainTime(expression)})`
    return column.type === 'date' || isText(column) ? `${expression} COLLATE BINARY` : undefined
  },
  // a real is no text here: SQLite prints 15 digits, JS what reads back exactly
  toText: (expression, column) => column.type === 'timestamp' ? `(${plainTime(expression)})` : column.type === 'bytes' ? `hex(${expression})` : expression,
  fromText: (placeholder, column) => column.type === 'bytes' ? `unhex(${placeholder})` : placeholder,
  parameter: (text, column) => column.type === 'int64' ? BigInt(text) : column.type === 'float64' ? Number(text) : text,
  less(value, overlap, column) {
    if (column.type === 'timestamp') return `strftime('%Y-%m-%d %H:%M:%f', ${value}, ${overlap})`
    if (column.type === 'date') return `date(${value}, ${overlap})`
    return column.type === 'int64' || column.type === 'float64' ? `(${value} - ${overlap})` : undefined
  },
  overlap(text, column) {
    // SQLite reckons in milliseconds: two more, so that its rounding never leaves a row out
    if (column.type === 'timestamp') return `-${((Math.ceil(overlapMicros(text) / 1000) + 2) / 1000).toFixed(3)} seconds`
    if (column.type === 'date') return `-${Math.ceil(overlapMicros(text) / 86_400e6)} days`
    return column.type === 'int64' ? BigInt(overlapDigits(text)) : Number(overlapNumber(text))
  },
  judge,
}
