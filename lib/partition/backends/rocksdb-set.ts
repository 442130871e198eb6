import { EVICTION_ORDERS, type BackendSupport, type PartitionBackend } from '../backend.js'
import type { LevelOptions } from './level-open.js'
import { levelBackend } from './level-store.js'
import { PACKED } from './packed-codec.js'

export const rocksdbSetSupport: BackendSupport = { datatypes: ['integer', 'text'], shared: false, persistent: true, evictsBy: EVICTION_ORDERS }

/** Integers and texts in a folder of this process, RocksDB or LevelDB. */
export function rocksdbSetBackend(options: LevelOptions): Promise<PartitionBackend> {
  return levelBackend('rocksdb_set', rocksdbSetSupport, PACKED, options)
}
