import { createHash } from 'node:crypto'
import { InvalidArgumentError } from '../errors.js'

/** Both parts of `schema.table`, exactly as given: never case-folded, never normalised. */
export interface TableName {
  schema: string
  table: string
}

/** Longer directory names keep this many bytes and end in a hash. */
const MAX_NAME_BYTES = 120

/** `part`, or `"part with "" and ."`, at the start of the text; the rest after it. */
function takePart(text: string): { part: string, rest: string } | undefined {
  if (!text.startsWith('"')) {
    const dot = text.indexOf('.')
    const part = dot === -1 ? text : text.slice(0, dot)
    return part === '' || part.includes('"') ? undefined : { part, rest: text.slice(part.length) }
  }
  let part = ''
  for (let i = 1; i < text.length; i++) {
    if (text[i] !== '"') part += text[i]!
    else if (text[i + 1] === '"') part += text[i++]!
    else return part === '' ? undefined : { part, rest: text.slice(i + 1) }
  }
  return undefined
}

/**
 * Take `'schema.table'` apart. A part that contains dots or quotes is written in double quotes, a quote inside it twice:
 * `'"we.ird"."t"'`.
 *
 * @throws {InvalidArgumentError} no schema, more than two parts, an empty part, a NUL character
 */
export function parseTableName(name: unknown): TableName {
  const refuse = (expected: string): InvalidArgumentError => new InvalidArgumentError({ argument: 'table', expected,
    found: typeof name === 'string' ? JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name) : typeof name })
  if (typeof name !== 'string') throw refuse("'schema.table'")
  if (name.includes('\0')) throw refuse('a name without NUL characters')
  if (!name.isWellFormed()) throw refuse('a name without lone surrogates')
  const first = takePart(name)
  const second = first?.rest.startsWith('.') ? takePart(first.rest.slice(1)) : undefined
  if (!first || !second || second.rest !== '') {
    throw refuse("'schema.table' (parts that contain dots or quotes in double quotes)")
  }
  return { schema: first.part, table: second.part }
}

/** The one text of a table name: parts with dots or quotes are quoted, others are not. */
export function formatTableName({ schema, table }: TableName): string {
  const quote = (part: string): string => /[."]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part
  return `${quote(schema)}.${quote(table)}`
}

/** Percent-encode everything outside `[a-z0-9_-]`, upper case too: file systems may not tell it apart. */
function encodePart(part: string): string {
  let encoded = ''
  for (const byte of Buffer.from(part, 'utf8')) {
    const char = String.fromCharCode(byte)
    encoded += /[a-z0-9_-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/**
 * The name of a table's folder: reversible, unique per (namespace, schema, table, id column), safe on every file system. Names above
 * 120 bytes are cut and end in a hash; the manifest holds the real name, which readers compare.
 */
export function tableFolder({ schema, table }: TableName, namespace = '', idColumn = 'id'): string {
  const parts = [schema, table, ...(namespace === '' ? [] : [namespace])]
  // rows of one table by another id column are another cache; `=` is never part of an encoded name
  const folder = parts.map(encodePart).join('.') + (idColumn === 'id' ? '' : `=${encodePart(idColumn)}`)
  // DOS device names are reserved with any ending, so `con.x` is escaped as well
  const safe = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/.test(folder) ? `%${folder.charCodeAt(0).toString(16).toUpperCase()}${folder.slice(1)}` : folder
  if (Buffer.byteLength(safe) <= MAX_NAME_BYTES) return safe
  const hash = createHash('sha256').update(JSON.stringify([...parts, { idColumn }])).digest('hex').slice(0, 32)
  return `${safe.slice(0, MAX_NAME_BYTES - hash.length - 1).replace(/%.?$/, '')}~${hash}`
}
