import type { ForeignSql } from '../sql/foreign-shape.js'

const MARK = /^\/\* (mysql|sqlite) \*\/ /

/** What stands before a fragment that another database than PostgreSQL computes: what it says means there what it means there only. */
export function markOf(dialect: ForeignSql | undefined): string {
  return dialect === undefined ? '' : `/* ${dialect} */ `
}

/** The database that a fragment's text belongs to; undefined: PostgreSQL. */
export function dialectOf(sql: string): ForeignSql | undefined {
  return MARK.exec(sql)?.[1] as ForeignSql | undefined
}

/** A fragment's text alone. */
export function unmarked(sql: string): string {
  return sql.replace(MARK, '')
}
