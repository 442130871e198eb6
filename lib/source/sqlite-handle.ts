import { existsSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { InvalidArgumentError, messageOf, MissingDependencyError } from '../errors.js'

/** A column of an answer: its name, and the type its table declares; null for expressions and columns declared without one. */
export interface SqliteColumn {
  readonly name: string
  readonly type: string | null
}

/** One prepared statement. */
export interface SqliteStatement {
  /** Empty where the statement returns no rows. */
  readonly columns: readonly SqliteColumn[]
  /** Integers as bigints, the rest as the drivers have it. The handle is busy until the iteration ends. */
  rows(params: readonly unknown[]): IterableIterator<readonly unknown[]>
  /** Rows changed. */
  run(params: readonly unknown[]): number
}

/** A connection of either driver. */
export interface SqliteHandle {
  prepare(sql: string): SqliteStatement
  exec(sql: string): void
  close(): void
}

/** A `Database` of better-sqlite3, by the methods used. */
export interface BetterSqlite {
  readonly name: string
  readonly memory: boolean
  prepare(sql: string): { readonly reader: boolean, columns(): SqliteColumn[], raw(on: true): unknown, safeIntegers(on: true): unknown,
    iterate(...params: unknown[]): IterableIterator<unknown[]>, run(...params: unknown[]): { changes: number } }
  exec(sql: string): unknown
  serialize(): Uint8Array
  close(): unknown
}

/** A `DatabaseSync` of `node:sqlite`, by the methods used. */
export interface NodeSqlite {
  prepare(sql: string): { readonly sourceSQL: string, columns(): SqliteColumn[], setReadBigInts(on: true): void, iterate(...params: unknown[]): IterableIterator<Record<string, unknown>>,
    run(...params: unknown[]): { changes: number | bigint } }
  exec(sql: string): unknown
  location(): string | null
  close(): unknown
}

/** Blocks the process while it waits for another one's lock, so it is short. */
const BUSY_TIMEOUT_MS = 250

function betterHandle(database: BetterSqlite): SqliteHandle {
  return {
    prepare(sql) {
      const statement = database.prepare(sql)
      if (statement.reader) {
        statement.raw(true)
        statement.safeIntegers(true)
      }
      return { columns: statement.reader ? statement.columns() : [], rows: params => statement.iterate(...params), run: params => statement.run(...params).changes }
    },
    exec: sql => void database.exec(sql),
    close: () => void database.close()
  }
}

function nodeHandle(database: NodeSqlite): SqliteHandle {
  return {
    prepare(sql) {
      const statement = database.prepare(sql)
      // it compiles the first statement and ignores the others
      if (!/^[;\s]*$/.test(sql.slice(sql.indexOf(statement.sourceSQL) + statement.sourceSQL.length))) {
        throw new InvalidArgumentError({ argument: 'sql', expected: 'one statement', found: 'several' })
      }
      const columns = statement.columns()
      statement.setReadBigInts(true)
      return { columns, run: params => Number(statement.run(...params).changes), * rows(params) {
        // rows come as objects: columns of one name were refused before
        for (const row of statement.iterate(...params)) yield columns.map(({ name }) => row[name])
      } }
    },
    exec: sql => void database.exec(sql),
    close: () => void database.close()
  }
}

/** How to get connections to a database. */
export interface SqliteDatabase {
  /** Undefined for a database in memory. */
  readonly identity: string | undefined
  /** A connection of its own; for a database in memory, to a copy of it as it is now. */
  open(): SqliteHandle
  /** The caller's own connection, for a database in memory: nothing else reaches it. Other code uses it too, between any two turns. */
  readonly shared: SqliteHandle | undefined
}

function opened(handle: SqliteHandle): SqliteHandle {
  handle.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  return handle
}

/** The file's one name. */
export function sqliteIdentity(path: string): string {
  return `sqlite:${encodeURI(existsSync(path) ? realpathSync(path) : resolve(path))}`
}

/** The database behind a connection of the caller's. */
export function sqliteDatabase(database: BetterSqlite | NodeSqlite): SqliteDatabase {
  // better-sqlite3's own name for what its class is made by
  const make = database.constructor as new (source: string | Uint8Array, options?: object) => BetterSqlite & NodeSqlite
  if (typeof (database as Partial<NodeSqlite>).location === 'function') {
    const path = (database as NodeSqlite).location()
    if (path === null) throw new InvalidArgumentError({ argument: 'database', expected: 'a file: node:sqlite cannot share a database in memory', found: 'a database in memory' })
    return { identity: sqliteIdentity(path), open: () => opened(nodeHandle(new make(path))), shared: undefined }
  }
  if (typeof (database as Partial<BetterSqlite>).prepare !== 'function' || typeof (database as Partial<BetterSqlite>).name !== 'string') {
    throw new InvalidArgumentError({ argument: 'database', expected: 'a Database of better-sqlite3, or a DatabaseSync of node:sqlite', found: typeof database })
  }
  const { memory, name } = database as BetterSqlite
  if (memory) return { identity: undefined, open: () => betterHandle(new make((database as BetterSqlite).serialize())), shared: betterHandle(database as BetterSqlite) }
  return { identity: sqliteIdentity(name), open: () => opened(betterHandle(new make(name, { fileMustExist: true }))), shared: undefined }
}

/**
 * The database in a file, by better-sqlite3 or, where that is missing or was built for another Node, Node's own driver.
 *
 * @throws {InvalidArgumentError} there is no such file
 * @throws {MissingDependencyError} neither driver can be loaded
 */
export async function sqliteFile(path: string): Promise<SqliteDatabase> {
  if (!existsSync(path)) throw new InvalidArgumentError({ argument: 'path', expected: 'a database file', found: `no file ${path}` })
  const failures: unknown[] = []
  try {
    // @ts-expect-error the package has no types
    const { default: Database } = await import('better-sqlite3') as { default: new (path: string, options?: object) => BetterSqlite }
    // its binary is loaded with the first database
    new Database(':memory:').close()
    return { identity: sqliteIdentity(path), open: () => opened(betterHandle(new Database(path, { fileMustExist: true }))), shared: undefined }
  } catch (error) {
    failures.push(error)
  }
  try {
    // @ts-expect-error Node 20 does not have it
    const { DatabaseSync } = await import('node:sqlite') as { DatabaseSync: new (path: string) => NodeSqlite }
    return { identity: sqliteIdentity(path), open: () => opened(nodeHandle(new DatabaseSync(path))), shared: undefined }
  } catch (error) {
    failures.push(error)
  }
  const isMissing = (failures[0] as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND'
  throw new MissingDependencyError({ package: 'better-sqlite3', purpose: 'a SQLite database', cause: new AggregateError(failures),
    unusable: isMissing ? undefined : messageOf(failures[0]).split('\n')[0] })
}
