import { Option } from 'commander'
import type { Datatype } from '../../../lib/partition/key-types.js'
import { populate, type FragmentOutcome } from '../../../lib/partition/populate.js'
import { messageOf } from '../../../lib/errors.js'
import { EXIT } from '../../failure.js'
import { count, duration } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { alignedTable, counted, formatCount, formatMs } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { partitionKeyOf, withPartitionCache, withSource } from '../open.js'
import { age, cacheOptions, databaseOptions, datatypeOption, queryOptions, type CacheOptions, type DatabaseOptions, type QueryOptions } from '../options.js'
import { queryText } from '../query-text.js'
import { variantOptions, variantsOf, type VariantOptions } from '../variants.js'

interface DirectOptions extends CacheOptions, DatabaseOptions, QueryOptions, VariantOptions {
  partitionDatatype?: Datatype
  timeout?: number
  maxKeys?: number
  concurrency?: number
  ttl?: number
  retry?: boolean
  force?: boolean
}

/** `pcache-add --direct`: run a query's fragments and keep their sets. */
export const addDirect: Action = {
  flags: '--direct',
  description: "run the query's fragments now and keep their sets",
  options: [
    ...queryOptions(), ...cacheOptions(), datatypeOption(), ...databaseOptions(), ...variantOptions(),
    new Option('--timeout <duration>', 'longest run of one fragment (default 1m; 0 = no limit); one that takes longer is recorded, and not run again until asked').argParser(duration),
    new Option('--max-keys <count>', 'keys of one set at most (default 5,000,000)').argParser(count(1)),
    new Option('--concurrency <count>', 'fragments run at once (default 1)').argParser(count(1)),
    new Option('--ttl <duration>', 'forget the sets after this long, such as 30d (default: never)').argParser(age),
    new Option('--retry', 'run again what was too large, timed out or failed'),
    new Option('--force', 'run everything again')
  ],
  examples: [[`pcache-add --direct --query "SELECT * FROM poi WHERE type = 'park'" --partition-key region_id`, 'run the fragments of a query and keep their sets']],
  async run(options: DirectOptions, session) {
    const partitionKey = partitionKeyOf(options)
    const sql = await queryText(options, session)
    const { concurrency, timeout, maxKeys, ttl, retry, force, partitionDatatype } = options
    const report = await withPartitionCache(options, session, cache => withSource(options, session, source => populate(sql, {
      source, cache, partitionKey, datatype: partitionDatatype, timeoutMs: timeout, maxKeys, concurrency, ttlMs: ttl, retry, force, signal: session.signal, ...variantsOf(options)
    }), { concurrency }))
    print(session, options.json ? jsonLine({ partitionKey, ...report }) : tableOf(report.outcomes))
    if (report.stored + report.cached < report.fragments) session.exitCode = EXIT.incomplete
  }
}

function tableOf(outcomes: readonly FragmentOutcome[]): string {
  const rows = outcomes.map(({ outcome, keys, ms, hash, error }) =>
    [outcome, keys === undefined ? '' : formatCount(keys), formatMs(ms), hash, error === undefined ? '' : messageOf(error)])
  return `${alignedTable(['outcome', 'keys', 'time', 'hash', ''], rows, ['keys', 'time'])}\n${counted(outcomes.length, 'fragment')}`
}
