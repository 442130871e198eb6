import { compareNumbers } from '../sql/decimal.js'
import { isLiteral, type CompareExpression, type Expression, type Literal, type TextExpression } from '../sql/expression.js'
import { keyOf } from '../sql/normal-form.js'

/** A condition as a list of allowed (or excluded) values. */
interface ValueList { readonly arg: Expression, readonly values: readonly Literal[], readonly negated: boolean }

function listOf(expression: Expression): ValueList | undefined {
  if (expression.k === 'in') return expression
  if (expression.k !== 'cmp' || !isLiteral(expression.right) || (expression.op !== '=' && expression.op !== '<>')) return undefined
  return { arg: expression.left, values: [expression.right], negated: expression.op === '<>' }
}

type Range = CompareExpression & { readonly right: Literal }

function rangeOf(expression: Expression): Range | undefined {
  return expression.k === 'cmp' && isLiteral(expression.right) && expression.op !== '=' && expression.op !== '<>' ? expression as Range : undefined
}

const DATE = /^\d{4}-\d\d-\d\d$/
// 24:00 and second 60 are left out: they are other times' second names
const MOMENT = /^(\d{4}-\d\d-\d\d)[ T]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?)( ?(?:Z|[+-]\d\d(?::?\d\d)?))?$/
/** Types that read all of a time; a column of dates reads the day alone. */
const EXACT_TYPES: ReadonlySet<string | undefined> = new Set(['"timestamp"', 'timestamptz'])
/** No change of the clock moves two local times past each other that lie this far apart. */
const SAFE_GAP_MS = 26 * 3600 * 1000

/**
 * How two quoted times follow on each other, whether a column holds dates, timestamps with or without a zone, or texts.
 * Undefined where that is not certain.
 */
function compareTimes(a: TextExpression, b: TextExpression): number | undefined {
  if (a.type !== b.type || a.value.length !== b.value.length) return undefined
  if (a.value === b.value) return 0
  const order = a.value < b.value ? -1 : 1
  if (DATE.test(a.value) && DATE.test(b.value)) return order
  const [left, right] = [MOMENT.exec(a.value), MOMENT.exec(b.value)]
  if (!left || !right || left[3] !== right[3] || a.value[10] !== b.value[10]) return undefined
  if (EXACT_TYPES.has(a.type)) return order
  const gap = Math.abs(Date.parse(`${left[1]!}T${left[2]!}Z`) - Date.parse(`${right[1]!}T${right[2]!}Z`))
  return gap >= SAFE_GAP_MS ? order : undefined
}

function compareLiterals(a: Literal, b: Literal): number | undefined {
  if (a.k === 'num' && b.k === 'num') {
    const order = compareNumbers(a.text, b.text)
    // two numbers that a double cannot tell apart are one number to a column of doubles
    return order !== 0 && Number(a.text) === Number(b.text) ? undefined : order
  }
  return a.k === 'text' && b.k === 'text' ? compareTimes(a, b) : undefined
}

/** Whether a value lies in a range. */
function isWithin(value: Literal, { op, right }: Range): boolean | undefined {
  const order = compareLiterals(value, right)
  if (order === undefined) return undefined
  return op === '<' ? order < 0 : op === '<=' ? order <= 0 : op === '>' ? order > 0 : order >= 0
}

function rangeImplies(known: Range, wanted: Range): boolean {
  if (known.op[0] !== wanted.op[0]) return false
  const order = compareLiterals(known.right, wanted.right)
  if (order === undefined) return false
  if (order === 0) return known.op === wanted.op || wanted.op.length === 2
  return known.op.startsWith('<') ? order < 0 : order > 0
}

function listImplies(known: ValueList, wanted: Expression): boolean {
  const list = listOf(wanted)
  const values = new Set(known.values.map(keyOf))
  if (list) {
    if (!known.negated && !list.negated) {
      const allowed = new Set(list.values.map(keyOf))
      return known.values.every(value => allowed.has(keyOf(value)))
    }
    if (known.negated && list.negated) return list.values.every(value => values.has(keyOf(value)))
    // different numbers are different, different texts need not be (citext, collations)
    return list.negated && known.values.every(value => value.k === 'num' && list.values.every(other => other.k === 'num' && (compareLiterals(value, other) ?? 0) !== 0))
  }
  const range = rangeOf(wanted)
  return range !== undefined && !known.negated && known.values.every(value => isWithin(value, range) === true)
}

function atomImplies(known: Expression, wanted: Expression): boolean {
  const list = listOf(known)
  const range = rangeOf(known)
  const arg = list?.arg ?? range?.left
  if (!arg) return false
  if (wanted.k === 'isnull') return wanted.negated && keyOf(wanted.arg) === keyOf(arg)
  const wantedArg = listOf(wanted)?.arg ?? rangeOf(wanted)?.left
  if (!wantedArg || keyOf(wantedArg) !== keyOf(arg)) return false
  if (list) return listImplies(list, wanted)
  const wantedRange = rangeOf(wanted)
  if (wantedRange) return rangeImplies(range!, wantedRange)
  const wantedList = listOf(wanted)!
  return wantedList.negated && wantedList.values.every(value => value.k === 'num' && isWithin(value, range!) === false)
}

/**
 * Whether every row that fulfils `known` fulfils `wanted`; false where that is not certain.
 *
 * Numbers are ordered alike in every numeric type, and so are ISO dates in every type that takes them. Of other texts only equality is used.
 */
export function implies(known: Expression, wanted: Expression): boolean {
  if (keyOf(known) === keyOf(wanted)) return true
  if (known.k === 'or') return known.args.every(arg => implies(arg, wanted))
  if (wanted.k === 'and') return wanted.args.every(arg => implies(known, arg))
  if (wanted.k === 'or' && wanted.args.some(arg => implies(known, arg))) return true
  if (known.k === 'and') return known.args.some(arg => implies(arg, wanted))
  return atomImplies(known, wanted)
}
