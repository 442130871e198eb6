import { packBits } from '../bitmap.js'
import { EVICTION_ORDERS, type BackendSupport, type PartitionBackend } from '../backend.js'
import { bitKeys, bitLimit, type BitOptions } from './integer-bits.js'
import { varbitParameter } from './postgresql-binary.js'
import { intersectSets, lazyIntersectSets, PLAIN_BITS } from './postgresql-sets.js'
import { postgresqlStore, type PostgresqlOptions, type SetColumns } from './postgresql-store.js'

export const postgresqlBitSupport: BackendSupport = { datatypes: ['integer'], shared: true, persistent: true, evictsBy: EVICTION_ORDERS, integers: [0, 2 ** 26 - 1] }

/** A `bit varying` ends here. */
const MOST_BITS = 2 ** 31 - 64

const COLUMNS: SetColumns = { family: 'bit', definitions: ['bits bit varying', 'bit_count integer'], afterCreate: PLAIN_BITS }

/** Integers from 0 as packed bits in PostgreSQL, ANDed there. Any number of processes. */
export async function postgresqlBitBackend({ bitsize, maxBitsize, ...options }: PostgresqlOptions & BitOptions): Promise<PartitionBackend> {
  const type = 'postgresql_bit'
  const limit = bitLimit({ bitsize, maxBitsize }, MOST_BITS)
  const store = await postgresqlStore(type, options, COLUMNS)
  return {
    ...store,
    type,
    supports: { ...postgresqlBitSupport, integers: [0, limit - 1] },
    async write(partition, hash, change, ifNumber) {
      const bits = change.keys && packBits(bitKeys(change.keys, limit, type))
      return store.write(partition, hash, change, bits ? { bits: { value: varbitParameter(bits), cast: 'bit varying' }, bit_count: { value: bits.length * 8, cast: 'integer' } } : undefined, ifNumber)
    },
    intersect: (partition, hashes) => intersectSets(store, partition, hashes, { hasArrays: false }),
    lazyIntersect: (partition, hashes, lazy) => lazyIntersectSets(store, partition, hashes, lazy),
  }
}
