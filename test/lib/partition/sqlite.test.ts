// needs: sqlite
import { createRequire } from 'node:module'
import type { BetterSqlite } from '../../../lib/source/sqlite-handle.js'
import { sqliteSource } from '../../../lib/source/sqlite.js'
import { foreignLaw, foreignRefusals, type ForeignDatabase } from './foreign-law.js'

interface Driver extends BetterSqlite { exec(sql: string): unknown, prepare(sql: string): { raw(): { all(): unknown[][] } } & ReturnType<BetterSqlite['prepare']> }
const Database = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => Driver

function open(): Promise<ForeignDatabase> {
  const database = new Database(':memory:')
  const source = sqliteSource({ database })
  return Promise.resolve({
    dialect: 'sqlite', source,
    run: sql => { database.exec(sql); return Promise.resolve() },
    rows: sql => new Promise(resolve => resolve(database.prepare(sql).raw().all()))
  })
}

foreignLaw('SQLite', open)
foreignRefusals('SQLite', open)
