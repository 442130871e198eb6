/**
 * `print-rows.ts REQUEST`: makes a request in a process of its own and prints what came, as base64 of v8's serialisation. REQUEST is
 * JSON: `{ dir, ids, columns, url?, compact? }`. Without `url` nothing may be fetched.
 */
import { serialize } from 'node:v8'
import pg from 'pg'
import { postgresSource } from '../../../lib/source/postgres.js'
import { ask, nobody, testCache } from '../support.js'

const request = JSON.parse(process.argv[2]!) as { dir: string, ids: number[], columns: string[], url?: string, compact?: boolean }
const pool = request.url === undefined ? undefined : new pg.Pool({ connectionString: request.url })
const to = await testCache(request.dir)
if (request.compact) await to.cache.compact()
const table = await ask(to, { ids: request.ids, columns: request.columns, fetcher: pool ? postgresSource({ pool }).fetch : nobody })
const columns = Object.fromEntries(table.columnNames.map(name => [name, table.column(name)]))
process.stdout.write(serialize({ zone: new Date(2024, 6, 1).getTimezoneOffset(), rows: table.toRows(), columns, schema: table.schema }).toString('base64'))
await pool?.end()
await to.cache.close()
