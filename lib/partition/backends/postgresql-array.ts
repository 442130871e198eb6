import { bitmapBytes, packBits } from '../bitmap.js'
import { DATATYPES, type Datatype, type StoredKey } from '../key-types.js'
import { EVICTION_ORDERS, type BackendSupport, type PartitionBackend } from '../backend.js'
import { arrayParameter, textArrayParameter, varbitParameter } from './postgresql-binary.js'
import { ARRAY_COLUMNS, EIGHT_BYTES, intersectSets, lazyIntersectSets, PLAIN_BITS } from './postgresql-sets.js'
import { postgresqlStore, type PostgresqlOptions, type SetColumns, type SetValues } from './postgresql-store.js'

export const postgresqlArraySupport: BackendSupport = { datatypes: DATATYPES, shared: true, persistent: true, evictsBy: EVICTION_ORDERS }

const COLUMNS: SetColumns = {
  family: 'array',
  definitions: ['bits bit varying', 'bit_count integer', 'ints int8[]', 'floats float8[]', 'texts text[]', 'timestamps timestamp[]'],
  // numbers gain little by compression, and it takes five times as long as writing them
  afterCreate: entries => `${PLAIN_BITS(entries)} ALTER TABLE ${entries} ALTER COLUMN ints SET STORAGE EXTERNAL,
    ALTER COLUMN floats SET STORAGE EXTERNAL, ALTER COLUMN timestamps SET STORAGE EXTERNAL;`
}

const BYTES_PER_ITEM = 8

/** Integers as bits if those are no longer than the array would be; undefined else. */
function denseBits(keys: readonly StoredKey[]): Uint8Array | undefined {
  let max = -1
  for (const key of keys) {
    if (typeof key !== 'number' || key < 0) return undefined
    if (key > max) max = key
  }
  return bitmapBytes(max) <= Math.max(keys.length, 1) * BYTES_PER_ITEM ? packBits(keys as readonly number[]) : undefined
}

function setValues(keys: readonly StoredKey[], datatype: Datatype): SetValues {
  const bits = datatype === 'integer' ? denseBits(keys) : undefined
  if (bits) return { bits: { value: varbitParameter(bits), cast: 'bit varying' }, bit_count: { value: bits.length * 8, cast: 'integer' } }
  if (datatype === 'text') return { texts: { value: textArrayParameter(keys as readonly string[]), cast: 'text[]' } }
  const type = EIGHT_BYTES[datatype]
  return { [ARRAY_COLUMNS[datatype]]: { value: arrayParameter(keys, type), cast: `${type}[]` } }
}

/**
 * Keys of every type in PostgreSQL arrays, intersected there. Integers that lie close together are kept as bits beside the
 * arrays: a set of 100,000 of the first 200,000 takes 25 KB instead of 800, and intersects 50 times as fast.
 */
export async function postgresqlArrayBackend(options: PostgresqlOptions): Promise<PartitionBackend> {
  const type = 'postgresql_array'
  const store = await postgresqlStore(type, options, COLUMNS)
  return {
    ...store,
    type,
    supports: postgresqlArraySupport,
    write: (partition, hash, change, ifNumber) => store.write(partition, hash, change, change.keys ? setValues(change.keys, partition.datatype) : undefined, ifNumber),
    intersect: (partition, hashes) => intersectSets(store, partition, hashes, { hasArrays: true }),
    lazyIntersect: (partition, hashes, lazy) => lazyIntersectSets(store, partition, hashes, lazy),
  }
}
