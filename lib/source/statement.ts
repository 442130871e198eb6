import { InvalidArgumentError } from '../errors.js'

/** @throws {InvalidArgumentError} two columns of one name, or `__proto__` */
export function checkFields(fields: readonly { name: string }[]): void {
  const seen = new Set<string>()
  for (const { name } of fields) {
    if (seen.has(name) || name === '__proto__') {
      throw new InvalidArgumentError({ argument: 'sql', expected: name === '__proto__' ? 'no column called __proto__' : 'column names that differ',
        found: `${JSON.stringify(name)}${name === '__proto__' ? '' : ' twice'} (rename it: AS …)` })
    }
    seen.add(name)
  }
}

/** @throws {InvalidArgumentError} no text */
export function checkSql(sql: unknown): string {
  if (typeof sql === 'string' && sql.trim() !== '') return sql
  throw new InvalidArgumentError({ argument: 'sql', expected: 'the text of a statement', found: typeof sql === 'string' ? 'empty text' : typeof sql })
}
