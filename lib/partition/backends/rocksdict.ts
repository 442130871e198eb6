import { EVICTION_ORDERS, type BackendSupport, type PartitionBackend } from '../backend.js'
import { DATATYPES } from '../key-types.js'
import type { LevelOptions } from './level-open.js'
import { levelBackend } from './level-store.js'
import { PACKED } from './packed-codec.js'

export const rocksdictSupport: BackendSupport = { datatypes: DATATYPES, shared: false, persistent: true, evictsBy: EVICTION_ORDERS }

/** Keys of every type in a folder of this process, RocksDB or LevelDB. */
export function rocksdictBackend(options: LevelOptions): Promise<PartitionBackend> {
  return levelBackend('rocksdict', rocksdictSupport, PACKED, options)
}
