import { Option } from 'commander'
import { decompose } from '../../../lib/partition/decompose.js'
import type { Datatype } from '../../../lib/partition/key-types.js'
import { pushToOriginalQueryQueue, pushToQueryFragmentQueue, type PushQueryOptions } from '../../../lib/queue/push-queries.js'
import type { PushReport, Queues, Rerun } from '../../../lib/queue/queue.js'
import { jsonLine } from '../../output/json.js'
import { counted } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { partitionKeyOf } from '../open.js'
import { datatypeOption, partitionKeyOption, queryOptions, type CacheOptions, type QueryOptions } from '../options.js'
import { priorityOption, queueOptions, withOpenQueues, type QueueOptions } from '../queues.js'
import { queryText } from '../query-text.js'
import { variantOptions, variantsOf, type VariantOptions } from '../variants.js'

interface AddOptions extends CacheOptions, QueueOptions, QueryOptions, VariantOptions {
  partitionDatatype?: Datatype
  priority?: number
  retry?: boolean
  force?: boolean
}

const options = [
  ...queryOptions(), partitionKeyOption(), datatypeOption(), ...queueOptions(), priorityOption(),
  new Option('--retry', 'run again what was too large, timed out or failed'),
  new Option('--force', 'run everything again')
]

function adding(push: (sql: string, given: AddOptions, to: PushQueryOptions) => Promise<PushReport>): Action['run'] {
  return async (given: AddOptions, session) => {
    const partitionKey = partitionKeyOf(given)
    const sql = await queryText(given, session)
    const { partitionDatatype: datatype, priority, retry, force } = given
    const rerun: Rerun | undefined = force ? 'all' : retry ? 'unusable' : undefined
    const report = await withOpenQueues(given, session, (queues: Queues) => push(sql, given, { queues, partitionKey, datatype, priority, rerun }))
    const { queued, merged, dead } = report
    print(session, given.json ? jsonLine({ partitionKey, ...report }) : `${counted(queued, 'job')} queued${merged > 0 ? `, ${merged} there already` : ''}` +
      (dead > 0 ? `, ${dead} among the dead letters (pcache-manage --retry-dead)` : ''))
  }
}

/** `pcache-add --queue`: decompose here, and queue the fragments. */
export const addQueue: Action = {
  flags: '--queue',
  description: "queue the query's fragments for the workers (pcache-monitor)",
  options: [...options, ...variantOptions()],
  examples: [[`pcache-add --queue --query "SELECT * FROM poi WHERE type = 'park'" --partition-key region_id`, 'let workers run the fragments of a query']],
  run: adding((sql, given, to) => pushToQueryFragmentQueue(decompose(sql, { partitionKey: to.partitionKey, ...variantsOf(given) }), to))
}

/** `pcache-add --queue-original`: queue the query as it is. */
export const addQueueOriginal: Action = {
  flags: '--queue-original',
  description: 'queue the whole query: workers decompose it too',
  options,
  examples: [['pcache-add --queue-original --query-file query.sql --partition-key region_id --priority 5', 'the same, decomposed by a worker, before others']],
  run: adding((sql, _, to) => pushToOriginalQueryQueue(sql, to))
}
