import { checkDatatype, type Datatype } from './key-types.js'
import { BACKENDS, type CacheType } from './registry.js'

/** What the sets are and who uses them. */
export interface CacheUse {
  /** The partition key's type; left out: several partition keys of several types. */
  datatype?: Datatype | undefined
  /** Several processes or machines use one cache (default false). */
  shared?: boolean | undefined
  /** No server is to be run (default false). */
  embedded?: boolean | undefined
}

/** A backend and the reason for it. */
export interface Recommendation {
  type: CacheType
  reason: string
  /** Others that would do, best first. */
  alternatives: CacheType[]
}

/** Best first. Bits come before sets; servers with queries beside the data before others. */
const PREFERENCE: readonly CacheType[] = ['postgresql_bit', 'postgresql_array', 'redis_bit', 'redis_set', 'rocksdb_bit', 'rocksdict', 'rocksdb_set', 'memory']

const REASONS: Record<CacheType, string> = {
  postgresql_bit: 'integers as packed bits, 125 KB for a million keys, intersected in PostgreSQL and usable in its queries',
  postgresql_array: 'every type, intersected in PostgreSQL and usable in its queries',
  redis_bit: 'integers as packed bits, 125 KB for a million keys, shared by many processes',
  redis_set: 'integers and texts, shared by many processes',
  rocksdb_bit: 'integers as packed bits in a folder, without a server',
  rocksdict: 'every type in a folder, without a server',
  rocksdb_set: 'integers and texts in a folder, without a server',
  memory: 'every type in this process, gone with it',
}

/** Which backend fits, and why. `shared` and `embedded` together mean PostgreSQL or Redis: a folder belongs to one process. */
export function recommendCacheType({ datatype, shared = false, embedded = false }: CacheUse = {}): Recommendation {
  if (datatype !== undefined) checkDatatype(datatype)
  const holds = (type: CacheType): boolean => {
    const { datatypes } = BACKENDS[type].supports
    return datatype === undefined ? datatypes.length === 4 : datatypes.includes(datatype)
  }
  const fits = PREFERENCE.filter(type => holds(type) && (!shared || BACKENDS[type].supports.shared))
  const [first, ...others] = embedded && !shared ? fits.filter(type => !BACKENDS[type].supports.shared) : fits
  const note = embedded && shared ? '; an embedded folder belongs to one process, so sharing takes a server' : ''
  return { type: first!, reason: REASONS[first!] + note, alternatives: others }
}
