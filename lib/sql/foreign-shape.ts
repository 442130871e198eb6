import { UnsupportedQueryError } from '../errors.js'
import { MYSQL_WORDS } from './mysql-words.js'
import { queryShape, type QueryShape } from './query-shape.js'

/** The SQL that is judged here beside PostgreSQL's. */
export type ForeignSql = 'mysql' | 'sqlite'

/** What PostgreSQL's grammar makes function calls of, though they are words of SQL. */
const SQL_SYNTAX: ReadonlySet<string> = new Set(['btrim', 'ltrim', 'rtrim', 'extract', 'substring', 'position', 'overlay'])

/** Functions of both that give the same answer for the same arguments, in every session, and are no aggregates with any number of arguments. */
const PURE = `abs acos asin atan atan2 ceil ceiling char_length coalesce concat concat_ws cos degrees exp floor hex instr length ln log log10 log2 lower
ltrim mod nullif octet_length pi pow power radians replace round rtrim sign sin sqrt substr substring tan trim upper`
const PURE_OF: Record<ForeignSql, ReadonlySet<string>> = {
  mysql: new Set(`${PURE} adddate ascii bin bit_count bit_length char character_length conv crc32 date date_add date_format date_sub datediff day dayname dayofmonth dayofweek
dayofyear elt field find_in_set from_base64 from_days hour if ifnull inet_aton inet_ntoa json_array json_contains json_extract json_keys json_length json_object json_quote json_type
json_unquote json_valid json_value last_day lcase left locate lpad makedate maketime md5 microsecond mid minute month monthname oct ord period_add period_diff quarter quote repeat
reverse right rpad second sec_to_time sha1 sha2 soundex space str_to_date strcmp subdate substring_index time timediff time_to_sec to_base64 to_days to_seconds truncate ucase unhex week weekday
weekofyear year yearweek`.split(/\s+/)),
  sqlite: new Set(`${PURE} glob ifnull iif json json_array json_array_length json_extract json_object json_quote json_type json_valid like nullif printf format quote soundex typeof unhex unicode
unistr trunc char`.split(/\s+/))
}

function refuse(construct: string, reason: string, position?: number): UnsupportedQueryError {
  return new UnsupportedQueryError({ construct, reason, ...(position === undefined ? {} : { position }) })
}

const DIFFERENT = 'it means something else, or nothing, to the grammar that statements are judged by'

/**
 * The same statement in PostgreSQL's spelling, byte for byte as long: quoted names in double quotes, a constant for each parameter.
 * Whatever the two would read differently is refused.
 */
export function respell(sql: string, dialect: ForeignSql): string {
  const out = sql.split('')
  /** From an opening quote to its end; a doubled quote stands for itself. */
  const quoted = (from: number, mark: string): number => {
    for (let at = from + 1; at < sql.length; at++) {
      if (sql[at] === '\\' && dialect === 'mysql') throw refuse('a backslash', DIFFERENT, at)
      if (sql[at] !== mark) continue
      if (sql[at + 1] === mark) at++
      else return at
    }
    throw refuse(mark, 'it is not closed', from)
  }
  for (let at = 0; at < sql.length; at++) {
    const [char, next] = [sql[at]!, sql[at + 1] ?? '']
    if ((char === "'" || char === '"') && /[\w&$\u0080-\uffff]/.test(sql[at - 1] ?? '')) throw refuse('a prefixed text', DIFFERENT, at)
    if (char === "'" || (char === '"' && dialect === 'sqlite')) at = quoted(at, char)
    else if (char === '`') {
      const end = quoted(at, '`')
      if (/["`]/.test(sql.slice(at + 1, end))) throw refuse('a quote inside a name', DIFFERENT, at)
      out[at] = out[end] = '"'
      at = end
    } else if (char === '-' && next === '-') {
      // MySQL takes 1--1 for 1 - -1
      if (dialect === 'mysql' && /\S/.test(sql[at + 2] ?? '')) throw refuse('--', `${DIFFERENT} without a blank behind it`, at)
      const end = sql.indexOf('\n', at)
      const comment = sql.slice(at, end === -1 ? sql.length : end)
      if (/\r(?!$)/.test(comment)) throw refuse('a carriage return in a comment', DIFFERENT, at)
      at += comment.length
    } else if (char === '/' && next === '*') {
      const end = sql.indexOf('*/', at + 2)
      const comment = sql.slice(at + 2, end === -1 ? sql.length : end)
      if (end === -1 || comment.includes('/*')) throw refuse('a comment', 'it is not closed, or holds another', at)
      if (/^(!|M!|\+)/.test(comment)) throw refuse('a comment that the server reads', DIFFERENT, at)
      at = end + 1
    } else if (char === '?') {
      if (/[\w?&|@#~^!<>=*+/%-]/.test(next)) throw refuse('?', 'parameters are bare question marks, with a blank around them', at)
      out[at] = '0'
    } else if (/["\\#$@:[\]{}]/.test(char)) throw refuse(char, DIFFERENT, at)
    else if (/[A-Za-z_\u0080-\uffff]/.test(char)) {
      const [word] = /^[\w\u0080-\uffff]+/.exec(sql.slice(at))!
      if (dialect === 'mysql' && MYSQL_WORDS.has(word.toUpperCase()) && sql[at + word.length] !== '(') throw refuse(word.toUpperCase(), DIFFERENT, at)
      if (/^pg_/i.test(word)) throw refuse(word, DIFFERENT, at)
      at += word.length - 1
    }
  }
  return out.join('')
}

/** Whether a function, as PostgreSQL's grammar names it, gives the same answer for the same arguments in every session. */
export function isPureFunction(schema: string | undefined, name: string, dialect: ForeignSql): boolean {
  return schema === undefined ? PURE_OF[dialect].has(name) : schema === 'pg_catalog' && SQL_SYNTAX.has(name)
}

/**
 * Judge a MySQL or SQLite statement: it must be one that PostgreSQL's grammar reads as well, token for token the same, without
 * anything that stands in the way there, and with known functions only. Much that would be safe is refused.
 *
 * @returns names are in lower case, as PostgreSQL folds them; relations are for the catalogue to judge
 * @throws {UnsupportedQueryError} names the first construct that stands in the way, and where
 */
export async function foreignShape(sql: string, dialect: ForeignSql): Promise<QueryShape> {
  const spelled = respell(sql, dialect)
  const shape = await queryShape(spelled, sql)
  for (const { schema, name, position } of shape.functions) {
    const isCalled = position !== undefined && new RegExp(`^"?${name}"?\\(`, 'i').test(spelled.slice(position))
    if (!isPureFunction(schema, name, dialect) || (schema === undefined && !isCalled)) throw refuse(`the function ${name}()`, 'it may give other values each time, or stand for many rows', position)
  }
  return shape
}
