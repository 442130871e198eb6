import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Option } from 'commander'
import { InvalidArgumentError, messageOf } from '../../../lib/errors.js'
import type { PartitionCache } from '../../../lib/partition/cache.js'
import { readCatalogue } from '../../../lib/partition/catalogue.js'
import { getPartitionKeys } from '../../../lib/partition/key-sets.js'
import type { PartitionKeyValue } from '../../../lib/partition/key-types.js'
import { EXIT } from '../../failure.js'
import { jsonLine } from '../../output/json.js'
import { note, type Session } from '../../session.js'
import type { Action } from '../action.js'
import { partitionKeyOf, withPartitionCache, withSource } from '../open.js'
import { cacheOptions, databaseOptions, queryOptions, type CacheOptions, type DatabaseOptions, type QueryOptions } from '../options.js'
import { givenQuery } from '../query-text.js'
import { variantOptions, variantsOf, type VariantOptions } from '../variants.js'

interface ReadOptions extends CacheOptions, DatabaseOptions, QueryOptions, VariantOptions {
  queryHash?: string
  outputFormat?: 'list' | 'lines' | 'json'
  outputFile?: string
}

interface Found {
  readonly keys: PartitionKeyValue[]
  readonly facts: object
}

/** `pcache-read`: the partition keys that the cache knows for a query, or the set of one hash. */
export const read: Action = {
  description: 'print the partition keys that a query can match, as far as the cache knows',
  options: [
    ...queryOptions(), new Option('--query-hash <hash>', 'instead of a query: the hash of one fragment'), ...cacheOptions(), ...databaseOptions(), ...variantOptions(),
    new Option('--output-format <format>', 'list: one JSON list; lines: one key per line; json: with what was found (default list)').choices(['list', 'lines', 'json']),
    new Option('--output-file <file>', 'write there instead of to stdout')
  ],
  examples: [
    [`pcache-read --query "SELECT * FROM poi WHERE type = 'park'" --partition-key region_id`, 'the regions that can answer a query; exit code 3 where nothing is known'],
    ['pcache-read --query-hash abc123 --partition-key user_id --output-format lines', 'one cached set, a key per line']
  ],
  async run(options: ReadOptions, session) {
    partitionKeyOf(options)
    const found = await withPartitionCache(options, session, cache => find(options, cache, session))
    if (!found) {
      note(session, 'pcache-read: nothing is cached that answers this')
      session.exitCode = EXIT.incomplete
      return
    }
    await write(textOf(found, options), options, session)
  }
}

async function find(options: ReadOptions, cache: PartitionCache, session: Session): Promise<Found | undefined> {
  const { queryHash } = options
  const sql = await givenQuery(options, session)
  if ((sql === undefined) === (queryHash === undefined)) {
    throw new InvalidArgumentError({ argument: '--query', expected: '--query, --query-file or --query-hash', found: sql === undefined ? 'none' : '--query and --query-hash' })
  }
  if (sql === undefined) {
    const keys = await cache.get(queryHash!)
    return keys && { keys: sorted(keys), facts: { queryHash } }
  }
  // what a query of PostgreSQL says is read without asking it; another database's needs the types of its columns
  const isForeign = options.dbBackend === 'mysql' || options.dbBackend === 'sqlite'
  const catalogue = isForeign ? await withSource(options, session, source => readCatalogue(source, sql)) : undefined
  const { keys, fragments, hits } = await getPartitionKeys(sql, { cache, catalogue, ...variantsOf(options) })
  return keys && { keys: sorted(keys), facts: { fragments, hits } }
}

/** Ascending, so that equal sets print equal text. */
function sorted(keys: Set<PartitionKeyValue>): PartitionKeyValue[] {
  return [...keys].sort((a, b) => a < b ? -1 : a > b ? 1 : 0)
}

function line(key: PartitionKeyValue): string {
  const text = key instanceof Date ? key.toISOString() : String(key)
  if (!/[\r\n]/.test(text)) return text
  throw new InvalidArgumentError({ argument: '--output-format', expected: 'list or json for a key that holds a line break', found: 'lines' })
}

function textOf({ keys, facts }: Found, { json, outputFormat = json ? 'json' : 'list', partitionKey }: ReadOptions): string {
  if (outputFormat === 'json') return `${jsonLine({ partitionKey, ...facts, count: keys.length, keys })}\n`
  return outputFormat === 'list' ? `${jsonLine(keys)}\n` : keys.map(key => `${line(key)}\n`).join('')
}

async function write(text: string, { outputFile }: ReadOptions, session: Session): Promise<void> {
  if (outputFile === undefined) {
    session.stdout.write(text)
    return
  }
  try {
    await pipeline(Readable.from([text]), createWriteStream(outputFile))
  } catch (cause) {
    throw new InvalidArgumentError({ argument: '--output-file', expected: 'a file that can be written', found: messageOf(cause) })
  }
}
