import { namesOf, type Node } from '../sql/ast.js'
import { isComparison } from '../sql/expression.js'
import type { ColumnKind } from './scope.js'
import { Uncacheable } from './scope.js'

/** What a column of a condition holds; undefined where nothing is known of it. */
export type KindOf = (column: Node) => { readonly name: string, readonly kind: ColumnKind | undefined }

const DAY = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/
const MOMENT = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3]):[0-5]\d:[0-5]\d$/

/** A day that there is: of 31 February each database makes something of its own. */
function isDay(text: string): boolean {
  return DAY.test(text) && new Date(`${text}T00:00:00Z`).toISOString().startsWith(text)
}

function literalKind({ A_Const: value }: Node): ColumnKind | 'none' {
  if (value?.ival ?? value?.fval) return 'number'
  if (!value?.sval) return 'none'
  const text = value.sval.sval ?? ''
  return isDay(text) ? 'day' : MOMENT.test(text) && isDay(text.slice(0, 10)) ? 'moment' : 'text'
}

/** Whether a literal and a column of these kinds compare without anything being converted on the way. */
function fits(literal: ColumnKind | 'none', column: ColumnKind, isEquality: boolean): boolean {
  if (column === 'text') return isEquality && literal !== 'none' && literal !== 'number'
  return literal === column || (column === 'moment' && literal === 'day')
}

/**
 * Whether a condition means in MySQL or SQLite what PostgreSQL's grammar and `implies` take it for: columns compared with literals
 * of their own kind, or with columns of it, joined by AND, OR and NOT. No arithmetic (5 / 2), no texts in an order, no patterns, no
 * conversions.
 *
 * @throws {Uncacheable} it may not
 */
export function checkForeignCondition(node: Node, kindOf: KindOf): void {
  const { BoolExpr: logic, NullTest: test, A_Expr: operator } = node
  const refuse = (reason: string): never => { throw new Uncacheable(reason, operator?.location) }
  const known = (column: Node): ColumnKind => {
    const { name, kind } = kindOf(column)
    return kind ?? refuse(`the column ${name}, of a type that is not compared alike everywhere`)
  }
  if (logic) {
    for (const arg of logic.args) checkForeignCondition(arg, kindOf)
    return
  }
  if (test?.arg.ColumnRef) {
    // MySQL takes a zero date for NULL
    if (!['number', 'text'].includes(known(test.arg))) refuse('a time that may be NULL in its own way')
    return
  }
  const { lexpr: left, rexpr: right } = operator ?? {}
  const name = namesOf(operator?.name).join('.')
  if (!operator || !left || !right) return refuse('an expression that each database computes in its own way')
  const against = (column: Node, others: readonly Node[], isEquality: boolean): void => {
    const kind = known(column)
    for (const other of others) {
      if (other.ColumnRef ? known(other) !== kind : !other.A_Const || !fits(literalKind(other), kind, isEquality)) {
        refuse(`a comparison of ${kindOf(column).name} with something of another kind, or in the order of texts`)
      }
    }
  }
  const isEquality = name === '=' || name === '<>'
  if (operator.kind === 'AEXPR_IN' && left.ColumnRef) against(left, right.List?.items ?? [], true)
  else if ((operator.kind === 'AEXPR_BETWEEN' || operator.kind === 'AEXPR_NOT_BETWEEN') && left.ColumnRef) against(left, right.List?.items ?? [], false)
  else if (operator.kind === 'AEXPR_OP' && isComparison(name) && left.ColumnRef) against(left, [right], isEquality)
  else if (operator.kind === 'AEXPR_OP' && isComparison(name) && right.ColumnRef) against(right, [left], isEquality)
  else refuse('an expression that each database computes in its own way')
  if (!isEquality && operator.kind !== 'AEXPR_IN' && [left, right].some(side => side.ColumnRef && known(side) === 'text')) refuse('a comparison in the order of texts')
}
