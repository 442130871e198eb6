import { compareNumbers, foldNumbers, isExactReal } from './decimal.js'
import { isConstant, isLiteral, mirrored, opposite, printExpression, type Expression, type InExpression, type Literal, type NumberExpression } from './expression.js'

const TRUE: Expression = { k: 'bool', value: true }
const FALSE: Expression = { k: 'bool', value: false }

/** Conjunctions of disjunctions grow exponentially: past this many parts a condition stays as it is. */
const MAX_CLAUSES = 32

function bool(value: boolean): Expression {
  return value ? TRUE : FALSE
}

/** A text that two expressions share when they mean the same. */
export function keyOf(expression: Expression): string {
  return printExpression(expression, ({ table, column }) => `${table}.${JSON.stringify(column)}`)
}

function unique(expressions: readonly Expression[]): Expression[] {
  return [...new Map(expressions.map(expression => [keyOf(expression), expression])).values()]
}

/** `a AND b`, flattened; constants leave or decide. */
export function conjunction(args: readonly Expression[]): Expression {
  const flat = unique(args.flatMap(arg => arg.k === 'and' ? arg.args : [arg])).filter(arg => !(arg.k === 'bool' && arg.value))
  if (flat.some(arg => arg.k === 'bool')) return FALSE
  return flat.length === 0 ? TRUE : flat.length === 1 ? flat[0]! : { k: 'and', args: flat }
}

/** Whether literals are of one kind, so that one list of them compares as each of them would. */
export function areAlike(values: readonly Literal[]): boolean {
  const [first] = values
  return values.every(value => value.k === first?.k && (value.k === 'num' || value.type === (first as typeof value).type))
}

/**
 * Whether `x IN (a, b)` means `x = a OR x = b` for every x. Of numbers that a `real` does not hold exactly it does not: a column of
 * that type is compared with a list in single precision, with one number in double precision.
 */
export function isPlainMember(value: Literal): boolean {
  return value.k === 'text' || isExactReal(value.text)
}

/** Whether a text is one value to every text type: `char(n)` ignores blanks at the end, `name` cuts at 64 bytes. */
export function isPlainText(text: string): boolean {
  return !text.endsWith(' ') && Buffer.byteLength(text) < 64
}

/** `x IN (…)` in its shortest form. `values` hold no NULL; one value alone is an equality, the same one twice may not be. */
export function membership(arg: Expression, values: readonly Literal[], negated: boolean): Expression {
  if (values.length === 0) return bool(negated)
  const distinct = [...new Map(values.map(value => [keyOf(value), value])).values()]
  const [first] = distinct as [Literal, ...Literal[]]
  if (distinct.length === 1 && (values.length === 1 || isPlainMember(first))) return comparison(negated ? '<>' : '=', arg, first)
  if (isConstant(arg) || !areAlike(distinct)) {
    const parts = distinct.map(value => comparison(negated ? '<>' : '=', arg, value))
    return negated ? conjunction(parts) : disjunction(parts)
  }
  return { k: 'in', arg, values: distinct, negated }
}

/** `x = 1 OR x = 2` is `x IN (1, 2)`. */
function mergeEqualities(args: readonly Expression[]): Expression[] {
  const lists = new Map<string, { arg: Expression, values: Literal[] }>()
  const rest: Expression[] = []
  for (const arg of args) {
    const found: { arg: Expression, values: readonly Literal[] } | undefined = arg.k === 'in' && !arg.negated ? arg
      : arg.k === 'cmp' && arg.op === '=' && isLiteral(arg.right) && isPlainMember(arg.right) ? { arg: arg.left, values: [arg.right] } : undefined
    const first = found?.values[0]
    if (!found || !first) {
      rest.push(arg)
      continue
    }
    const key = `${first.k} ${first.k === 'text' ? first.type ?? '' : ''} ${keyOf(found.arg)}`
    const list = lists.get(key) ?? { arg: found.arg, values: [] }
    list.values.push(...found.values)
    // a list of one number stays a list
    if (arg.k === 'in' && arg.values.length === 1) list.values.push(...arg.values)
    lists.set(key, list)
  }
  return [...rest, ...[...lists.values()].map(({ arg, values }) => membership(arg, values, false))]
}

/** `a OR b`, flattened; constants leave or decide; what another part absorbs is gone. */
export function disjunction(args: readonly Expression[]): Expression {
  const flat = unique(args.flatMap(arg => arg.k === 'or' ? arg.args : [arg])).filter(arg => !(arg.k === 'bool' && !arg.value))
  if (flat.some(arg => arg.k === 'bool')) return TRUE
  const merged = unique(mergeEqualities(flat))
  return merged.length === 0 ? FALSE : merged.length === 1 ? merged[0]! : { k: 'or', args: merged }
}

/** A comparison with the constant on the right, and `<` rather than `>` between two that are none. */
export function comparison(op: '=' | '<>' | '<' | '<=' | '>' | '>=', left: Expression, right: Expression): Expression {
  if (isConstant(left) && !isConstant(right)) return comparison(mirrored(op), right, left)
  if (left.k === 'null' || right.k === 'null') return { k: 'null' }
  if (left.k === 'num' && right.k === 'num') {
    const order = compareNumbers(left.text, right.text)
    return bool(op === '=' ? order === 0 : op === '<>' ? order !== 0 : op === '<' ? order < 0 : op === '<=' ? order <= 0 : op === '>' ? order > 0 : order >= 0)
  }
  if (right.k === 'bool' && (op === '=' || op === '<>')) return right.value === (op === '=') ? left : negation(left)
  if (!isConstant(right) && (op === '>' || op === '>=')) return { k: 'cmp', op: mirrored(op), left: right, right: left }
  return { k: 'cmp', op, left, right }
}

