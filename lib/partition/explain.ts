import { UnsupportedQueryError } from '../errors.js'
import { readCatalogue } from './catalogue.js'
import type { ApplyOptions } from './apply.js'
import { decompose, shapeOf } from './decompose.js'
import { usableSets } from './key-sets.js'

/** One of a query's fragments, or a cached set that its conditions imply. */
export interface ExplainedFragment {
  readonly hash: string
  readonly sql: string
  /** 'hit': its set is used; 'within another': there is a set, and one that is used lies within it; 'unusable': marked so. */
  readonly state: 'hit' | 'within another' | 'unusable' | 'missing'
  /** Not one of the query's own: its conditions follow from the query's. */
  readonly isImplied: boolean
  /** Partitions in its set. */
  readonly keys: number | undefined
  /** 'ok', 'timeout' or 'failed', where it is known. */
  readonly status: string | undefined
}

/** What the partition cache makes of a query. */
export interface Explanation {
  /** Why the query cannot be narrowed, whatever is cached; undefined where it can. */
  readonly refused: { readonly construct: string, readonly position: number | undefined, readonly message: string } | undefined
  /** Where the restriction would go. */
  readonly column: string | undefined
  /** Tables tied by the partition key, and those that only join in. */
  readonly tables: readonly { readonly name: string, readonly keyColumn: string | undefined }[]
  /** Whether rows without a key can be in the answer, and so stay. */
  readonly isNullable: boolean | undefined
  /** Conditions that enter no fragment, and why. */
  readonly leftOut: readonly { readonly reason: string, readonly position: number | undefined }[]
  readonly fragments: readonly ExplainedFragment[]
  /** Partitions that are left; undefined: nothing usable is cached. */
  readonly keys: number | undefined
}

/** Shows a query's fragments, which of them hit, how large their sets are, and why the others do not. Never throws for the query's shape. */
export async function explain(sql: string, options: ApplyOptions): Promise<Explanation> {
  const { cache, partitionKey = cache.partitionKey, source } = options
  try {
    const catalogue = options.catalogue ?? (source && await readCatalogue(source, sql))
    const reading = { ...options, partitionKey, catalogue }
    const { anchor, tables, keyColumns, isNullable, leftOut, hazard } = shapeOf(sql, reading)
    const { usable } = await usableSets(sql, reading)
    const own = decompose(sql, reading)
    const isUsed = new Set(usable.map(({ hash }) => hash))
    const implied = usable.filter(({ hash }) => !own.some(fragment => fragment.hash === hash))
    const { keys, used } = await cache.lookup(isUsed, { partitionKey })
    const fragments = await Promise.all([...own, ...implied].map(async ({ hash, sql: text }): Promise<ExplainedFragment> => {
      const [set, isNull, status] = await Promise.all([cache.get(hash, { partitionKey }), cache.isNull(hash, { partitionKey }), cache.getStatus(hash, { partitionKey })])
      const state = set ? used.includes(hash) ? 'hit' : 'within another' : isNull ? 'unusable' : 'missing'
      return { hash, sql: text, state, isImplied: !own.some(fragment => fragment.hash === hash), keys: set?.size, status }
    }))
    return {
      column: `${anchor.alias}.${anchor.column}`, isNullable, leftOut, fragments, keys: keys?.size,
      tables: tables.map(({ text }, i) => ({ name: text, keyColumn: keyColumns.get(i) })),
      refused: hazard && { ...hazard, message: `${hazard.construct} is not narrowed: which rows it answers with depends on how it is run` }
    }
  } catch (error) {
    if (!(error instanceof UnsupportedQueryError)) throw error
    const { construct, position, message } = error
    return { refused: { construct, position, message }, column: undefined, tables: [], isNullable: undefined, leftOut: [], fragments: [], keys: undefined }
  }
}
