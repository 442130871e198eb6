import { quoteIdentifier, quoteText } from '../../sql/quote.js'
import { ROUTINES, routine, type RoutineUser } from './installation.js'
import type { ProcessorNames } from './names.js'

/** Roles by what they do; those that are left out are not spoken of. They must exist. */
export interface ProcessorRoles {
  /** Narrows queries: reads sets, and may note that it used them. */
  reader?: string | undefined
  /** Keeps sets: writes, invalidates and evicts them. */
  store?: string | undefined
  /** Asks for registered queries, by name and with values, and for nothing else. */
  producer?: string | undefined
  /** Works inside the database. Fragments run with its rights: let it read the source tables, and write nothing. */
  worker?: string | undefined
  /** Works from outside, as `processQueries` and `processFragments` do: on the queues' tables, and with a store's rights. */
  externalWorker?: string | undefined
}

/** Quoted, qualified tables that fragments read. */
export interface RoleOptions {
  sourceTables?: readonly string[] | undefined
}

/**
 * GRANT statements that give each role what it needs and nothing more. To be run by the owner of the tables, again whenever they
 * are made anew.
 */
export function rolesSql(names: ProcessorNames, roles: ProcessorRoles, { sourceTables = [] }: RoleOptions = {}): string {
  const { entries, keys, uses, marks, incoming, outgoing, schema } = names
  const lines: string[] = []
  const grant = (role: string | undefined, ...grants: string[]): void => {
    if (role === undefined) return
    const name = quoteIdentifier(role)
    for (const one of [...names.schemas.map(at => `USAGE ON SCHEMA ${at}`), ...grants]) lines.push(`GRANT ${one} TO ${name};`)
  }
  const execute = (who: RoutineUser): string[] => ROUTINES.filter(([, , , users]) => users.includes(who)).map(([kind, name, args]) => `EXECUTE ON ${kind} ${routine(names, name, args)}`)
  const reads = [`SELECT ON ${entries}, ${keys}`, `SELECT, INSERT, UPDATE ON ${uses}`]
  const stores = [`SELECT, INSERT, UPDATE, DELETE ON ${entries}, ${keys}, ${uses}, ${marks}`]
  const sources = sourceTables.length > 0 ? [`SELECT ON ${sourceTables.join(', ')}`] : []

  grant(roles.reader, ...reads)
  grant(roles.store, ...stores, ...execute('store'))
  grant(roles.producer, ...execute('producer'))
  grant(roles.worker, ...execute('worker'), `EXECUTE ON FUNCTION ${names.at('partitioncache_process_queue')}(text)`, ...sources)
  grant(roles.externalWorker, `SELECT, INSERT, UPDATE, DELETE ON ${incoming.table}, ${outgoing.table}`, `USAGE ON SEQUENCE ${incoming.sequence}, ${outgoing.sequence}`, ...stores, ...sources)
  for (const role of [roles.worker, roles.externalWorker]) {
    // a convenience for what they run beside: fragments are read-only by themselves
    if (role !== undefined) lines.push(`ALTER ROLE ${quoteIdentifier(role)} SET idle_in_transaction_session_timeout = '60s';`)
  }
  return [`-- least rights for the partition cache of ${quoteText(names.name)} in ${quoteIdentifier(schema)}`, ...lines].join('\n')
}
