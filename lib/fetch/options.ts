import { InvalidArgumentError } from '../errors.js'

/** Refuse a fetcher that is no function (sources offer theirs as `source.fetch`). */
export function checkFetcher(fetcher: unknown): void {
  if (typeof fetcher === 'function') return
  const isSource = typeof fetcher === 'object' && fetcher !== null && 'fetch' in fetcher
  throw new InvalidArgumentError({ argument: 'fetcher', expected: isSource ? 'a function: pass source.fetch' : 'a function (ids, table, request) => rows',
    found: fetcher === null ? 'null' : typeof fetcher })
}

/** Refuse what is not one of a few words. */
export function checkChoice(argument: string, value: unknown, choices: readonly string[]): void {
  if (typeof value === 'string' && choices.includes(value)) return
  throw new InvalidArgumentError({ argument, expected: choices.map(choice => `'${choice}'`).join(' or '), found: String(value) })
}
