import { EVICTION_ORDERS, type BackendSupport, type PartitionBackend } from '../backend.js'
import { andBits, bitsToSet, MAX_BITS, packBits } from '../bitmap.js'
import { bitKeys, bitLimit, type BitOptions } from './integer-bits.js'
import type { LevelOptions } from './level-open.js'
import { levelBackend, type SetCodec } from './level-store.js'

export const rocksdbBitSupport: BackendSupport = { datatypes: ['integer'], shared: false, persistent: true, evictsBy: EVICTION_ORDERS, integers: [0, 2 ** 26 - 1] }

/** Integers from 0 as packed bits in a folder of this process, RocksDB or LevelDB; ANDed word by word. */
export async function rocksdbBitBackend({ bitsize, maxBitsize, ...options }: LevelOptions & BitOptions): Promise<PartitionBackend> {
  const type = 'rocksdb_bit'
  const limit = bitLimit({ bitsize, maxBitsize }, MAX_BITS)
  const bits: SetCodec = {
    mark: () => 1,
    pack: (keys, _, offset) => packBits(bitKeys(keys, limit, type), offset),
    intersect: (sets, _, offset) => bitsToSet(andBits(sets.map(set => set.subarray(offset)))),
  }
  return levelBackend(type, { ...rocksdbBitSupport, integers: [0, limit - 1] }, bits, options)
}
