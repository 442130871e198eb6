import { InvalidArgumentError as InvalidOption, Option, type Command } from 'commander'
import { InvalidArgumentError } from '../lib/errors.js'

/** Options every command has. */
export interface CommonOptions {
  json?: boolean
}

/** Options that say which cache. */
export interface CacheOptions extends CommonOptions {
  cacheDir?: string
}

/** Options that say which of the caches of one table name. */
export interface NamespaceOptions {
  namespace?: string
  idColumn?: string
}

/** `--json`, on every command. */
export function jsonOption(): Option {
  return new Option('--json', 'print the result as one line of JSON; errors as JSON on stderr')
}

/** `--cache-dir`, on every command. */
export function cacheDirOption(): Option {
  return new Option('--cache-dir <dir>', "the cache's folder (default: $MILLRACE_CACHE_DIR, else ~/data/cached_data)")
}

/** `--namespace` and `--id-column`. */
export function withNamespace(command: Command): Command {
  return command
    .option('--namespace <name>', 'separates caches of one table name, such as staging and production')
    .option('--id-column <name>', 'the key column', 'id')
}

/** An option that may be given again and again. */
export function repeatable(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, before: string[] | undefined) => [...before ?? [], value])
}

/** A parser of whole numbers. */
export function count(least: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) throw new InvalidOption(`Expected a whole number of at least ${least}.`)
    return value
  }
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** `30s`, `5m`, `1h`, `250ms`, or milliseconds without a unit. */
export function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text)
  if (!match) throw new InvalidOption('Expected a duration, such as 30s, 5m or 250ms.')
  return Math.round(Number(match[1]) * UNIT_MS[(match[2] ?? 'ms') as keyof typeof UNIT_MS])
}

/** `name,meta.city` → its names. A comma inside a name is written `\,`; what else a backslash means, column names decide. */
export function splitColumns(lists: readonly string[]): string[] {
  return lists.flatMap(list => {
    const names: string[] = []
    let name = ''
    for (let i = 0; i < list.length; i++) {
      const char = list[i]!
      const next = list[i + 1]
      if (char === '\\' && next === ',') name += list[++i]!
      else if (char === '\\' && next === '\\') name += char + list[++i]!
      else if (char === ',') {
        names.push(name.trim())
        name = ''
      } else name += char
    }
    return [...names, name.trim()].filter(part => part !== '')
  })
}

/** `amount=decimal(10,2)` → a declared type. */
export function splitTypes(entries: readonly string[] = []): Record<string, string> | undefined {
  if (entries.length === 0) return undefined
  return Object.fromEntries(entries.map(entry => {
    const at = entry.lastIndexOf('=')
    if (at <= 0 || at === entry.length - 1) throw new InvalidArgumentError({ argument: '--type', expected: 'COLUMN=TYPE, such as amount=decimal(10,2)', found: entry })
    return [entry.slice(0, at), entry.slice(at + 1)]
  }))
}

/**
 * The value of an option that a command cannot do without. Checked here and not by commander, which would name what is missing
 * before what is misspelt.
 */
export function required<T>(flags: string, value: T | undefined): T {
  if (value === undefined) throw new InvalidArgumentError({ argument: flags.split(' ')[0]!, expected: `${flags} (--help shows examples)`, found: 'nothing' })
  return value
}

/** Examples under a command's help, each with what it is for. */
export function examples(command: Command, title: string, lines: readonly (readonly [command: string, purpose: string])[]): Command {
  return command.addHelpText('after', `\n${title}:\n${lines.map(([line, purpose]) => `  # ${purpose}\n  ${line}`).join('\n')}`)
}
