/**
 * Dates, times and timestamps as exact integers, and back to the text PostgreSQL prints with `DateStyle = ISO`.
 *
 * Days count from 1970-01-01, microseconds from 1970-01-01T00:00:00 (UTC for `timestamptz`, unzoned for `timestamp`).
 * Years are proleptic Gregorian; text before year 1 ends in ` BC`. ±infinity are the limits of the integer, as PostgreSQL
 * stores them. Civil-day arithmetic: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
 */

export const DATE_INFINITY = 2147483647
export const DATE_MINUS_INFINITY = -2147483648
export const TIMESTAMP_INFINITY = 9223372036854775807n
export const TIMESTAMP_MINUS_INFINITY = -9223372036854775808n

const MICROS_PER_DAY = 86_400_000_000n
/** A `Date` reaches 100,000,000 days either side of 1970. */
const MAX_DATE_MS = 8_640_000_000_000_000

function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const era = Math.floor(y / 400)
  const yearOfEra = y - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719468
}

function civilFromDays(days: number): { year: number, month: number, day: number } {
  const z = days + 719468
  const era = Math.floor(z / 146097)
  const dayOfEra = z - era * 146097
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shifted = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shifted < 10 ? shifted + 3 : shifted - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1 }
}

const pad2 = (value: number): string => value < 10 ? `0${value}` : String(value)

function parseDays(year: string, month: string, day: string, bc: boolean): number | undefined {
  const [y, m, d] = [Number(year), Number(month), Number(day)]
  if (m < 1 || m > 12 || d < 1 || y < 1) return undefined
  const days = daysFromCivil(bc ? 1 - y : y, m, d)
  const back = civilFromDays(days)
  return back.day === d && back.month === m ? days : undefined
}

/** `2024-02-29`, `0044-03-15 BC`, `infinity` → days since 1970; undefined where the text is no such date. */
export function parseDate(text: string): number | undefined {
  if (text === 'infinity') return DATE_INFINITY
  if (text === '-infinity') return DATE_MINUS_INFINITY
  const match = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/.exec(text)
  return match ? parseDays(match[1]!, match[2]!, match[3]!, match[4] !== undefined) : undefined
}

/** Days since 1970 → the text PostgreSQL prints. */
export function formatDate(days: number): string {
  if (days === DATE_INFINITY) return 'infinity'
  if (days === DATE_MINUS_INFINITY) return '-infinity'
  const { year, month, day } = civilFromDays(days)
  const shown = year <= 0 ? 1 - year : year
  return `${String(shown).padStart(4, '0')}-${pad2(month)}-${pad2(day)}${year <= 0 ? ' BC' : ''}`
}

function fractionMicros(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.padEnd(6, '0'))
}

/** `12:34:56.789` → microseconds since midnight (24:00:00 included); undefined where the text is no such time. */
export function parseTime(text: string): bigint | undefined {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/.exec(text)
  if (!match) return undefined
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fractionMicros(match[4])
  return minute < 60 && second < 60 && micros <= 86_400_000_000 ? BigInt(micros) : undefined
}

function formatDayMicros(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000)
  const fraction = micros % 1_000_000
  const clock = `${pad2(Math.floor(seconds / 3600))}:${pad2(Math.floor(seconds / 60) % 60)}:${pad2(seconds % 60)}`
  return fraction === 0 ? clock : `${clock}.${String(fraction).padStart(6, '0').replace(/0+$/, '')}`
}

/** Microseconds since midnight → the text PostgreSQL prints. */
export function formatTime(micros: bigint): string {
  return formatDayMicros(Number(micros))
}

const TIMESTAMP = /^(\d{4,7})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})0*)?)?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?( BC)?$/

/**
 * `2024-01-02 03:04:05.678901`, with or without an offset (`+00`, `Z`, `-03:30`), `… BC`, `±infinity` → microseconds since
 * 1970. A missing offset means UTC. Undefined where the text is no timestamp, finer than microseconds or beyond the int64 range.
 */
export function parseTimestamp(text: string): bigint | undefined {
  if (text === 'infinity') return TIMESTAMP_INFINITY
  if (text === '-infinity') return TIMESTAMP_MINUS_INFINITY
  const match = TIMESTAMP.exec(text)
  if (!match) return undefined
  const days = parseDays(match[1]!, match[2]!, match[3]!, match[9] !== undefined)
  const [hour, minute, second] = [Number(match[4]), Number(match[5]), Number(match[6] ?? 0)]
  if (days === undefined || minute > 59 || second > 59) return undefined
  // 24:00:00 is the next day's start, as PostgreSQL reads it; nothing later is a time
  if (hour > 24 || (hour === 24 && (minute > 0 || second > 0 || fractionMicros(match[7]) > 0))) return undefined
  let clock = (hour * 60 + minute) * 60 + second
  const zone = match[8]
  if (zone !== undefined && zone !== 'Z') {
    const digits = zone.slice(1).replaceAll(':', '')
    const offset = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2, 4) || 0) * 60 + Number(digits.slice(4, 6) || 0)
    clock -= zone.startsWith('-') ? -offset : offset
  }
  const micros = BigInt(days) * MICROS_PER_DAY + BigInt(clock * 1_000_000 + fractionMicros(match[7]))
  return micros < TIMESTAMP_INFINITY && micros > TIMESTAMP_MINUS_INFINITY ? micros : undefined
}

/** Microseconds since 1970 → the text PostgreSQL prints; `zone` is appended (`+00` for timestamptz in UTC). */
export function formatTimestamp(micros: bigint, zone = ''): string {
  if (micros === TIMESTAMP_INFINITY) return 'infinity'
  if (micros === TIMESTAMP_MINUS_INFINITY) return '-infinity'
  let days = micros / MICROS_PER_DAY
  let rest = micros % MICROS_PER_DAY
  if (rest < 0n) {
    rest += MICROS_PER_DAY
    days -= 1n
  }
  const date = formatDate(Number(days))
  const [day, era] = date.endsWith(' BC') ? [date.slice(0, -3), ' BC'] : [date, '']
  return `${day} ${formatDayMicros(Number(rest))}${zone}${era}`
}

/**
 * Microseconds since 1970 → what a row holds: a `Date` (which keeps milliseconds, rounded down), or PostgreSQL's text for
 * ±infinity and for years a `Date` does not reach.
 */
export function timestampCell(micros: bigint, zone = ''): Date | string {
  // floor, not truncate: -1 µs is still in the last millisecond of 1969
  const ms = Number(micros >= 0n ? micros / 1000n : (micros - 999n) / 1000n)
  return Math.abs(ms) <= MAX_DATE_MS ? new Date(ms) : formatTimestamp(micros, zone)
}
