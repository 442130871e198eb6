/** One incremental run in a process of its own: URL and cache folder as arguments, the number of rows as a message. */
import { openDatabase } from '../../pipelines/open-database.js'

const [connectionString, cacheDir] = process.argv.slice(2)
const db = await openDatabase({ connectionString, cacheDir })
const table = await db.queryIncremental<{ id: number }>('SELECT * FROM ev ORDER BY at', { orderColumn: 'at' })
const ids = new Set(table.toRows().map(({ id }) => id))
await db.close()
process.send?.(ids.size === table.length ? table.length : -1)
process.disconnect()
