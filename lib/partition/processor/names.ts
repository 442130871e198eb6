import { InvalidArgumentError } from '../../errors.js'
import { queueNames, type QueueNames } from '../../queue/postgresql-schema.js'
import { quoteIdentifier, quoteText } from '../../sql/quote.js'
import { storeTables } from '../backends/postgresql-store.js'

/** Which of the PostgreSQL backends the sets are written for. */
export type ProcessorFamily = 'bit' | 'array'

/** Where a processor and what it works on lie, all in one database. */
export interface ProcessorPlace {
  /** Start of the names of its tables and functions: `<name>_processor_log`, … (default 'partitioncache'). */
  name?: string | undefined
  /** Schema of its tables and functions (default: the connection's current one). */
  schema?: string | undefined
  /** Schema of the queues (default: `schema`). */
  queueSchema?: string | undefined
  /** Start of the queue tables' names (default 'partitioncache_queue'). */
  queuePrefix?: string | undefined
  /** Schema of the cache's tables (default: `schema`). */
  cacheSchema?: string | undefined
  /** Start of the cache tables' names (default 'partitioncache'). */
  tablePrefix?: string | undefined
  /** The cache's backend (default 'bit', as postgresql_bit). */
  family?: ProcessorFamily | undefined
}

/** Quoted, qualified names, ready to stand in SQL. */
export interface ProcessorNames {
  readonly name: string
  readonly schema: string
  /** Every schema that is worked in, quoted. */
  readonly schemas: readonly string[]
  readonly family: ProcessorFamily
  readonly config: string
  readonly log: string
  readonly active: string
  readonly registered: string
  readonly evictionConfig: string
  readonly evictionLog: string
  readonly outgoing: QueueNames
  readonly incoming: QueueNames
  readonly entries: string
  readonly keys: string
  readonly uses: string
  /** Numbers of invalidations, see `marks.ts`. */
  readonly marks: string
  /** The class of the advisory locks that slots are held by: an SQL expression, integer from 0. */
  readonly lockClass: string
  /** One of its functions. */
  readonly fn: (name: string) => string
  /** Anything in its schema. */
  readonly at: (name: string) => string
}

const NAME = /^[a-z_][a-z0-9_]{0,29}$/
/** Quotes function bodies: nothing that is put into one may hold it. */
export const BODY = '$pcache$'

/** @throws {InvalidArgumentError} a name that cannot be used */
export function processorNames({ name = 'partitioncache', schema = 'public', queueSchema = schema, queuePrefix = 'partitioncache_queue', cacheSchema = schema, tablePrefix, family = 'bit' }: ProcessorPlace): ProcessorNames {
  if (!NAME.test(name)) throw new InvalidArgumentError({ argument: 'name', expected: 'a lower-case name of at most 30 letters, digits and underscores', found: JSON.stringify(name) })
  if (!['bit', 'array'].includes(family)) throw new InvalidArgumentError({ argument: 'family', expected: 'bit, array', found: String(family) })
  const dollar = [schema, queueSchema, queuePrefix, cacheSchema, tablePrefix].find(one => one?.includes('$'))
  if (dollar !== undefined) throw new InvalidArgumentError({ argument: 'name', expected: 'names without a dollar sign', found: JSON.stringify(dollar) })
  const at = (where: string, table: string): string => `${quoteIdentifier(where)}.${quoteIdentifier(table)}`
  const store = storeTables(family, tablePrefix)
  return {
    name, schema, family, schemas: [...new Set([schema, queueSchema, cacheSchema])].map(quoteIdentifier),
    config: at(schema, `${name}_processor_config`), log: at(schema, `${name}_processor_log`), active: at(schema, `${name}_processor_active`),
    registered: at(schema, `${name}_registered_queries`), evictionConfig: at(schema, `${name}_eviction_config`), evictionLog: at(schema, `${name}_eviction_log`),
    outgoing: queueNames(queueSchema, queuePrefix, 'outgoing'), incoming: queueNames(queueSchema, queuePrefix, 'incoming'),
    entries: at(cacheSchema, store.entries), keys: at(cacheSchema, store.keys), uses: at(cacheSchema, store.uses), marks: at(cacheSchema, store.marks),
    lockClass: `(pg_catalog.hashtext(${quoteText(`partitioncache ${schema}.${name}`)}) & 2147483647)`,
    fn: one => at(schema, `${name}_${one}`), at: one => at(schema, one),
  }
}
