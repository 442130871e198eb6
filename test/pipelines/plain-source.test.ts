// needs: sqlite
import { createRequire } from 'node:module'
import { expect } from 'chai'
import type { BetterSqlite } from '../../lib/source/sqlite-handle.js'
import { sqliteSource } from '../../lib/source/sqlite.js'
import { openDatabase } from '../../pipelines/open-database.js'
import { freshCache } from '../support/cache.js'
import { rejection } from '../support/collect.js'

const Driver = createRequire(import.meta.url)('better-sqlite3') as new (path: string) => BetterSqlite

describe('a source without snapshots', () => {
  const cache = freshCache()

  it('answers queries, and none that are to be cached', async () => {
    const { snapshot: _, ...source } = sqliteSource({ database: new Driver(':memory:') })
    const db = await openDatabase({ source, cache: cache() })
    expect((await db.query('SELECT 1 AS id', { cache: false })).toRows()).to.deep.equal([{ id: 1 }])
    expect(await rejection(db.query('SELECT 1 AS id'))).to.include({ code: 'ERR_UNSUPPORTED_QUERY', construct: 'this source' })
    expect(await rejection(db.clearCache(5 as never))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'pattern' })
    await db.close()
  })
})
