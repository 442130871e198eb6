// needs: postgres
import { isDeepStrictEqual } from 'node:util'
import { expect } from 'chai'
import pg from 'pg'
import type { Row } from '../../lib/batch/row-factory.js'
import { postgresSource } from '../../lib/source/postgres.js'
import { localCatalog } from '../../lib/store/local-catalog.js'
import { CacheStore } from '../../lib/store/cache.js'
import type { Catalog } from '../../lib/store/catalog.js'
import { Cache } from '../../lib/store/open-cache.js'
import { openDatabase, type Database } from '../../pipelines/open-database.js'
import type { IncrementalOptions } from '../../pipelines/query-options.js'
import { freshFolder } from '../support/cache.js'
import { testDatabase } from '../support/postgres.js'
import { seeded } from '../support/random.js'

const STEPS = process.env['MILLRACE_FAULTS'] === 'long' ? 2000 : 200
const OVERLAP_MICROS = 1000n

const SQL = 'SELECT id, ts, ts::text AS exact, v FROM log ORDER BY ts, id'

interface Variant {
  name: string
  type: 'timestamp' | 'timestamptz'
  options: IncrementalOptions
}

const VARIANTS: readonly Variant[] = [
  { name: 'the boundary re-read', type: 'timestamp', options: { orderColumn: 'ts' } },
  { name: 'a key', type: 'timestamptz', options: { orderColumn: 'ts', keyColumn: 'id' } },
  { name: 'an overlap', type: 'timestamp', options: { orderColumn: 'ts', overlap: '1 millisecond' } },
  { name: 'a key, an overlap and NULLs', type: 'timestamptz', options: { orderColumn: 'ts', keyColumn: 'id', overlap: '0.001 seconds', nullOrder: 'refetch' } }
]

/** A database whose commits fail when told to: before or after the manifest is in. */
function breakable(dir: string): { store: CacheStore, fail: (when: 'before' | 'after' | undefined) => void } {
  let mode: 'before' | 'after' | undefined
  const real = localCatalog({ dir, durability: 'none' })
  const catalog: Catalog = { ...real, commit: async (...args) => {
    if (mode === 'before') throw new Error('crash before the commit')
    const won = await real.commit(...args)
    if (mode === 'after') throw new Error('crash after the commit')
    return won
  } }
  return { store: new CacheStore({ dir, durability: 'none', catalog, partBytes: 64 * 1024 }), fail: when => { mode = when } }
}

/**
 * What the documentation promises, as arithmetic on the last result and the source: rows below the bound as they were, the rest as
 * the source has it now.
 */
function promised(last: readonly Row[], source: readonly Row[], { keyColumn, overlap, nullOrder }: IncrementalOptions): Row[] {
  const micros = (row: Row): bigint => BigInt((row['ts'] as Date).getTime()) * 1000n + BigInt(/\.\d{3}(\d{1,3})/.exec(row['exact'] as string)?.[1]?.padEnd(3, '0') ?? '0')
  const now = source.filter(row => row['ts'] !== null)
  const nulls = nullOrder === 'refetch' ? source.filter(row => row['ts'] === null) : []
  const cached = last.filter(row => row['ts'] !== null)
  const end = cached.at(-1)
  const highest = now.at(-1)
  if (!end || !highest || micros(highest) < micros(end)) return [...now, ...nulls]
  const boundary = micros(end)
  if (keyColumn && overlap === undefined) {
    const known = cached.filter(row => micros(row) === boundary).length
    const still = now.filter(row => micros(row) === boundary && (row['id'] as number) <= (end['id'] as number)).length
    if (known === still && now.some(row => micros(row) === boundary && row['id'] === end['id'])) return [...cached, ...now.filter(row => micros(row) > boundary || (micros(row) === boundary && (row['id'] as number) > (end['id'] as number))), ...nulls]
  }
  const bound = overlap === undefined ? boundary : boundary - OVERLAP_MICROS
  // moved rows are looked for where somebody asked for an overlap
  const window = new Set(keyColumn === undefined || overlap === undefined ? [] : now.filter(row => micros(row) >= bound).map(row => row['id']))
  return [...cached.filter(row => micros(row) < bound && !window.has(row['id'])), ...now.filter(row => micros(row) >= bound), ...nulls]
}

