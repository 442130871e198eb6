/** `print-types.ts URL COLUMNS`: the rows of public.t as text, for comparing processes under different time zones. */
import pg from 'pg'
import { jsonSafe } from '../../lib/batch/cells.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { fetchAll, requestOf } from './fetch-request.js'

const [, , connectionString, columns] = process.argv
const pool = new pg.Pool({ connectionString })
const source = postgresSource({ pool })
for (const batch of await fetchAll(source, [0, 1, 2, 3, 4, 5, 6, 100], 'public.t', requestOf(columns!.split(',')))) {
  for (const row of batch) console.log(JSON.stringify(row, (key, value: unknown) => Number.isNaN(value) ? 'NaN' : jsonSafe(key, value)))
}
await pool.end()
