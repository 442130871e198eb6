/** Which comparisons of times are the same in every session, whatever its time zone. */
import { isLiteral, type Expression } from '../sql/expression.js'

const ZONED: ReadonlySet<string> = new Set(['timestamptz', 'timetz'])
const TIMES: ReadonlySet<string> = new Set(['date', 'timestamp', 'timestamptz', 'time', 'timetz', 'interval'])
/** Types with times in them: ranges, and what the catalogue calls 'timed' (domains, arrays, rows). How their texts are read is not looked into. */
const TIMED: ReadonlySet<string> = new Set(['timed', 'daterange', 'tsrange', 'tstzrange', 'datemultirange', 'tsmultirange', 'tstzmultirange'])

const ISO_TIME = /^\d{4,}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?$/
const ISO_INSTANT = /^\d{4,}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)? ?(?:Z|[+-]\d\d(?::?\d\d)?)$/

/** Whether a type's values are times, so that a session can decide what becomes of them. */
export function isTimeType(type: string | undefined): type is string {
  return type !== undefined && (TIMES.has(type) || TIMED.has(type))
}

/** Whether a quoted time is read the same in every session where a `type` is wanted. */
export function isSteadyTime(text: string, type: string): boolean {
  if (TIMED.has(type)) return false
  return ZONED.has(type) ? ISO_INSTANT.test(text) : ISO_TIME.test(text) || (type !== 'time' && type !== 'interval' && ISO_INSTANT.test(text))
}

/** The time type that a typed literal is of. */
export function timeTypeOf(value: Expression): string | undefined {
  const type = value.k === 'text' ? value.type?.replaceAll('"', '').replace(/\(.*/, '') : undefined
  return isTimeType(type) ? type : undefined
}

function isSteadyPartner(type: string, value: Expression, valueType: string | undefined): boolean {
  if (value.k === 'null') return true
  if (TIMED.has(type)) return false
  if (value.k === 'col') return ZONED.has(type) === ZONED.has(valueType ?? type)
  if (value.k !== 'text') return false
  return value.type === undefined ? isSteadyTime(value.value, type) : ZONED.has(type) === ZONED.has(timeTypeOf(value) ?? '')
}

/** Whether comparing `arg` with `value` gives the same in every session; `type` and `valueType` are those of the columns among them. */
export function isSteadyComparison(arg: Expression, type: string | undefined, value: Expression, valueType: string | undefined): boolean {
  if (isTimeType(type)) return isSteadyPartner(type, value, valueType)
  // a time literal says what the other side is taken for
  return timeTypeOf(value) === undefined || arg.k === 'col' || isLiteral(arg)
}
