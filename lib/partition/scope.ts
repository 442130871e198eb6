import type { Node, Select } from '../sql/ast.js'
import type { ForeignSql } from '../sql/foreign-shape.js'
import { quoteIdentifier } from '../sql/quote.js'
import type { FunctionVolatility } from '../sql/volatility.js'

/** A condition, or a column, that cannot enter a fragment. Leaving it out only makes the set larger. */
export class Uncacheable extends Error {
  constructor(readonly reason: string, readonly location?: number) {
    super(reason)
  }
}

/** What a FROM item's name stands for. */
export type Binding =
  /** `schema`: the one that may be written before the name, which an alias rules out. */
  | { readonly kind: 'table', readonly table: number, readonly schema: string | undefined }
  /** A sub-query whose rows come from its tables' rows: `columns` by output name, `stars` the inner names that `*` passes on. */
  | { readonly kind: 'derived', readonly scope: Scope, readonly columns: ReadonlyMap<string, Node>, readonly stars: readonly string[] }
  /** Something that is only known to be there. */
  | { readonly kind: 'opaque', readonly why: string }

/** A WITH query, and where its names are looked up. */
export interface NamedQuery {
  readonly select: Select | undefined
  readonly columnNames: readonly string[] | undefined
  readonly scope: Scope
}

/** The names of one SELECT, and of those around it. */
export class Scope {
  readonly bindings = new Map<string, Binding>()
  readonly queries = new Map<string, NamedQuery>()
  /** Columns that USING has merged, with one of the names they can be read by; undefined where none is certain. */
  readonly merged = new Map<string, string | undefined>()

  constructor(readonly parent?: Scope) {}

  /** The FROM item that a name means, from here outwards. */
  find(name: string): Binding | undefined {
    return this.bindings.get(name) ?? this.parent?.find(name)
  }

  query(name: string): NamedQuery | undefined {
    return this.queries.get(name) ?? this.parent?.query(name)
  }
}

/** What a column holds, as far as comparisons with it mean the same in every database. */
export type ColumnKind = 'number' | 'text' | 'day' | 'moment'

/** What a catalogue knows of the tables of a query. */
export interface TableFacts {
  /** Column name → its type's name and whether it can be NULL; of other databases than PostgreSQL also its kind. */
  readonly columns: ReadonlyMap<string, { readonly type: string, readonly notNull: boolean, readonly kind?: ColumnKind }>
}

/** What reading a query needs beside its text. */
export interface ReadingOptions {
  readonly params: readonly unknown[]
  /** Column of the partition key. */
  readonly partitionKey: string
  readonly volatility?: FunctionVolatility | undefined
  readonly tableFacts?: ((schema: string | undefined, name: string) => TableFacts | undefined) | undefined
  /** The query is another database's: only conditions that mean the same there are taken. */
  readonly dialect?: ForeignSql | undefined
  /** Take every function as immutable and refuse what would be left out: for texts that fragments printed. */
  readonly isFragment?: boolean | undefined
}

/** A base table of a query, or of a sub-query whose rows it needs. */
export interface ShapeTable {
  readonly name: string
  readonly schema: string | undefined
  /** As it stands in FROM. */
  readonly text: string
}

/** A table's name as SQL writes it. */
export function tableText(schema: string | undefined, name: string): string {
  return `${schema === undefined ? '' : `${quoteIdentifier(schema)}.`}${quoteIdentifier(name)}`
}
