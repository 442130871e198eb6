import { InvalidArgumentError } from '../errors.js'
import { quoteIdentifier } from '../source/postgres-sql.js'

/** Longer names are cut by PostgreSQL without a word, and two of them may become one. */
const MAX_IDENTIFIER_BYTES = 63

/** A name of ours as SQL text. @throws {InvalidArgumentError} PostgreSQL would cut it */
export function quoteName(name: string, argument: string): string {
  if (name === '' || Buffer.byteLength(name) > MAX_IDENTIFIER_BYTES) {
    throw new InvalidArgumentError({ argument, expected: `a name of at most ${MAX_IDENTIFIER_BYTES} bytes`, found: JSON.stringify(name) })
  }
  return quoteIdentifier(name)
}

/** A text as an SQL literal that means the same whatever `standard_conforming_strings` is. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
  return text.includes('\\') ? ` E${quoted}` : quoted
}
