import { UnsupportedQueryError } from '../errors.js'
import { foreignShape } from '../sql/foreign-shape.js'
import { quoteMySql } from './mysql-sql.js'
import { overlapDigits, overlapMicros, overlapNumber } from './overlap-micros.js'
import type { DescribedColumn, JudgedQuery, SourceSnapshot, SqlDialect } from './snapshot.js'

const RELATION = `SELECT TABLE_TYPE AS kind FROM information_schema.TABLES WHERE LOWER(TABLE_NAME) = ? AND LOWER(TABLE_SCHEMA) = COALESCE(?, LOWER(DATABASE()))`

const isInteger = ({ type }: DescribedColumn): boolean => type === 'int32' || type === 'int64'
const isDecimal = ({ type }: DescribedColumn): boolean => type.startsWith('decimal(')
const isFloat = ({ type }: DescribedColumn): boolean => type === 'float32' || type === 'float64'
const isTimestamp = ({ type }: DescribedColumn): boolean => type === 'timestamp' || type === 'timestamptz'
const isOrdered = (column: DescribedColumn): boolean => isInteger(column) || isDecimal(column) || isFloat(column) || isTimestamp(column) || column.type === 'date'

async function judge(sql: string, snapshot: SourceSnapshot): Promise<JudgedQuery> {
  const shape = await foreignShape(sql, 'mysql')
  for (const { schema, name, position } of shape.relations) {
    const kinds: unknown[] = []
    const params = [name.toLowerCase(), schema?.toLowerCase() ?? null]
    for await (const batch of snapshot.query(RELATION, { params })) kinds.push(...batch.toRows().map(row => row['kind']))
    const isOwn = schema === undefined && shape.ownRelations.includes(name)
    if ((kinds.length > 0 || isOwn) && kinds.every(kind => kind === 'BASE TABLE')) continue
    throw new UnsupportedQueryError({ construct: kinds.length === 0 ? `the unknown table ${name}` : `${name}, a ${String(kinds[0]).toLowerCase()},`,
      reason: 'only tables are known to keep their rows: name those behind it', ...(position === undefined ? {} : { position }) })
  }
  return { text: shape.text, sort: shape.sort }
}

/**
 * MySQL's and MariaDB's spelling. Texts are no order here: under most collations ones that look different are equal. A `FLOAT` is
 * compared and printed as the double it is.
 */
export const mysqlDialect: SqlDialect = {
  name: 'mysql',
  hasNumberedParameters: false,
  quote: quoteMySql,
  orderBy: (expression, column) => isOrdered(column) ? column.type === 'float32' ? `(${expression} + 0e0)` : expression : undefined,
  toText: (expression, column) => column.type === 'bytes' ? `HEX(${expression})` : `CAST(${column.type === 'float32' ? `(${expression} + 0e0)` : expression} AS CHAR)`,
  fromText(placeholder, column) {
    if (isInteger(column)) return `CAST(${placeholder} AS SIGNED)`
    if (isDecimal(column)) return `CAST(${placeholder} AS ${column.sqlType})`
    if (isFloat(column)) return `CAST(${placeholder} AS DOUBLE)`
    if (isTimestamp(column)) return `CAST(${placeholder} AS DATETIME(6))`
    if (column.type === 'date') return `CAST(${placeholder} AS DATE)`
    // bits compare as a number, which bytes are not
    if (column.origin?.startsWith('bit(')) return `CAST(CONV(${placeholder}, 16, 10) AS UNSIGNED)`
    return column.type === 'bytes' ? `UNHEX(${placeholder})` : placeholder
  },
  less(value, overlap, column) {
    if (isTimestamp(column)) return `CAST(${value} - INTERVAL ${overlap} MICROSECOND AS DATETIME(6))`
    // the day on which the overlap begins
    if (column.type === 'date') return `CAST(CAST(${value} AS DATETIME(6)) - INTERVAL ${overlap} MICROSECOND AS DATE)`
    if (isInteger(column)) return `(${value} - CAST(${overlap} AS SIGNED))`
    if (isDecimal(column)) return `(${value} - CAST(${overlap} AS ${column.sqlType}))`
    return isFloat(column) ? `(${value} - CAST(${overlap} AS DOUBLE))` : undefined
  },
  overlap: (text, column) => isTimestamp(column) || column.type === 'date' ? String(overlapMicros(text)) : isInteger(column) ? overlapDigits(text) : overlapNumber(text),
  judge,
}
