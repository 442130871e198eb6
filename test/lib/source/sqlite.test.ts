// needs: sqlite
import { createRequire } from 'node:module'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BetterSqlite } from '../../../lib/source/sqlite-handle.js'
import { sqliteSource } from '../../../lib/source/sqlite.js'
import { sourceSuite, type TypeCase } from './source-suite.js'

const Database = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => BetterSqlite

const TYPES: readonly TypeCase[] = [
  { declared: 'INTEGER', value: '9007199254740993', type: 'int64', cell: 9007199254740993n },
  { declared: 'BIGINT', value: '5', type: 'int64', cell: 5 },
  { declared: 'BOOLEAN', value: 'TRUE', type: 'int64', cell: 1 },
  { declared: 'REAL', value: '0.1 + 0.2', type: 'float64', cell: 0.1 + 0.2 },
  { declared: 'DOUBLE', value: '3', type: 'float64', cell: 3 },
  { declared: 'TEXT', value: "'é😀'", type: 'text', cell: 'é😀' },
  { declared: 'VARCHAR(5)', value: '12', type: 'text', cell: '12' },
  { declared: 'BLOB', value: "X'00FF41'", type: 'bytes', cell: Uint8Array.of(0, 255, 65) },
  { declared: 'DECIMAL(10,2)', value: "'1.10'", type: 'decimal(10,2)', cell: '1.10' },
  { declared: 'NUMERIC(5,0)', value: '42', type: 'decimal(5,0)', cell: '42' },
  { declared: 'DATE', value: "'2024-02-29'", type: 'date', cell: '2024-02-29' },
  { declared: 'DATETIME', value: "'2024-02-29 12:34:56'", type: 'timestamp', cell: new Date('2024-02-29T12:34:56Z') },
  { declared: 'TIMESTAMP', value: "'2024-02-29T12:34:56.789Z'", type: 'timestamp', cell: new Date('2024-02-29T12:34:56.789Z') },
  { declared: 'JSON', value: `'{"a":[1,1.10,null]}'`, type: 'json', cell: { a: [1, 1.1, null] } },
  { declared: 'JSON', value: `'7'`, type: 'json', cell: 7 },
  { declared: 'NUMERIC', value: '1.5', type: 'float64', cell: 1.5 },
  { declared: '', value: '7', type: 'int64', cell: 7 },
  { declared: 'UUID', value: "'a0eebc99'", type: 'text', cell: 'a0eebc99' },
  { declared: 'ANYTHING', value: 'NULL', type: 'null', cell: null }
]

for (const where of ['a file', 'a file by an open connection', 'memory'] as const) {
  sourceSuite(`SQLite in ${where}`, () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-sqlite-'))
    const file = join(dir, "it's.db")
    const admin = new Database(where === 'memory' ? ':memory:' : file)
    // readers and a writer at once, as most programs have it
    admin.exec('PRAGMA journal_mode = WAL')
    const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`
    return Promise.resolve({
      source: options => sqliteSource({ ...(where === 'a file' ? { path: file } : { database: admin }), ...options }),
      run: (sql: string) => Promise.resolve(admin.exec(sql)),
      schema: 'main',
      quote,
      fillUsers: rows => ['CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)', `INSERT INTO users WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ${rows}) SELECT i, 'n' || i FROM s`],
      bigint: 'bigint', jsonType: 'JSON', placeholder: '?', types: TYPES, hasSchemas: false,
      literal: text => `'${text.replaceAll("'", "''")}'`,
      close: () => {
        admin.close()
        rmSync(dir, { recursive: true, force: true })
        return Promise.resolve()
      }
    })
  })
}
