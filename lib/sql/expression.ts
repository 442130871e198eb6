/**
 * Conditions as data: what a parse tree says, with every column resolved to a numbered table. Built from the tree once,
 * normalised, compared, and printed again under other table names.
 */
import { quoteIdentifier, quoteText } from './quote.js'

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='

/** A column of table number `table`. */
export interface ColumnExpression { readonly k: 'col', readonly table: number, readonly column: string }
/** A number as the parser's own digits, in canonical form (`decimal.ts`). */
export interface NumberExpression { readonly k: 'num', readonly text: string }
/** A quoted literal: of the type that its surroundings give it, or of `type`. */
export interface TextExpression { readonly k: 'text', readonly value: string, readonly type?: string | undefined }
export interface InExpression { readonly k: 'in', readonly arg: Expression, readonly values: readonly Literal[], readonly negated: boolean }
export interface CompareExpression { readonly k: 'cmp', readonly op: Comparison, readonly left: Expression, readonly right: Expression }
export type Literal = NumberExpression | TextExpression

export type Expression =
  | ColumnExpression
  | Literal
  | { readonly k: 'bool', readonly value: boolean }
  | { readonly k: 'null' }
  | CompareExpression
  | InExpression
  | { readonly k: 'and' | 'or', readonly args: readonly Expression[] }
  | { readonly k: 'not', readonly arg: Expression }
  | { readonly k: 'isnull', readonly arg: Expression, readonly negated: boolean }
  | { readonly k: 'op', readonly op: string, readonly left?: Expression | undefined, readonly right: Expression }
  /** Anything else: its text, with expressions in it, and the tables that the text names itself. */
  | { readonly k: 'form', readonly parts: readonly (string | Expression)[], readonly tables?: readonly string[] | undefined }

/** How a column is printed. */
export type ColumnNames = (column: ColumnExpression) => string

const COMMUTATIVE: ReadonlySet<string> = new Set(['+', '*'])
const MIRRORED: Record<Comparison, Comparison> = { '=': '=', '<>': '<>', '<': '>', '<=': '>=', '>': '<', '>=': '<=' }
const OPPOSITE: Record<Comparison, Comparison> = { '=': '<>', '<>': '=', '<': '>=', '<=': '>', '>': '<=', '>=': '<' }

/** `5 < x` → `x > 5`. */
export function mirrored(op: Comparison): Comparison {
  return MIRRORED[op]
}

/** `NOT x < 5` → `x >= 5`; holds for every type whose operators know their negators, as all built-in ones do. */
export function opposite(op: Comparison): Comparison {
  return OPPOSITE[op]
}

/** Whether an operator's name is one of the six comparisons. */
export function isComparison(op: string): op is Comparison {
  return Object.hasOwn(MIRRORED, op)
}

/** Whether an expression is a number or a quoted literal. */
export function isLiteral(expression: Expression): expression is Literal {
  return expression.k === 'num' || expression.k === 'text'
}

/** Whether an expression is a value written out, NULL and booleans included. */
export function isConstant(expression: Expression): boolean {
  return isLiteral(expression) || expression.k === 'bool' || expression.k === 'null'
}

function operand(expression: Expression, names: ColumnNames): string {
  const text = printExpression(expression, names)
  return ['cmp', 'in', 'and', 'not', 'isnull', 'op'].includes(expression.k) || (expression.k === 'num' && text.startsWith('-')) ? `(${text})` : text
}

function sorted(texts: string[]): string[] {
  // by code unit: the same in every locale
  return [...new Set(texts)].sort()
}

/**
 * The text of an expression, the same for every order of operands that means the same.
 *
 * Sorting happens here, because the order of texts depends on the names that tables go by.
 */
