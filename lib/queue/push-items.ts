import { createHash } from 'node:crypto'
import { checkInteger, checkNumber } from '../check-number.js'
import { InvalidArgumentError } from '../errors.js'
import { checkDatatype } from '../partition/key-types.js'
import { encodeParameters } from './parameters.js'
import type { NewItem } from './queue-store.js'
import type { PushItem, PushOptions, Rerun } from './queue.js'

const MAX_NAME_BYTES = 1000
const MAX_PRIORITY = 2 ** 31 - 1
const MAX_DELAY_MS = 10 * 365 * 86_400_000

/** Weakest first; a merge keeps the strongest. */
export const RERUNS: readonly (Rerun | undefined)[] = [undefined, 'unusable', 'all']

function checkText(value: unknown, argument: string, maxBytes = Infinity): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed() && Buffer.byteLength(value) <= maxBytes) return value
  throw new InvalidArgumentError({ argument, expected: `a text that is not empty, without NUL${maxBytes === Infinity ? '' : `, of at most ${maxBytes} bytes`}`,
    found: typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : typeof value })
}

function checkRerun(value: unknown, argument: string): Rerun | undefined {
  if (RERUNS.includes(value as Rerun | undefined)) return value as Rerun | undefined
  throw new InvalidArgumentError({ argument, expected: "'unusable' or 'all'", found: String(value) })
}

function newItem(item: PushItem, options: PushOptions, at: string): NewItem {
  if (typeof (item as unknown) !== 'object' || (item as unknown) === null) throw new InvalidArgumentError({ argument: at, expected: 'an object with sql', found: String(item) })
  const sql = checkText(item.sql, `${at}.sql`)
  if (item.params !== undefined && !Array.isArray(item.params)) throw new InvalidArgumentError({ argument: `${at}.params`, expected: 'an array', found: typeof item.params })
  const params = item.params === undefined || item.params.length === 0 ? undefined : encodeParameters(item.params)
  const datatype = item.datatype ?? options.datatype
  return {
    sql, params,
    hash: item.hash === undefined ? createHash('sha256').update(params ? `${sql}\0${JSON.stringify(params)}` : sql).digest('hex') : checkText(item.hash, `${at}.hash`, MAX_NAME_BYTES),
    partitionKey: checkText(item.partitionKey ?? options.partitionKey, 'partitionKey', MAX_NAME_BYTES),
    datatype: datatype === undefined ? undefined : checkDatatype(datatype),
    tables: item.tables?.map((table, i) => checkText(table, `${at}.tables[${i}]`)),
    rerun: checkRerun(item.rerun ?? options.rerun, 'rerun'),
    priority: checkInteger('priority', item.priority ?? options.priority ?? 1, -MAX_PRIORITY - 1, MAX_PRIORITY),
    delayMs: checkNumber('delayMs', item.delayMs ?? options.delayMs ?? 0, 0, MAX_DELAY_MS)
  }
}

/**
 * Items as providers take them: checked, completed, and each (hash, partition key) once, with the highest priority, the strongest
 * `rerun` and the shortest delay, at the first one's place.
 *
 * @throws {InvalidArgumentError} names the offender
 */
export function newItems(items: PushItem | readonly PushItem[], options: PushOptions): NewItem[] {
  const merged = new Map<string, NewItem>()
  for (const [i, given] of (Array.isArray(items) ? items as readonly PushItem[] : [items as PushItem]).entries()) {
    const item = newItem(given, options, `items[${i}]`)
    const key = `${item.hash}\0${item.partitionKey}`
    const earlier = merged.get(key)
    merged.set(key, !earlier ? item : {
      ...earlier, priority: Math.max(earlier.priority, item.priority), delayMs: Math.min(earlier.delayMs, item.delayMs),
      rerun: RERUNS[Math.max(RERUNS.indexOf(earlier.rerun), RERUNS.indexOf(item.rerun))]
    })
  }
  return [...merged.values()]
}
