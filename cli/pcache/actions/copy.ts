import { Option } from 'commander'
import { copyCache } from '../../../lib/partition/copy.js'
import { cacheTypeFromEnv } from '../../../lib/partition/env.js'
import type { CacheType } from '../../../lib/partition/registry.js'
import { InvalidArgumentError } from '../../../lib/errors.js'
import { required } from '../../options.js'
import { jsonLine } from '../../output/json.js'
import { counted } from '../../output/text.js'
import { print } from '../../session.js'
import type { Action } from '../action.js'
import { environmentOf } from '../environment.js'
import { withPartitionCache } from '../open.js'
import { cacheOptions, type CacheOptions } from '../options.js'

interface CopyOptions extends CacheOptions {
  from?: string
  to?: string
}

/** `pcache-manage --copy`. */
export const copy: Action = {
  flags: '--copy',
  description: 'copy every entry from one backend to another; same hashes are replaced',
  options: [new Option('--from <type>', 'the backend to read (default: --cache-backend)'), new Option('--to <type>', 'the backend to fill'), ...cacheOptions()],
  examples: [['pcache-manage --copy --from postgresql_array --to rocksdict', 'move a cache elsewhere']],
  async run({ from, to, ...options }: CopyOptions, session) {
    const [source, target] = [from, required('--to TYPE', to)].map(name => cacheTypeFromEnv(environmentOf({ ...options, ...(name === undefined ? {} : { cacheBackend: name }) }, session))) as [CacheType, CacheType]
    if (source === target) throw new InvalidArgumentError({ argument: '--to', expected: 'another backend than the one to read', found: target })
    const { partitionKey } = options
    const report = await withPartitionCache(options, session, one => withPartitionCache(options, session, other =>
      copyCache(one, other, { partitionKeys: partitionKey === undefined ? undefined : [partitionKey], signal: session.signal }), { type: target }), { type: source })
    print(session, options.json ? jsonLine({ from: source, to: target, ...report })
      : `${counted(report.sets, 'set')} and ${counted(report.others, 'other entry', 'other entries')} of ${counted(report.partitionKeys, 'partition key')} copied`)
  }
}
