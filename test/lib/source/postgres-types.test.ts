// needs: postgres
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import pg from 'pg'
import type { RowBatch } from '../../../lib/batch/row-batch.js'
import { postgresSource } from '../../../lib/source/postgres.js'
import { cellText, timestampText } from '../../../lib/batch/cells.js'
import { testDatabase } from '../../support/postgres.js'
import { fetchAll, requestOf } from '../../support/fetch-request.js'

/** A column's type, values as SQL, and what they must become; `as` is the column's type, with its origin after a blank. */
interface Case {
  pg: string
  as: string
  /** SQL text → the cell. */
  values: readonly (readonly [string, unknown])[]
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

const CASES: readonly Case[] = [
  { pg: 'smallint', as: 'int32', values: [['-32768', -32768], ['32767', 32767], ['0', 0]] },
  { pg: 'integer', as: 'int32', values: [['-2147483648', -2147483648], ['2147483647', 2147483647]] },
  { pg: 'bigint', as: 'int64', values: [['-9223372036854775808', -9223372036854775808n], ['9223372036854775807', 9223372036854775807n],
    ['9007199254740991', 9007199254740991], ['9007199254740993', 9007199254740993n], ['1000000000000000', 1000000000000000], ['7', 7]] },
  { pg: 'oid', as: 'int64', values: [['4294967295', 4294967295], ['0', 0]] },
  { pg: 'real', as: 'float32', values: [['0.1', Math.fround(0.1)], ['3.4028235e38', 3.4028234663852886e38], ['1e-45', 1.401298464324817e-45],
    ["'NaN'", NaN], ["'-Infinity'", -Infinity], ["'-0'", -0]] },
  { pg: 'double precision', as: 'float64', values: [['0.1', 0.1], ['1.7976931348623157e308', Number.MAX_VALUE], ['5e-324', Number.MIN_VALUE],
    ["'NaN'", NaN], ["'Infinity'", Infinity], ["'-0'", -0], ['65021.900000000001', 65021.9]] },
  { pg: 'numeric(38,0)', as: 'decimal(38,0)', values: [['99999999999999999999999999999999999999', '99999999999999999999999999999999999999']] },
  { pg: 'numeric(38,38)', as: 'decimal(38,38)', values: [['-0.00000000000000000000000000000000000001', '-0.00000000000000000000000000000000000001']] },
  { pg: 'numeric(10,2)', as: 'decimal(10,2)', values: [['12345678.9', '12345678.90'], ['-0.01', '-0.01'], ['0', '0.00']] },
  { pg: 'numeric', as: 'text numeric', values: [["'NaN'", 'NaN'], ["'Infinity'", 'Infinity'], ['1e100', `1${'0'.repeat(100)}`], ['1.10', '1.10']] },
  { pg: 'numeric(39,1)', as: 'text numeric', values: [['1.5', '1.5']] },
  { pg: 'numeric(5,-2)', as: 'text numeric', values: [['12345', '12300']] },
  { pg: 'boolean', as: 'bool', values: [['true', true], ['false', false]] },
  { pg: 'date', as: 'date', values: [["'2024-02-29'", '2024-02-29'], ["'0044-03-15 BC'", '0044-03-15 BC'], ["'12024-01-01'", '12024-01-01'],
    ["'infinity'", 'infinity'], ["'-infinity'", '-infinity'], ["'4713-01-01 BC'", '4713-01-01 BC'], ["'5874897-12-31'", '5874897-12-31']] },
  { pg: 'time', as: 'time', values: [["'00:00:00'", '00:00:00'], ["'23:59:59.999999'", '23:59:59.999999'], ["'24:00:00'", '24:00:00']] },
  { pg: 'timestamp', as: 'timestamp', values: [["'2024-01-02 03:04:05.678901'", new Date('2024-01-02T03:04:05.678Z')],
    ["'2018-11-04 00:30:00'", new Date('2018-11-04T00:30:00Z')], ["'1969-12-31 23:59:59.999999'", new Date(-1)],
    ["'infinity'", 'infinity'], ["'-infinity'", '-infinity'], ["'294246-12-31 23:59:59'", new Date(Date.UTC(275760, 0) + 0) && '294246-12-31 23:59:59'],
    ["'0044-03-15 12:00:00 BC'", new Date(Date.UTC(-43, 2, 15, 12))]] },
  { pg: 'timestamptz', as: 'timestamptz', values: [["'2024-01-02 03:04:05.678901+05:30'", new Date('2024-01-01T21:34:05.678Z')],
    ["'infinity'", 'infinity'], ["'4713-01-01 00:00:00+00 BC'", new Date(Date.UTC(-4712, 0, 1))], ["'12024-05-06 00:00:00+00'", new Date(Date.UTC(12024, 4, 6))]] },
  { pg: 'uuid', as: 'uuid', values: [["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']] },
  { pg: 'bytea', as: 'bytes', values: [["''", bytes()], ["'\\x00ff7f'", bytes(0, 255, 127)]] },
  { pg: 'json', as: 'json', values: [["'{\"b\":1, \"a\":[1.10,null]}'", { b: 1, a: [1.1, null] }], ["'null'", null], ["'\"x\"'", 'x']] },
  { pg: 'jsonb', as: 'json', values: [["'{\"b\":1,\"a\":{\"c\":true}}'", { a: { c: true }, b: 1 }], ["'[]'", []]] },
  { pg: 'text', as: 'text', values: [["''", ''], ["'NULL'", 'NULL'], ["E'a\\nb\\\\c'", 'a\nb\\c'], ["'ünï😀'", 'ünï😀']] },
  { pg: 'varchar(3)', as: 'text', values: [["'ab'", 'ab']] },
  { pg: 'char(4)', as: 'text', values: [["'ab'", 'ab  ']] },
  { pg: 'name', as: 'text', values: [["'pg_class'", 'pg_class']] },
  { pg: '"char"', as: 'text char', values: [["'x'", 'x']] },
  { pg: 'mood', as: 'text mood', values: [["'sad'", 'sad']] },
  { pg: 'email', as: 'text', values: [["'a@b'", 'a@b']] },
  { pg: 'price', as: 'decimal(12,3)', values: [['1.5', '1.500']] },
  { pg: 'small_price', as: 'decimal(12,3)', values: [['2', '2.000']] },
  { pg: 'interval', as: 'text interval', values: [["'1 year 2 mons -3 days 04:05:06.7'", 'P1Y2M-3DT4H5M6.7S']] },
  { pg: 'timetz', as: 'text timetz', values: [["'01:02:03.5-03:30'", '01:02:03.5-03:30']] },
  { pg: 'money', as: 'text money', values: [['12.34', '$12.34']] },
  { pg: 'int4range', as: 'text int4range', values: [["'[1,5]'", '[1,6)'], ["'empty'", 'empty']] },
  { pg: 'inet', as: 'text inet', values: [["'::1/64'", '::1/64']] },
  { pg: 'cidr', as: 'text cidr', values: [["'10.0.0.0/8'", '10.0.0.0/8']] },
  { pg: 'macaddr', as: 'text macaddr', values: [["'08:00:2b:01:02:03'", '08:00:2b:01:02:03']] },
  { pg: 'bit(4)', as: 'text bit', values: [["'1010'", '1010']] },
  { pg: 'bit varying', as: 'text varbit', values: [["''", ''], ["'101'", '101']] },
  { pg: 'pair', as: 'text pair', values: [["'(1,\"a b\")'", '(1,"a b")']] },
  { pg: 'tsvector', as: 'text tsvector', values: [["'a fat'", "'a' 'fat'"]] },
  { pg: 'point', as: 'text point', values: [["'(1,2)'", '(1,2)']] },
  { pg: 'box', as: 'text box', values: [["'(3,4),(1,2)'", '(3,4),(1,2)']] },
  { pg: 'int2vector', as: 'text int2vector', values: [["'1 2 3'", '1 2 3']] },
  { pg: 'pg_lsn', as: 'text pg_lsn', values: [["'16/B374D848'", '16/B374D848']] },
  { pg: 'integer[]', as: 'list<int32>', values: [["'{}'", []], ["'{1,NULL,3}'", [1, null, 3]], ["'[0:1]={7,8}'", [7, 8]]] },
  { pg: 'bigint[]', as: 'list<int64>', values: [["'{1,9007199254740993}'", [1, 9007199254740993n]]] },
  { pg: 'real[]', as: 'list<float32>', values: [["'{0.1,NaN}'", [Math.fround(0.1), NaN]]] },
  { pg: 'boolean[]', as: 'list<bool>', values: [["'{t,f,NULL}'", [true, false, null]]] },
  { pg: 'text[]', as: 'list<text>', values: [["ARRAY['a,b','\"q\"','\\','NULL',NULL,'','{x}',' s ']", ['a,b', '"q"', '\\', 'NULL', null, '', '{x}', ' s ']]] },
  { pg: 'numeric(6,2)[]', as: 'list<decimal(6,2)>', values: [["'{1,2.5}'", ['1.00', '2.50']]] },
  { pg: 'numeric[]', as: 'list<text> numeric[]', values: [["'{1.10,NaN}'", ['1.10', 'NaN']]] },
  { pg: 'timestamptz[]', as: 'list<timestamptz>', values: [["'{\"2024-01-02 03:04:05+00\",NULL}'", [new Date('2024-01-02T03:04:05Z'), null]]] },
  { pg: 'bytea[]', as: 'list<bytes>', values: [["ARRAY['\\x01'::bytea, '\\x'::bytea]", [bytes(1), bytes()]]] },
  { pg: 'uuid[]', as: 'list<uuid>', values: [["'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']]] },
  { pg: 'mood[]', as: 'list<text> mood[]', values: [["'{sad,NULL}'", ['sad', null]]] },
  { pg: 'small_price[]', as: 'list<decimal(12,3)>', values: [["'{1}'", ['1.000']]] },
  { pg: 'inet[]', as: 'list<text> inet[]', values: [["'{10.0.0.1}'", ['10.0.0.1']]] },
  { pg: 'box[]', as: 'list<text> box[]', values: [["'{(3,4),(1,2);(2,2),(1,1)}'", ['(3,4),(1,2)', '(2,2),(1,1)']]] },
  { pg: 'integer[][]', as: 'json int32[][]', values: [["'{{1,2},{3,NULL}}'", [[1, 2], [3, null]]], ["'{}'", []], ["'{5}'", [5]]] },
  { pg: 'text[][]', as: 'json text[][]', values: [["ARRAY[['a\"','b'],['NULL',NULL]]", [['a"', 'b'], ['NULL', null]]]] },
]

const SETUP = `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
  CREATE DOMAIN price AS numeric(12,3); CREATE DOMAIN small_price AS price CHECK (VALUE < 100); CREATE TYPE pair AS (a int, b text)`

describe('postgresSource types', function () {
  this.timeout(30_000)
  let pool: pg.Pool
  let drop: () => Promise<void>

  before(async () => {
    const database = await testDatabase()
    drop = database.drop
    pool = new pg.Pool({ connectionString: database.url, max: 2 })
    await pool.query(SETUP)
    const columns = CASES.map((one, i) => `c${i} ${one.pg}`)
    await pool.query(`CREATE TABLE t (id bigint PRIMARY KEY, ${columns.join(', ')})`)
    const depth = Math.max(...CASES.map(one => one.values.length))
    for (let row = 0; row < depth; row++) {
      const values = CASES.map(one => one.values[row]?.[0] ?? 'NULL')
      await pool.query(`INSERT INTO t VALUES (${row}, ${values.join(', ')})`)
    }
    await pool.query('INSERT INTO t (id) VALUES (100)')
  })
  after(async () => {
    await pool.end()
    await drop()
  })

  const check = (batch: RowBatch, row: number): void => {
    const cells = batch.toRows()[0]!
    CASES.forEach((one, i) => {
      const field = batch.schema[i + 1]!
      expect(`${field.type}${field.origin === undefined ? '' : ` ${field.origin}`}`, one.pg).to.equal(one.as)
      const expected = one.values[row]?.[1] ?? null
      expect(cells[`c${i}`], `${one.pg} of row ${row}`).to.deep.equal(expected)
      if (Object.is(expected, -0)) expect(cells[`c${i}`]).to.satisfy((value: unknown) => Object.is(value, -0))
    })
  }
  const names = CASES.map((_, i) => `c${i}`)

  it('gives every built-in type exactly, by id and by query, under any number of nulls', async () => {
    const source = postgresSource({ pool })
    for (const row of [0, 1, 2, 3, 4, 5, 6, 100]) {
      const [fetched] = await fetchAll(source, [row], 'public.t', requestOf(names))
      check(fetched!, row)
    }
    const batches: RowBatch[] = []
    for await (const batch of source.query(`SELECT id, ${names.filter((_, i) => !CASES[i]!.pg.endsWith('[][]')).join(', ')} FROM t ORDER BY id`)) batches.push(batch)
    expect(batches[0]!.length).to.equal(8)
  })

  it('keeps microseconds in columns, as the server prints them', async () => {
    const source = postgresSource({ pool })
    const [batch] = await fetchAll(source, [0], 'public.t', requestOf(names))
    for (const [i, one] of CASES.entries()) {
      if (one.pg !== 'timestamp' && one.pg !== 'timestamptz') continue
      const { rows } = await pool.query(`SELECT (c${i} ${one.pg === 'timestamptz' ? "AT TIME ZONE 'UTC'" : ''})::text AS x FROM t WHERE id = 0`)
      const micros = batch!.column(`c${i}`)[0] as bigint
      expect(timestampText(micros, 'timestamp')).to.equal((rows[0] as { x: string }).x)
    }
    expect(cellText(null)).to.equal('')
  })

  it('gives the same values whatever the time zone and settings of the session and the process', async () => {
    const script = fileURLToPath(new URL('../../support/print-types.ts', import.meta.url))
    const { connectionString } = pool.options
    const outputs = ['UTC', 'America/Sao_Paulo', 'Asia/Kolkata'].map(zone => {
      const { stdout, stderr, status } = spawnSync(process.execPath, ['--import=tsx', script, connectionString!, names.join(',')],
        { env: { ...process.env, TZ: zone, PGTZ: zone, PGOPTIONS: `-c DateStyle=German -c IntervalStyle=postgres_verbose -c bytea_output=escape -c extra_float_digits=-5 -c TimeZone=${zone}` }, encoding: 'utf8' })
      expect(status, stderr).to.equal(0)
      return stdout
    })
    expect(outputs[1]).to.equal(outputs[0])
    expect(outputs[2]).to.equal(outputs[0])
    expect(outputs[0]).to.contain('2024-02-29')
  })

  it('refuses what a column type cannot hold, naming the column and the way out', async () => {
    await pool.query(`CREATE TABLE odd (id int PRIMARY KEY, amount numeric(5,2), list int[]); INSERT INTO odd VALUES (1, 'NaN', '{1}'), (2, 1, '{{1,2},{3,4}}')`)
    const source = postgresSource({ pool })
    await expectError(fetchAll(source, [1], 'public.odd', requestOf(['amount'])), /amount.*NaN.*columnTypes: \{ "amount": 'text' \}/)
    await expectError(fetchAll(source, [2], 'public.odd', requestOf(['list'])), /list.*two or more dimensions.*columnTypes/)
    const declared = postgresSource({ pool, columnTypes: { amount: 'text', list: 'json' } })
    const rows = (await fetchAll(declared, [1, 2], 'public.odd', requestOf(['amount', 'list']))).flatMap(batch => batch.toRows())
    expect(rows).to.deep.equal([{ id: 1, amount: 'NaN', list: [1] }, { id: 2, amount: '1.00', list: [[1, 2], [3, 4]] }])
  })

  it('binds dates by value, not by the process time zone', async () => {
    const source = postgresSource({ pool })
    const when = new Date('2024-07-01T12:34:56.789Z')
    const sql = "SELECT $1::timestamp::text AS naive, ($2::timestamptz AT TIME ZONE 'UTC')::text AS zoned, $3::timestamp[] AS list, $4::text AS nothing"
    for await (const batch of source.query(sql, { params: [when, when, [when], undefined] })) {
      expect(batch.toRows()).to.deep.equal([{ naive: '2024-07-01 12:34:56.789', zoned: '2024-07-01 12:34:56.789', list: [when], nothing: null }])
    }
  })
})

async function expectError(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error: unknown = await promise.then(() => undefined, (thrown: unknown) => thrown)
  expect(error).to.be.instanceOf(Error)
  expect((error as Error).message).to.match(message)
}