for (const zone of ['UTC', 'America/Sao_Paulo', 'Asia/Kolkata']) {
  describe(`queryIncremental over ${STEPS} random steps in ${zone}`, function () {
    this.timeout(STEPS * 3000)
    const folder = freshFolder()
    const zoneBefore = process.env['TZ']
    let database: Awaited<ReturnType<typeof testDatabase>>
    let pool: pg.Pool

    before(async () => {
      process.env['TZ'] = zone
      database = await testDatabase()
      pool = new pg.Pool({ connectionString: database.url, max: 6 })
    })
    after(async () => {
      if (zoneBefore === undefined) delete process.env['TZ']
      else process.env['TZ'] = zoneBefore
      await pool.end()
      await database.drop()
    })

    VARIANTS.forEach(({ name, type, options }, v) => {
      it(`equals the source with ${name}, wherever the documentation says so`, async () => {
        const random = seeded(1000 * zone.length + v)
        const client = await pool.connect()
        const source = postgresSource({ pool, batchRows: 64 })
        const { store, fail } = breakable(folder())
        const open = (cacheStore: CacheStore): Promise<Database> => openDatabase({ source, cache: { store: cacheStore } })
        let db = await open(store)
        let clock = Date.UTC(2024, 0, 1) * 1000
        /** What may be cached: one state, or two after a run that was cut short. */
        let states: Row[][] = [[]]
        /** Nothing happened since the last full read that the incremental mode cannot see. */
        let isExact = true
        const late: { client: pg.PoolClient, left: number, clock: number }[] = []
        const at = (micros: number): string => new Date(Math.floor(micros / 1000)).toISOString().replace(/Z$/, String(micros % 1000).padStart(3, '0')) + (type === 'timestamptz' ? 'Z' : '')
        const sourceRows = async (): Promise<Row[]> => {
          const rows: Row[] = []
          for await (const batch of source.query(SQL)) rows.push(...batch.toRows())
          return rows
        }
        const insert = (by: { query: pg.PoolClient['query'] }, micros: number | null): Promise<unknown> =>
          by.query('INSERT INTO log (ts, v) VALUES ($1, $2)', [micros === null ? null : at(micros), random.below(1000)])
        /** What a run may deliver now. */
        const answers = async (): Promise<Row[][]> => {
          const now = await sourceRows()
          return states.map(last => promised(last, now, options))
        }
        const match = (rows: Row[], expected: Row[][]): void => {
          if (!expected.some(answer => isDeepStrictEqual(answer, rows))) expect(rows).to.deep.equal(expected[0])
        }
        const check = async (): Promise<void> => {
          const table = await db.queryIncremental(SQL, options)
          expect(table.report.warnings.filter(({ code }) => code !== 'SOURCE_BELOW_WATERMARK')).to.deep.equal([])
          match(table.toRows(), await answers())
          if (isExact) expect(table.toRows()).to.deep.equal(await sourceRows())
          states = [table.toRows()]
        }

        await client.query(`DROP TABLE IF EXISTS log; CREATE TABLE log (id bigserial PRIMARY KEY, ts ${type}, v int)`)
        try {
          for (let step = 0; step < STEPS / VARIANTS.length; step++) {
            for (const open of late.splice(0)) {
              if (--open.left > 0) late.push(open)
              else {
                await open.client.query('COMMIT')
                if (clock - open.clock > Number(OVERLAP_MICROS)) isExact = false
                open.client.release()
              }
            }
            const kind = random.below(100)
            if (kind < 40) {
              for (let i = random.below(40); i >= 0; i--) {
                if (!random.chance(0.4)) clock += random.pick([1, 1, 7, 400])
                await insert(client, clock)
              }
            } else if (kind < 50) {
              // a commit that comes late: seen only inside an overlap, or at the very boundary
              if (late.length < 2) {
                const other = await pool.connect()
                await other.query('BEGIN')
                await insert(other, clock)
                late.push({ client: other, left: 1 + random.below(2), clock })
                if (options.overlap === undefined) isExact = false
                else clock += 1
              }
            } else if (kind < 57) {
              if (options.nullOrder === 'refetch') await insert(client, null)
            } else if (kind < 60) {
              // a row that moves up: with a key and an overlap its older version goes, from wherever it was
              clock += 1
              await client.query('UPDATE log SET ts = $1, v = v + 1 WHERE id IN (SELECT id FROM log ORDER BY random() LIMIT $2)', [at(clock), 1 + random.below(3)])
              if (options.keyColumn === undefined || options.overlap === undefined) isExact = false
            } else if (kind < 64) {
              // what changed where nobody looks is not seen
              await client.query('UPDATE log SET v = v + 1 WHERE id = (SELECT id FROM log ORDER BY random() LIMIT 1)')
              isExact = false
            } else if (kind < 70) {
              await client.query(random.chance(0.3) ? 'DELETE FROM log WHERE ts = (SELECT max(ts) FROM log)' : 'DELETE FROM log WHERE id = (SELECT id FROM log ORDER BY random() LIMIT 1)')
              isExact = false
            } else if (kind < 72) {
              for (const { client: other } of late.splice(0)) {
                await other.query('ROLLBACK')
                other.release()
              }
              await client.query('TRUNCATE log')
              clock -= random.below(100_000)
              isExact = false
            } else if (kind < 77) {
              const complete = await answers()
              for await (const batch of db.streamIncremental(SQL, options)) if (batch.length > 0) break
              states = [...states, ...complete]
            } else if (kind < 82) {
              const when = random.pick(['before', 'after'] as const)
              fail(when)
              const table = await db.queryIncremental(SQL, options)
              fail(undefined)
              match(table.toRows(), await answers())
              // whichever way the crash went, the next run begins from one of the two states
              if (when === 'after') states = [table.toRows()]
            } else if (kind < 87) {
              // two at once: both are right, neither loses or doubles a row
              const other = new CacheStore({ dir: folder(), durability: 'none' })
              const second = await open(other)
              const expected = await answers()
              const tables = await Promise.all([db.queryIncremental(SQL, options), second.queryIncremental(SQL, options)])
              for (const table of tables) match(table.toRows(), expected)
              states = tables.map(table => table.toRows())
              await second.close()
              await other.close()
            } else if (kind < 90) {
              await db.close()
              db = await open(store)
            } else if (kind < 93) {
              const table = await db.queryIncremental(SQL, { ...options, refresh: 'full' })
              states = [table.toRows()]
              isExact = late.length === 0 || options.overlap !== undefined
              expect(table.toRows()).to.deep.equal(await sourceRows())
            } else if (kind < 95) await new Cache(store).compact()
            await check()
          }
        } finally {
          for (const { client: other } of late) {
            await other.query('ROLLBACK')
            other.release()
          }
          client.release()
          await db.close()
          await store.close()
        }
      })
    })
  })
}
