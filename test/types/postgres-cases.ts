/** Every PostgreSQL type that users have: how it is read, and what its values must be. Shared by the tests of all judges. */
import type pg from 'pg'

export interface Case {
  /** The column's type in SQL. */
  pg: string
  /** The column's type in `schema`, with its origin after a blank. */
  as: string
  /** SQL expression → what the row holds. */
  values: readonly (readonly [string, unknown])[]
  /** What DuckDB calls the file's column. */
  duckdb: string
  /** Created by an extension that may be missing. */
  extension?: string
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const UUID = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'

export const CASES: readonly Case[] = [
  { pg: 'smallint', as: 'int32', duckdb: 'INTEGER', values: [['-32768', -32768], ['32767', 32767], ['0', 0]] },
  { pg: 'integer', as: 'int32', duckdb: 'INTEGER', values: [['-2147483648', -2147483648], ['2147483647', 2147483647]] },
  { pg: 'bigint', as: 'int64', duckdb: 'BIGINT', values: [['-9223372036854775808', -9223372036854775808n], ['9223372036854775807', 9223372036854775807n],
    ['9007199254740991', 9007199254740991], ['9007199254740993', 9007199254740993n], ['-9007199254740992', -9007199254740992n], ['7', 7]] },
  { pg: 'oid', as: 'int64', duckdb: 'BIGINT', values: [['4294967295', 4294967295], ['0', 0]] },
  { pg: 'real', as: 'float32', duckdb: 'FLOAT', values: [['0.1', Math.fround(0.1)], ['3.4028235e38', 3.4028234663852886e38], ['1e-45', 1.401298464324817e-45],
    ["'NaN'", NaN], ["'-Infinity'", -Infinity], ["'Infinity'", Infinity], ["'-0'", -0]] },
  { pg: 'double precision', as: 'float64', duckdb: 'DOUBLE', values: [['0.1', 0.1], ['1.7976931348623157e308', Number.MAX_VALUE], ['5e-324', Number.MIN_VALUE],
    ["'NaN'", NaN], ["'Infinity'", Infinity], ["'-Infinity'", -Infinity], ["'-0'", -0]] },
  { pg: 'numeric(5,2)', as: 'decimal(5,2)', duckdb: 'DECIMAL(5,2)', values: [['-999.99', '-999.99'], ['0', '0.00'], ['1.5', '1.50']] },
  { pg: 'numeric(18,4)', as: 'decimal(18,4)', duckdb: 'DECIMAL(18,4)', values: [['99999999999999.9999', '99999999999999.9999'], ['-0.0001', '-0.0001']] },
  { pg: 'numeric(38,10)', as: 'decimal(38,10)', duckdb: 'DECIMAL(38,10)', values: [['9999999999999999999999999999.9999999999', '9999999999999999999999999999.9999999999'], ['-1e-9', '-0.0000000010']] },
  { pg: 'numeric(38,0)', as: 'decimal(38,0)', duckdb: 'DECIMAL(38,0)', values: [['-99999999999999999999999999999999999999', '-99999999999999999999999999999999999999']] },
  { pg: 'numeric', as: 'text numeric', duckdb: 'VARCHAR', values: [["'NaN'", 'NaN'], ["'-Infinity'", '-Infinity'], ['1e100', `1${'0'.repeat(100)}`], ['1.10', '1.10'],
    ['12345678901234567890123456789012345678.90', '12345678901234567890123456789012345678.90'], ['1e-130', `0.${'0'.repeat(129)}1`]] },
  { pg: 'numeric(45,3)', as: 'text numeric', duckdb: 'VARCHAR', values: [['1.5', '1.500']] },
  { pg: 'money', as: 'text money', duckdb: 'VARCHAR', values: [['12.34', '$12.34'], ['-1234.5', '-$1,234.50']] },
  { pg: 'boolean', as: 'bool', duckdb: 'BOOLEAN', values: [['true', true], ['false', false]] },
  { pg: 'text', as: 'text', duckdb: 'VARCHAR', values: [["''", ''], ["'NULL'", 'NULL'], ["E'a\\nb\\\\c\\t'", 'a\nb\\c\t'], ["'ünï😀\ufeff'", 'ünï😀\ufeff'], ["repeat('x', 70000)", 'x'.repeat(70000)]] },
  { pg: 'varchar(3)', as: 'text', duckdb: 'VARCHAR', values: [["'ab'", 'ab'], ["'é😀 '", 'é😀 ']] },
  { pg: 'char(4)', as: 'text', duckdb: 'VARCHAR', values: [["'ab'", 'ab  ']] },
  { pg: 'citext', as: 'text', duckdb: 'VARCHAR', extension: 'citext', values: [["'MiXed'", 'MiXed']] },
  { pg: 'name', as: 'text', duckdb: 'VARCHAR', values: [["'pg_class'", 'pg_class']] },
  { pg: '"char"', as: 'text char', duckdb: 'VARCHAR', values: [["'x'", 'x']] },
  { pg: 'bytea', as: 'bytes', duckdb: 'BLOB', values: [["''", bytes()], ["'\\x00ff7f80'", bytes(0, 255, 127, 128)], ["decode(repeat('ab', 3000), 'hex')", new Uint8Array(3000).fill(0xab)]] },
  { pg: 'date', as: 'date', duckdb: 'DATE', values: [["'2024-02-29'", '2024-02-29'], ["'1969-12-31'", '1969-12-31'], ["'0044-03-15 BC'", '0044-03-15 BC'], ["'12024-01-01'", '12024-01-01'],
    ["'infinity'", 'infinity'], ["'-infinity'", '-infinity'], ["'4713-11-24 BC'", '4713-11-24 BC'], ["'5874897-12-31'", '5874897-12-31']] },
  { pg: 'time', as: 'time', duckdb: 'TIME', values: [["'00:00:00'", '00:00:00'], ["'23:59:59.999999'", '23:59:59.999999'], ["'24:00:00'", '24:00:00'], ["'01:02:03.5'", '01:02:03.5']] },
  { pg: 'timetz', as: 'text timetz', duckdb: 'VARCHAR', values: [["'01:02:03.5-03:30'", '01:02:03.5-03:30'], ["'24:00:00+15:59'", '24:00:00+15:59']] },
  { pg: 'timestamp', as: 'timestamp', duckdb: 'TIMESTAMP', values: [["'2024-01-02 03:04:05.678901'", new Date('2024-01-02T03:04:05.678Z')],
    ["'2018-11-04 00:30:00'", new Date('2018-11-04T00:30:00Z')], ["'1969-12-31 23:59:59.999999'", new Date(-1)], ["'infinity'", 'infinity'], ["'-infinity'", '-infinity'],
    ["'294246-12-31 23:59:59'", '294246-12-31 23:59:59'], ["'0044-03-15 12:00:00 BC'", new Date(Date.UTC(-43, 2, 15, 12))], ["'4713-11-24 00:00:00 BC'", new Date(Date.UTC(-4712, 10, 24))]] },
  { pg: 'timestamptz', as: 'timestamptz', duckdb: 'TIMESTAMP WITH TIME ZONE', values: [["'2024-01-02 03:04:05.678901+05:30'", new Date('2024-01-01T21:34:05.678Z')],
    ["'2018-11-04 00:30:00-03'", new Date('2018-11-04T03:30:00Z')], ["'infinity'", 'infinity'], ["'-infinity'", '-infinity'],
    ["'4713-11-24 00:00:00+00 BC'", new Date(Date.UTC(-4712, 10, 24))], ["'12024-05-06 00:00:00+00'", new Date(Date.UTC(12024, 4, 6))], ["'294246-12-31 23:59:59.5+00'", '294246-12-31 23:59:59.5+00']] },
  { pg: 'interval', as: 'text interval', duckdb: 'VARCHAR', values: [["'1 year 2 mons -3 days 04:05:06.7'", 'P1Y2M-3DT4H5M6.7S'], ["'0'", 'PT0S'], ["'-0.000001 sec'", 'PT-0.000001S']] },
  { pg: 'uuid', as: 'uuid', duckdb: 'UUID', values: [["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", UUID]] },
  { pg: 'json', as: 'json', duckdb: 'JSON', values: [["'{\"b\":1, \"a\":[1.10,null]}'", { b: 1, a: [1.1, null] }], ["'null'", null], ["'\"x\"'", 'x'], ["'{\"a\":1,\"a\":2}'", { a: 2 }], ["'[-0, 1e2]'", [-0, 100]]] },
  { pg: 'jsonb', as: 'json', duckdb: 'JSON', values: [["'{\"b\":1,\"a\":{\"c\":true}}'", { a: { c: true }, b: 1 }], ["'[]'", []], ["'9007199254740993'", 9007199254740992], ["'\"\\u00e9\"'", 'é'], ["'{\"__proto__\": {\"x\": 1}}'", JSON.parse('{"__proto__": {"x": 1}}')]] },
  { pg: 'mood', as: 'text mood', duckdb: 'VARCHAR', values: [["'sad'", 'sad']] },
  { pg: 'email', as: 'text', duckdb: 'VARCHAR', values: [["'a@b'", 'a@b']] },
  { pg: 'small_price', as: 'decimal(12,3)', duckdb: 'DECIMAL(12,3)', values: [['2', '2.000']] },
  { pg: 'int4range', as: 'text int4range', duckdb: 'VARCHAR', values: [["'[1,5]'", '[1,6)'], ["'empty'", 'empty']] },
  { pg: 'tstzrange', as: 'text tstzrange', duckdb: 'VARCHAR', values: [["'[2024-01-01 00:00:00+02,)'", '["2023-12-31 22:00:00+00",)']] },
  { pg: 'inet', as: 'text inet', duckdb: 'VARCHAR', values: [["'::1/64'", '::1/64'], ["'10.0.0.1'", '10.0.0.1']] },
  { pg: 'cidr', as: 'text cidr', duckdb: 'VARCHAR', values: [["'10.0.0.0/8'", '10.0.0.0/8']] },
  { pg: 'macaddr', as: 'text macaddr', duckdb: 'VARCHAR', values: [["'08-00-2b-01-02-03'", '08:00:2b:01:02:03']] },
  { pg: 'bit(4)', as: 'text bit', duckdb: 'VARCHAR', values: [["'1010'", '1010']] },
  { pg: 'bit varying', as: 'text varbit', duckdb: 'VARCHAR', values: [["''", ''], ["'101'", '101']] },
  { pg: 'xml', as: 'text xml', duckdb: 'VARCHAR', values: [["'<a>é</a>'", '<a>é</a>']] },
  { pg: 'pair', as: 'text pair', duckdb: 'VARCHAR', values: [["'(1,\"a b\")'", '(1,"a b")'], ["'(,)'", '(,)']] },
  { pg: 'tsvector', as: 'text tsvector', duckdb: 'VARCHAR', values: [["'a fat'", "'a' 'fat'"]] },
  { pg: 'point', as: 'text point', duckdb: 'VARCHAR', values: [["'(1,2)'", '(1,2)']] },
  { pg: 'geometry', as: 'bytes geometry', duckdb: 'BLOB', values: [["'0101000020e6100000000000000000f03f0000000000000040'", Uint8Array.from(Buffer.from('0101000020e6100000000000000000f03f0000000000000040', 'hex'))]] },
  { pg: 'smallint[]', as: 'list<int32>', duckdb: 'INTEGER[]', values: [["'{}'", []], ["'{1,NULL,3}'", [1, null, 3]]] },
  { pg: 'integer[]', as: 'list<int32>', duckdb: 'INTEGER[]', values: [["'{}'", []], ["'{NULL}'", [null]], ["'[0:1]={7,8}'", [7, 8]]] },
  { pg: 'bigint[]', as: 'list<int64>', duckdb: 'BIGINT[]', values: [["'{1,9007199254740993,NULL}'", [1, 9007199254740993n, null]], ["'{2}'", [2]]] },
  { pg: 'oid[]', as: 'list<int64>', duckdb: 'BIGINT[]', values: [["'{4294967295}'", [4294967295]]] },
  { pg: 'real[]', as: 'list<float32>', duckdb: 'FLOAT[]', values: [["'{0.1,NaN,-0}'", [Math.fround(0.1), NaN, -0]]] },
  { pg: 'double precision[]', as: 'list<float64>', duckdb: 'DOUBLE[]', values: [["'{0.1,NaN,-Infinity}'", [0.1, NaN, -Infinity]]] },
  { pg: 'numeric(6,2)[]', as: 'list<decimal(6,2)>', duckdb: 'DECIMAL(6,2)[]', values: [["'{1,2.5,NULL}'", ['1.00', '2.50', null]]] },
  { pg: 'numeric[]', as: 'list<text> numeric[]', duckdb: 'VARCHAR[]', values: [["'{1.10,NaN}'", ['1.10', 'NaN']]] },
  { pg: 'boolean[]', as: 'list<bool>', duckdb: 'BOOLEAN[]', values: [["'{t,f,NULL}'", [true, false, null]]] },
  { pg: 'text[]', as: 'list<text>', duckdb: 'VARCHAR[]', values: [["ARRAY['a,b','\"q\"','\\','NULL',NULL,'','{x}',' s ','é😀']", ['a,b', '"q"', '\\', 'NULL', null, '', '{x}', ' s ', 'é😀']]] },
  { pg: 'bytea[]', as: 'list<bytes>', duckdb: 'BLOB[]', values: [["ARRAY['\\x01ff'::bytea, '\\x'::bytea, NULL]", [bytes(1, 255), bytes(), null]]] },
  { pg: 'date[]', as: 'list<date>', duckdb: 'DATE[]', values: [["'{2024-02-29,NULL,infinity,\"0044-03-15 BC\"}'", ['2024-02-29', null, 'infinity', '0044-03-15 BC']]] },
  { pg: 'time[]', as: 'list<time>', duckdb: 'TIME[]', values: [["'{01:02:03.000004,NULL}'", ['01:02:03.000004', null]]] },
  { pg: 'timestamp[]', as: 'list<timestamp>', duckdb: 'TIMESTAMP[]', values: [["'{\"2018-11-04 00:30:00.000001\",NULL,infinity}'", [new Date('2018-11-04T00:30:00Z'), null, 'infinity']]] },
  { pg: 'timestamptz[]', as: 'list<timestamptz>', duckdb: 'TIMESTAMP WITH TIME ZONE[]', values: [["'{\"2024-01-02 03:04:05+05:30\",NULL}'", [new Date('2024-01-01T21:34:05Z'), null]]] },
  { pg: 'uuid[]', as: 'list<uuid>', duckdb: 'UUID[]', values: [[`'{${UUID},NULL}'`, [UUID, null]]] },
  { pg: 'jsonb[]', as: 'list<json>', duckdb: 'JSON[]', values: [["ARRAY['{\"a\":1}'::jsonb, 'null', NULL, '\"x\"']", [{ a: 1 }, null, null, 'x']]] },
  { pg: 'interval[]', as: 'list<text> interval[]', duckdb: 'VARCHAR[]', values: [["'{1 day,NULL}'", ['P1D', null]]] },
  { pg: 'mood[]', as: 'list<text> mood[]', duckdb: 'VARCHAR[]', values: [["'{sad,NULL}'", ['sad', null]]] },
  { pg: 'small_price[]', as: 'list<decimal(12,3)>', duckdb: 'DECIMAL(12,3)[]', values: [["'{1}'", ['1.000']]] },
  { pg: 'inet[]', as: 'list<text> inet[]', duckdb: 'VARCHAR[]', values: [["'{10.0.0.1}'", ['10.0.0.1']]] },
  { pg: 'pair[]', as: 'list<text> pair[]', duckdb: 'VARCHAR[]', values: [["ARRAY['(1,\"a \\\"\\\" b\")'::pair]", ['(1,"a """" b")']]] },
  { pg: 'integer[][]', as: 'json int32[][]', duckdb: 'JSON', values: [["'{{1,2},{3,NULL}}'", [[1, 2], [3, null]]], ["'{}'", []], ["'{5}'", [5]], ["'{{{1}},{{2}}}'", [[[1]], [[2]]]]] },
  { pg: 'bigint[][]', as: 'json int64[][]', duckdb: 'JSON', values: [["'{{1,2}}'", [[1, 2]]]] },
  { pg: 'timestamptz[][]', as: 'json timestamptz[][]', duckdb: 'JSON', values: [["'{{\"2024-01-02 03:04:05.123456+05:30\"}}'", [['2024-01-01 21:34:05.123456+00']]]] },
  { pg: 'text[][]', as: 'json text[][]', duckdb: 'JSON', values: [["ARRAY[['a\"','b'],['NULL',NULL]]", [['a"', 'b'], ['NULL', null]]]] },
]

const SETUP = `CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
  CREATE DOMAIN price AS numeric(12,3); CREATE DOMAIN small_price AS price CHECK (VALUE < 100); CREATE TYPE pair AS (a int, b text)`

/** PostGIS prints geometries as hexadecimal text; so does this stand-in, where PostGIS is missing. */
const GEOMETRY = `CREATE TYPE geometry;
  CREATE FUNCTION geometry_in(cstring) RETURNS geometry LANGUAGE internal IMMUTABLE STRICT AS 'textin';
  CREATE FUNCTION geometry_out(geometry) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
  CREATE TYPE geometry (INPUT = geometry_in, OUTPUT = geometry_out, LIKE = text, DELIMITER = ':')`

/** The ids of the rows that `createCases` makes: one per depth of values, and one of nulls. */
export const NULL_ROW = 1000

/** The table `public.t` with a column `c0`, `c1` … per case. Returns the cases this server has. */
export async function createCases(pool: pg.Pool): Promise<readonly Case[]> {
  const missing = new Set<string>()
  for (const extension of ['citext']) await pool.query(`CREATE EXTENSION ${extension}`).catch(() => missing.add(extension))
  await pool.query('CREATE EXTENSION postgis').catch(() => pool.query(GEOMETRY))
  await pool.query(SETUP)
  const cases = CASES.filter(one => !one.extension || !missing.has(one.extension))
  await pool.query(`CREATE TABLE t (id bigint PRIMARY KEY, ${cases.map((one, i) => `c${i} ${one.pg}`).join(', ')})`)
  for (let row = 0; row < depthOf(cases); row++) {
    await pool.query(`INSERT INTO t VALUES (${row}, ${cases.map(one => one.values[row]?.[0] ?? 'NULL').join(', ')})`)
  }
  await pool.query(`INSERT INTO t (id) VALUES (${NULL_ROW})`)
  return cases
}

function depthOf(cases: readonly Case[]): number {
  return Math.max(...cases.map(one => one.values.length))
}

export function columnsOf(cases: readonly Case[]): string[] {
  return cases.map((_, i) => `c${i}`)
}

/** The rows that the table's values must come back as. */
export function expectedRows(cases: readonly Case[]): Record<string, unknown>[] {
  const rowOf = (id: number): Record<string, unknown> => ({ id, ...Object.fromEntries(cases.map((one, i) => [`c${i}`, one.values[id]?.[1] ?? null])) })
  return [...Array.from({ length: depthOf(cases) }, (_, row) => rowOf(row)), rowOf(NULL_ROW)]
}