/** NOT, pushed inwards as far as three-valued logic allows. */
export function negation(expression: Expression): Expression {
  switch (expression.k) {
    case 'bool': return bool(!expression.value)
    case 'null': return expression
    case 'not': return expression.arg
    case 'and': return disjunction(expression.args.map(negation))
    case 'or': return conjunction(expression.args.map(negation))
    case 'cmp': return comparison(opposite(expression.op), expression.left, expression.right)
    case 'in': return { ...expression, negated: !expression.negated }
    case 'isnull': return { ...expression, negated: !expression.negated }
    case 'col': case 'num': case 'text': case 'op': case 'form': return { k: 'not', arg: expression }
  }
}

/** `x IS NULL`, decided for constants. */
export function nullTest(arg: Expression, negated: boolean): Expression {
  return isConstant(arg) ? bool((arg.k === 'null') !== negated) : { k: 'isnull', arg, negated }
}

/** An arithmetic operator, computed where both sides are small integers. */
export function operation(op: string, left: Expression | undefined, right: Expression): Expression {
  if (left?.k === 'num' && right.k === 'num') {
    const text = foldNumbers(op, left.text, right.text)
    if (text !== undefined) return { k: 'num', text }
  }
  if (!left && right.k === 'num' && (op === '-' || op === '+')) {
    return { k: 'num', text: op === '+' || right.text === '0' ? right.text : right.text.startsWith('-') ? right.text.slice(1) : `-${right.text}` }
  }
  return { k: 'op', op, left, right }
}

/** The conjuncts of a condition: AND over OR, every OR's parts spread over the ANDs within them while that stays small. */
function clausesOf(expression: Expression): Expression[] {
  if (expression.k === 'and') return expression.args.flatMap(clausesOf)
  if (expression.k !== 'or') return [expression]
  const parts = expression.args.map(clausesOf)
  if (parts.reduce((count, clauses) => count * clauses.length, 1) > MAX_CLAUSES) return [expression]
  let product: Expression[][] = [[]]
  for (const clauses of parts) product = product.flatMap(chosen => clauses.map(clause => [...chosen, clause]))
  return product.flatMap(chosen => {
    const clause = disjunction(chosen)
    return clause.k === 'and' ? clausesOf(clause) : [clause]
  })
}

type Bound = { op: '<' | '<=' | '>' | '>=', limit: string }

function isTighter(a: Bound, b: Bound): boolean {
  const order = compareNumbers(a.limit, b.limit)
  if (order === 0) return a.op.length < b.op.length
  return a.op.startsWith('<') ? order < 0 : order > 0
}

/** Of several upper (lower) bounds on one expression the tightest stays; lists of numbers on one expression are intersected. */
function mergeBounds(conditions: readonly Expression[]): Expression[] {
  const kept = new Map<string, Expression>()
  for (const condition of conditions) {
    const slot = slotOf(condition)
    const other = slot === undefined ? undefined : kept.get(slot)
    if (slot === undefined || !other) kept.set(slot ?? keyOf(condition), condition)
    else kept.set(slot, tighter(other, condition))
  }
  return [...kept.values()]
}

function slotOf(condition: Expression): string | undefined {
  if (condition.k === 'cmp' && condition.right.k === 'num' && condition.op !== '=' && condition.op !== '<>') return `${condition.op[0]} ${keyOf(condition.left)}`
  return isNumberList(condition) ? `in ${keyOf(listOf(condition).arg)}` : undefined
}

/** A list that can be intersected: 0.1 and 0.100000001 are two numbers, and one `real`. */
function isNumberList(condition: Expression): boolean {
  const isPlain = (value: Literal): boolean => value.k === 'num' && isPlainMember(value)
  return condition.k === 'in' ? !condition.negated && condition.values.every(isPlain)
    : condition.k === 'cmp' && condition.op === '=' && isLiteral(condition.right) && isPlain(condition.right)
}

function listOf(condition: Expression): Pick<InExpression, 'arg' | 'values'> {
  if (condition.k === 'in') return condition
  if (condition.k === 'cmp' && condition.right.k === 'num') return { arg: condition.left, values: [condition.right] }
  throw new TypeError('not a list of numbers')
}

function tighter(a: Expression, b: Expression): Expression {
  // what two lists before this one left nothing of
  if (a.k === 'bool') return a
  if (isNumberList(a)) {
    const [left, right] = [listOf(a), listOf(b)]
    // numbers that a double cannot tell apart may be one number to the column
    const allowed = new Set(right.values.map(value => Number((value as NumberExpression).text)))
    const kept = left.values.filter(value => allowed.has(Number((value as NumberExpression).text)))
    return membership(left.arg, a.k === 'in' && kept.length === 1 ? [...kept, ...kept] : kept, false)
  }
  if (a.k !== 'cmp' || b.k !== 'cmp' || a.right.k !== 'num' || b.right.k !== 'num') throw new TypeError('not two bounds')
  return isTighter({ op: b.op as Bound['op'], limit: b.right.text }, { op: a.op as Bound['op'], limit: a.right.text }) ? b : a
}

/**
 * The conditions that must all hold for `expression` to be true, in normal form: NOT at the leaves, AND over OR, no duplicates,
 * nothing that another condition absorbs. A condition that is always true is left out; one that never is stays as FALSE.
 */
export function conditionsOf(expression: Expression): Expression[] {
  const clauses = mergeBounds(unique(clausesOf(expression))).filter(clause => !(clause.k === 'bool' && clause.value))
    .map((clause): Expression => clause.k === 'null' ? FALSE : clause)
  const alone = new Set(clauses.filter(clause => clause.k !== 'or').map(keyOf))
  return clauses.filter(clause => clause.k !== 'or' || !clause.args.some(arg => alone.has(keyOf(arg))))
}
