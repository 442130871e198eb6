// needs: postgres
import { expect } from 'chai'
import pg from 'pg'
import type { ColumnType } from '../../lib/batch/column-type.js'
import { postgresSource } from '../../lib/source/postgres.js'
import type { Database } from '../../pipelines/open-database.js'
import type { IncrementalOptions } from '../../pipelines/query-options.js'
import { rejection } from '../support/collect.js'
import { eventTable } from '../support/event-table.js'

describe('parameters and declared types of cached queries', function () {
  this.timeout(60_000)
  const events = eventTable()
  const { open, addRows } = events
  let client: pg.Client
  let db: Database
  beforeEach(() => { ({ client, db } = events) })

  it('takes parameters as they are at the call, whatever becomes of them before it runs', async () => {
    const sql = 'SELECT $1::int AS n, $2::int[] AS list, $3::bytea AS bytes, $4::timestamptz AS at, $5::jsonb AS doc, 1 AS o'
    const given = () => ({ n: [1], list: [2, 3], bytes: Buffer.from([4]), at: new Date(5), doc: { a: [6] } })
    const paramsOf = ({ n: [n], list, bytes, at, doc }: ReturnType<typeof given>): unknown[] => [n, list, bytes, at, doc]
    const expected = (await db.query(sql, { params: paramsOf(given()), cache: false })).toRows()
    for (const ask of [(params: unknown[]) => db.query(sql, { params }), (params: unknown[]) => db.queryIncremental(sql, { params, orderColumn: 'o' })]) {
      const values = given()
      const params = paramsOf(values)
      const running = ask(params)
      params[0] = 7
      values.list.push(7)
      values.bytes[0] = 7
      values.at.setTime(7)
      values.doc.a[0] = 7
      expect((await running).toRows()).to.deep.equal(expected)
      expect((await ask(paramsOf(given()))).toRows()).to.deep.equal(expected)
    }
  })

  it('takes parameters beside an overlap', async () => {
    await addRows(5)
    for (const [count, fetched] of [[3, 3], [4, 2]] as const) {
      const table = await db.queryIncremental('SELECT * FROM ev WHERE n > $1 AND name <> $2', { params: [2, 'none'], orderColumn: 'at', keyColumn: 'id', overlap: '0 seconds' })
      expect([table.length, table.report.fetched]).to.deep.equal([count, fetched])
      await addRows(1, 5)
    }
  })

  it('refuses an order or key column that is declared as a type that rounds it', async () => {
    await client.query('CREATE TABLE o (id int8, n numeric(30,5), f float8, r real); INSERT INTO o VALUES (1, 9007199254740993.1, 1.00000001, 0.1), (2, 9007199254740993.2, 1.00000002, 0.2)')
    const pool = new pg.Pool({ connectionString: events.url })
    const ask = async (columnTypes: Record<string, ColumnType>, options: IncrementalOptions) => {
      const declared = await open({ connectionString: undefined, source: postgresSource({ pool, columnTypes }) })
      for (let run = 0; run < 2; run++) expect((await declared.queryIncremental('SELECT * FROM o', options)).column('r')).to.have.length(2)
      await declared.close()
    }
    for (const [columnTypes, orderColumn, keyColumn] of [[{ n: 'float64' }, 'n'], [{ f: 'float32' }, 'f'], [{ id: 'float64' }, 'f', 'id']] as const) {
      expect(await rejection(ask(columnTypes, { orderColumn, keyColumn }))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: keyColumn ? 'keyColumn' : 'orderColumn' })
    }
    await ask({ n: 'decimal(38,5)', id: 'text', r: 'float64' }, { orderColumn: 'n', keyColumn: 'id' })
    await ask({ r: 'float64', f: 'float64', id: 'int32' }, { orderColumn: 'r', keyColumn: 'id' })
    await pool.end()
  })

  it('tells apart sources that read columns as other types, also of a pool that does not say where it connects to', async () => {
    const pool = new pg.Pool({ connectionString: events.url })
    for (const given of [pool, { connect: () => pool.connect() }]) {
      const typesOf = async (columnTypes?: Record<string, ColumnType>): Promise<unknown[]> => {
        const other = await open({ connectionString: undefined, source: postgresSource({ pool: given, ...(columnTypes ? { columnTypes } : {}) }) })
        const { schema } = await other.query('SELECT 1.5::numeric(10,2) AS n, 1 AS i')
        await other.close()
        return schema.map(({ type }) => type)
      }
      for (let run = 0; run < 2; run++) {
        expect([await typesOf(), await typesOf({ n: 'text', i: 'int64' }), await typesOf({ n: 'float64' })]).to.deep.equal([['decimal(10,2)', 'int32'], ['text', 'int64'], ['float64', 'int32']])
      }
    }
    await pool.end()
    expect(postgresSource({ pool, columnTypes: {} }).settings).to.equal(postgresSource({ pool }).settings)
  })
})
