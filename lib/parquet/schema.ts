import { decimalSize, listElement, type ColumnType, type Field } from '../batch/column-type.js'
import type { FileMetaData } from './hyparquet-internals.js'

type SchemaElement = FileMetaData['schema'][number]

/** How a type's values lie in a file. */
export interface PhysicalType {
  type: 'BOOLEAN' | 'INT32' | 'INT64' | 'FLOAT' | 'DOUBLE' | 'BYTE_ARRAY' | 'FIXED_LEN_BYTE_ARRAY'
  /** Bytes per value of PLAIN pages; 0 for bits and variable lengths. */
  width: number
}

type Annotated = Pick<SchemaElement, 'type' | 'type_length' | 'converted_type' | 'logical_type' | 'precision' | 'scale'>

const BYTE_WIDTHS = { BOOLEAN: 0, INT32: 4, INT64: 8, FLOAT: 4, DOUBLE: 8, BYTE_ARRAY: 0, FIXED_LEN_BYTE_ARRAY: 16 } as const

function annotated(type: ColumnType): Annotated {
  const decimal = decimalSize(type)
  if (decimal) {
    const { precision, scale } = decimal
    const logical = { precision, scale, converted_type: 'DECIMAL', logical_type: { type: 'DECIMAL', precision, scale } } as const
    if (precision <= 9) return { type: 'INT32', ...logical }
    return precision <= 18 ? { type: 'INT64', ...logical } : { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, ...logical }
  }
  switch (type) {
    // a column of nulls only needs some type; INT32 is the one every reader takes
    case 'null': return { type: 'INT32' }
    case 'bool': return { type: 'BOOLEAN' }
    // no logical type: hyparquet-writer 0.17.0 writes INTEGER's bit width in a form that DuckDB refuses
    case 'int32': return { type: 'INT32', converted_type: 'INT_32' }
    case 'int64': return { type: 'INT64', converted_type: 'INT_64' }
    case 'float32': return { type: 'FLOAT' }
    case 'float64': return { type: 'DOUBLE' }
    case 'date': return { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } }
    // no converted types for naive times: TIME_MICROS and TIMESTAMP_MICROS mean UTC
    case 'time': return { type: 'INT64', logical_type: { type: 'TIME', isAdjustedToUTC: false, unit: 'MICROS' } }
    case 'timestamp': return { type: 'INT64', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'MICROS' } }
    case 'timestamptz': return { type: 'INT64', converted_type: 'TIMESTAMP_MICROS',
      logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' } }
    case 'uuid': return { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type: { type: 'UUID' } }
    case 'text': return { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }
    case 'json': return { type: 'BYTE_ARRAY', converted_type: 'JSON', logical_type: { type: 'JSON' } }
    case 'bytes': return { type: 'BYTE_ARRAY' }
    default: throw new TypeError(`no Parquet type for ${type}`)
  }
}

/** The physical type of a flat column, or of a list's elements. */
export function physicalType(type: ColumnType): PhysicalType {
  const physical = annotated(listElement(type) ?? type).type as PhysicalType['type']
  return { type: physical, width: BYTE_WIDTHS[physical] }
}

/** Whether a field is OPTIONAL in the file: it has nulls, or it is a column of nulls. */
export function isOptional(field: Field): boolean {
  return field.nullable || field.type === 'null'
}

/** The path of a field's only leaf column. */
export function leafPath(field: Field): string[] {
  return listElement(field.type) === undefined ? [field.name] : [field.name, 'list', 'element']
}

/** The file's schema: the root, then each field with, for lists, its two inner levels. */
export function schemaElements(fields: readonly Field[]): SchemaElement[] {
  const elements: SchemaElement[] = [{ name: 'schema', num_children: fields.length }]
  for (const field of fields) {
    const repetition_type = isOptional(field) ? 'OPTIONAL' : 'REQUIRED'
    const element = listElement(field.type)
    if (element === undefined) elements.push({ name: field.name, repetition_type, ...annotated(field.type) })
    else {
      elements.push({ name: field.name, repetition_type, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'OPTIONAL', ...annotated(element) })
    }
  }
  return elements
}
