import { InvalidArgumentError } from '../errors.js'

// Every keyword that cannot stand as a column or table name unquoted, or not everywhere. Quoting one too many is harmless.
const KEYWORDS = new Set((`all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
character check coalesce collate collation column concurrently constraint create cross current_catalog current_date current_role
current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract
false fetch float for foreign freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into
is isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value
lateral leading least left like limit localtime localtimestamp merge_action national natural nchar none normalize not notnull null nullif numeric
offset on only or order out outer overlaps overlay placing position precision primary real references returning right row select session_user
setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim true union unique user
using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse
xmlpi xmlroot xmlserialize xmltable`).split(/\s+/))

const MAX_IDENTIFIER_BYTES = 63

/**
 * An identifier as PostgreSQL reads it back, quoted where it must be.
 *
 * @throws {InvalidArgumentError} empty, with NUL, or longer than the 63 bytes that PostgreSQL keeps
 */
export function quoteIdentifier(name: string): string {
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new InvalidArgumentError({ argument: 'identifier', expected: `1 to ${MAX_IDENTIFIER_BYTES} bytes without NUL`, found: JSON.stringify(name.slice(0, 80)) })
  }
  return /^[a-z_][a-z0-9_]*$/.test(name) && !KEYWORDS.has(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/**
 * A text as a literal that reads the same whatever `standard_conforming_strings` says.
 *
 * @throws {InvalidArgumentError} the text holds NUL, which PostgreSQL cannot
 */
export function quoteText(text: string): string {
  if (text.includes('\0')) throw new InvalidArgumentError({ argument: 'text', expected: 'no NUL character', found: JSON.stringify(text.slice(0, 80)) })
  const doubled = text.replaceAll("'", "''")
  return text.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}

/** Texts as PostgreSQL's array literal: `{"a","b"}`, to be quoted as a text itself. */
export function arrayLiteral(texts: Iterable<string>): string {
  const items: string[] = []
  for (const text of texts) items.push(/^[\w.+:-]+$/.test(text) && !/^null$/i.test(text) ? text : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
  return `{${items.join(',')}}`
}