export function printExpression(expression: Expression, names: ColumnNames): string {
  switch (expression.k) {
    case 'col': return names(expression)
    case 'num': return expression.text
    case 'text': return quoteText(expression.value) + (expression.type === undefined ? '' : `::${expression.type}`)
    case 'bool': return expression.value ? 'TRUE' : 'FALSE'
    case 'null': return 'NULL'
    case 'and': return sorted(expression.args.map(arg => operand(arg, names))).join(' AND ')
    case 'or': return `(${sorted(expression.args.map(arg => arg.k === 'and' ? `(${printExpression(arg, names)})` : printExpression(arg, names))).join(' OR ')})`
    case 'not': return `NOT (${printExpression(expression.arg, names)})`
    case 'isnull': return `${operand(expression.arg, names)} IS ${expression.negated ? 'NOT ' : ''}NULL`
    case 'in': {
      const texts = sorted(expression.values.map(value => printExpression(value, names)))
      // a list of one would be read as an equality
      const values = texts.length === 1 ? [...texts, ...texts] : texts
      return `${operand(expression.arg, names)} ${expression.negated ? 'NOT IN' : 'IN'} (${values.join(', ')})`
    }
    case 'cmp': {
      const left = operand(expression.left, names)
      const right = printOperand(expression.right, names)
      const swap = (expression.op === '=' || expression.op === '<>') && !isConstant(expression.right) && right < left
      return swap ? `${right} ${expression.op} ${left}` : `${left} ${expression.op} ${right}`
    }
    case 'op': {
      const right = printOperand(expression.right, names)
      if (!expression.left) return `${expression.op} ${right}`
      const left = operand(expression.left, names)
      return COMMUTATIVE.has(expression.op) && right < left ? `${right} ${expression.op} ${left}` : `${left} ${expression.op} ${right}`
    }
    case 'form': return expression.parts.map((part, i, parts) => typeof part === 'string' ? part
      // what a comma or parenthesis divides needs no parentheses; beside words, AND and comparisons would take in what is not theirs
      : isDivided(parts[i - 1], parts[i + 1]) ? printExpression(part, names) : operand(part, names)).join('')
  }
}

function isDivided(before: string | Expression | undefined, after: string | Expression | undefined): boolean {
  return typeof before === 'string' && typeof after === 'string' && /[(,] ?$/.test(before) && /^[),]/.test(after)
}

/** To the right of an operator a negative number needs no parentheses. */
function printOperand(expression: Expression, names: ColumnNames): string {
  return expression.k === 'num' ? expression.text : operand(expression, names)
}

/** Calls `see` for every column in an expression. */
export function eachColumn(expression: Expression, see: (column: ColumnExpression) => void): void {
  for (const part of partsOf(expression)) if (part.k === 'col') see(part)
}

/** Every expression within an expression, itself first. */
export function * partsOf(expression: Expression): Generator<Expression> {
  yield expression
  switch (expression.k) {
    case 'cmp': yield * partsOf(expression.left); yield * partsOf(expression.right); break
    case 'in': case 'not': case 'isnull': yield * partsOf(expression.arg); break
    case 'and': case 'or': for (const arg of expression.args) yield * partsOf(arg); break
    case 'op':
      if (expression.left) yield * partsOf(expression.left)
      yield * partsOf(expression.right)
      break
    case 'form': for (const part of expression.parts) if (typeof part !== 'string') yield * partsOf(part); break
    case 'col': case 'num': case 'text': case 'bool': case 'null': break
  }
}

/** The same expression over other columns. */
export function mapColumns(expression: Expression, to: (column: ColumnExpression) => Expression): Expression {
  const map = (part: Expression): Expression => mapColumns(part, to)
  switch (expression.k) {
    case 'col': return to(expression)
    case 'cmp': return { ...expression, left: map(expression.left), right: map(expression.right) }
    case 'in': case 'not': case 'isnull': return { ...expression, arg: map(expression.arg) }
    case 'and': case 'or': return { ...expression, args: expression.args.map(map) }
    case 'op': return { ...expression, left: expression.left && map(expression.left), right: map(expression.right) }
    case 'form': return { ...expression, parts: expression.parts.map(part => typeof part === 'string' ? part : map(part)) }
    case 'num': case 'text': case 'bool': case 'null': return expression
  }
}

/** `alias.column`. */
export function qualified(alias: string, column: string): string {
  return `${alias}.${quoteIdentifier(column)}`
}
