import pg from 'pg'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import { freshFolder } from './cache.js'
import { testDatabase } from './postgres.js'

/** A table of events, `ev (id, name, at, n)`, empty before each test, and a `Database` over it whose cache is as empty. */
export interface EventTable {
  url: string
  client: pg.Client
  db: Database
  /** The cache folder. */
  folder: () => string
  /** Another `Database` over the same table and cache. */
  open: (options?: Parameters<typeof openDatabase>[0]) => Promise<Database>
  /** Add rows `from` + 1 …, a second apart. */
  addRows: (count: number, from?: number) => Promise<unknown>
}

/** For the suite that calls this. Its properties may be read from the suite's own hooks and tests on. */
export function eventTable(): EventTable {
  let server: Awaited<ReturnType<typeof testDatabase>>
  const folder = freshFolder()
  const events = { folder,
    open: (options = {}) => openDatabase({ connectionString: server.url, cacheDir: folder(), ...options }),
    addRows: (count, from = 0) => events.client.query(
      `INSERT INTO ev (name, at, n) SELECT 'n' || i, timestamp '2024-01-01' + i * interval '1 second', i FROM generate_series($1::int, $2::int) i`, [from + 1, from + count])
  } as EventTable

  before(async () => {
    server = await testDatabase()
    events.url = server.url
    events.client = new pg.Client({ connectionString: server.url })
    await events.client.connect()
  })
  after(async () => {
    await events.client.end()
    await server.drop()
  })
  beforeEach(async () => {
    await events.client.query('DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public; CREATE TABLE ev (id serial PRIMARY KEY, name text, at timestamp, n int)')
    events.db = await events.open()
  })
  afterEach(async () => { await events.db.close() })
  return events
}
