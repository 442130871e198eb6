import type { ColumnType } from '../batch/column-type.js'

/** A column of an answer, as the driver hands it out: the wire's type code, flags and lengths. */
export interface MySqlField {
  readonly name: string
  readonly columnType: number
  readonly flags: number
  readonly columnLength: number
  readonly decimals: number
  readonly characterSet: number
  /** MariaDB's name of a type that has no code of its own: `uuid`, `inet6`. */
  readonly extendedTypeName?: string | undefined
  /** MariaDB's JSON is text with this mark. */
  readonly extendedFormat?: string | undefined
}

/** How a column is read. */
export interface MySqlReader {
  type: ColumnType
  origin?: string | undefined
  /** The type as casts take it, as far as values of it are ordered and compared here. */
  sqlType: string
  /** What the driver must be kept from interpreting: JSON as text, geometries as bytes, decimals as text. */
  raw?: 'text' | 'ascii' | 'bytes' | undefined
}

const [UNSIGNED, ENUM, SET] = [32, 256, 2048]
const BINARY_CHARACTERS = 63

/** MySQL's DECIMAL has up to 65 digits, ours 38. */
function decimalReader({ columnLength, decimals, flags }: MySqlField): MySqlReader {
  const precision = columnLength - (decimals > 0 ? 1 : 0) - (flags & UNSIGNED ? 0 : 1)
  const sqlType = `DECIMAL(${precision},${decimals})`
  const fits = precision >= 1 && precision <= 38 && decimals <= precision
  return fits ? { type: `decimal(${precision},${decimals})`, sqlType, raw: 'ascii' } : { type: 'text', origin: 'decimal', sqlType, raw: 'ascii' }
}

/**
 * How a column of an answer is read: exact types, and text or bytes with their origin for what has none. Decided by the column alone,
 * never by its values.
 */
export function mysqlReader(field: MySqlField): MySqlReader {
  const unsigned = (field.flags & UNSIGNED) !== 0
  if (field.extendedFormat === 'json') return { type: 'json', sqlType: 'JSON', raw: 'text' }
  switch (field.columnType) {
    case 1: case 2: case 9: case 13: return { type: 'int32', sqlType: 'SIGNED' } // TINY, SHORT, INT24, YEAR
    case 3: return { type: unsigned ? 'int64' : 'int32', sqlType: 'SIGNED' }
    case 8: return { type: 'int64', sqlType: 'SIGNED', ...(unsigned ? { origin: 'bigint unsigned' } : {}) }
    case 4: return { type: 'float32', sqlType: 'FLOAT' }
    case 5: return { type: 'float64', sqlType: 'DOUBLE' }
    case 0: case 246: return decimalReader(field)
    case 10: case 14: return { type: 'date', sqlType: 'DATE' }
    case 12: return { type: 'timestamp', sqlType: 'DATETIME' }
    case 7: return { type: 'timestamptz', sqlType: 'TIMESTAMP' }
    // -838:59:59 to 838:59:59 is a span, and no time of day
    case 11: return { type: 'text', origin: 'time', sqlType: 'TIME' }
    case 16: return { type: 'bytes', origin: `bit(${field.columnLength})`, sqlType: 'BIT' }
    case 245: return { type: 'json', sqlType: 'JSON', raw: 'text' }
    case 255: return { type: 'bytes', origin: field.extendedTypeName ?? 'geometry', sqlType: 'GEOMETRY', raw: 'bytes' }
    case 242: return { type: 'bytes', origin: 'vector', sqlType: 'VECTOR', raw: 'bytes' }
    case 6: return { type: 'text', sqlType: 'NULL' }
    case 247: return { type: 'text', origin: 'enum', sqlType: 'ENUM' }
    case 248: return { type: 'text', origin: 'set', sqlType: 'SET' }
    default:
      if (field.extendedTypeName === 'uuid') return { type: 'uuid', sqlType: 'UUID' }
      if (field.flags & ENUM) return { type: 'text', origin: 'enum', sqlType: 'ENUM' }
      if (field.flags & SET) return { type: 'text', origin: 'set', sqlType: 'SET' }
      return field.characterSet === BINARY_CHARACTERS ? { type: 'bytes', sqlType: 'BINARY' }
        : { type: 'text', sqlType: 'CHAR', ...(field.extendedTypeName ? { origin: field.extendedTypeName } : {}) }
  }
}

/** The values an id column can hold, or undefined for a column that holds no integers. */
export function idRange({ columnType, flags }: MySqlField): { min: bigint, max: bigint } | undefined {
  const bits = new Map([[1, 8n], [2, 16n], [9, 24n], [3, 32n], [8, 64n]]).get(columnType)
  if (bits === undefined) return undefined
  if (flags & UNSIGNED) return { min: 0n, max: bits === 64n ? 2n ** 63n - 1n : 2n ** bits - 1n }
  return { min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }
}
