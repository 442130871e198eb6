// needs: postgres
import pg from 'pg'
import { expect } from 'chai'
import { postgresSource } from '../../../lib/source/postgres.js'
import type { Source } from '../../../lib/source/fetcher.js'
import { testDatabase } from '../../support/postgres.js'
import { expectSameRows, type LawCase } from './narrowing-law.js'

/** What a query says twice: populated, then narrowed with what came of it. */
function itself(query: string, law: Partial<LawCase> = {}): LawCase {
  return { populate: [query], query, outcome: 'either', ...law }
}

const NEW_YORK = ["SET TIME ZONE 'America/New_York'"]
const NUMBERS = 'CREATE TABLE t (region_id int, x int); INSERT INTO t VALUES (1, 3), (2, 8), (3, NULL), (4, 1), (NULL, 3)'
const DOUBLES = "CREATE TABLE t (region_id int, d float8); INSERT INTO t VALUES (1, 0.1), (2, 0.01), (3, 9007199254740992), (4, 'NaN'), (5, '-Infinity'), (6, -0.0), (7, NULL)"
const INSTANTS = "CREATE TABLE t (region_id int, x timestamptz, i interval, ts timestamp, day date); INSERT INTO t VALUES (1, '2024-03-10 12:00+00', '1 day', '2024-03-10 01:00', '2024-01-01'), (2, '2024-03-10 02:00+00', '1 day', '2024-03-10 20:00', '2025-01-01')"
const TWO = 'CREATE TABLE a (region_id int, x int); CREATE TABLE b (region_id int, y int); INSERT INTO a VALUES (1, 5), (2, 6), (3, NULL), (4, 1); INSERT INTO b SELECT i, 5 FROM generate_series(3, 8) i'
const DAYS = "CREATE TABLE a (region_id date, x int); CREATE TABLE b (region_id timestamp, y int); INSERT INTO a VALUES ('2024-01-01', 1), ('2024-01-02', 1); INSERT INTO b VALUES ('2024-01-01', 1), ('2024-01-01 10:00', 2)"

const CASES: readonly (readonly [title: string, tables: string, law: LawCase])[] = [
  ['a division by 2.0, which is not one by 2', NUMBERS, itself('SELECT * FROM t WHERE x / 2.0 > 1', { outcome: 'narrowed' })],
  ['a division by 2.0 beside a cached one by 2', NUMBERS, { populate: ['SELECT * FROM t WHERE x / 2 > 1'], query: 'SELECT * FROM t WHERE x / 2.0 > 1', outcome: 'left alone' }],
  ['decimals within functions and texts', NUMBERS, itself("SELECT * FROM t WHERE greatest(x, 1.0) / 2 > 1 AND 'v' || 4.0 = 'v4.0' AND round(7.50, 1) / 2 > x / -2.0")],
  ['numbers that a double cannot tell apart: <= and <', DOUBLES, { populate: ['SELECT * FROM t WHERE d < 0.10000000000000000001'], query: 'SELECT * FROM t WHERE d <= 0.1', outcome: 'either' }],
  ['numbers that a double cannot tell apart: = and <', DOUBLES, { populate: ['SELECT * FROM t WHERE d < 0.10000000000000000001'], query: 'SELECT * FROM t WHERE d = 0.1', outcome: 'either' }],
  ['numbers that a double cannot tell apart: = and <>', DOUBLES, { populate: ['SELECT * FROM t WHERE d <> 0.10000000000000000001'], query: 'SELECT * FROM t WHERE d = 0.1', outcome: 'either' }],
  ['numbers that a double cannot tell apart: two lists', DOUBLES, itself('SELECT * FROM t WHERE d IN (0.1, 7) AND d IN (0.10000000000000000001, 7)')],
  ['integers beyond 2^53 in a double', DOUBLES, { populate: ['SELECT * FROM t WHERE d < 9007199254740993'], query: 'SELECT * FROM t WHERE d = 9007199254740992', outcome: 'either' }],
  ['NaN, which is above every number', DOUBLES, { populate: ['SELECT * FROM t WHERE d > 3'], query: 'SELECT * FROM t WHERE NOT (d < 5)' }],
  ['-0, which is 0', DOUBLES, { populate: ['SELECT * FROM t WHERE d >= 0'], query: 'SELECT * FROM t WHERE d = -0.0' }],
  ['IN with NULL', NUMBERS, itself('SELECT * FROM t WHERE x IN (1, NULL)', { outcome: 'narrowed' })],
  ['NOT IN with NULL', NUMBERS, itself('SELECT * FROM t WHERE x NOT IN (1, NULL)')],
  ['NOT over IN with NULL and another condition', NUMBERS, itself('SELECT * FROM t WHERE NOT (x IN (1, NULL) AND x = 3)')],
  ['three equalities of which no two agree', NUMBERS, { populate: ['SELECT * FROM t WHERE x = 3'], query: 'SELECT * FROM t WHERE x = 3 AND x = 8 AND x = 1', outcome: 'either' }],
  ['BETWEEN SYMMETRIC', NUMBERS, itself('SELECT * FROM t WHERE x BETWEEN SYMMETRIC 9 AND 3', { outcome: 'narrowed' })],
  ['NOT BETWEEN SYMMETRIC', NUMBERS, itself('SELECT * FROM t WHERE x NOT BETWEEN SYMMETRIC 9 AND 3', { outcome: 'narrowed' })],
  ...['r IN (0.1, 0.1)', 'r IN (0.1, NULL)', 'r IN (0.1, 7)', 'r NOT IN (0.1, 0.1)', 'NOT (r = 0.1 OR r = 2.5)', 'r = 0.1 OR r = 2.5', 'r <> ALL (ARRAY[0.1, 2.5])', 'r IN (0.1, 2.5) AND r <= 0.1', 'r > 0.1 AND r NOT IN (0.1, 7)', 'r IN (0.1, 7) AND r IN (0.100000001, 7)', 'r IN (0.1, 7) AND r IN (7, 2.5)']
    .map((condition): [string, string, LawCase] => [`numbers that a real does not hold: ${condition}`, 'CREATE TABLE t (region_id int, r real); INSERT INTO t VALUES (1, 0.1), (2, 7), (3, 2.5), (4, NULL)',
      { populate: [`SELECT * FROM t WHERE ${condition}`, 'SELECT * FROM t WHERE r <= 0.1', 'SELECT * FROM t WHERE r = 0.1', 'SELECT * FROM t WHERE r NOT IN (0.1, 7)', 'SELECT * FROM t WHERE r <> 0.1'],
        query: `SELECT * FROM t WHERE ${condition}`, outcome: 'either' }]),
  ['a list beside a cached range: real', 'CREATE TABLE t (region_id int, r real); INSERT INTO t VALUES (1, 0.1), (2, 7)', { populate: ['SELECT * FROM t WHERE r <= 0.1'], query: 'SELECT * FROM t WHERE r IN (0.1, 0.05)', outcome: 'either' }],
  ['a range beside a cached list: real', 'CREATE TABLE t (region_id int, r real); INSERT INTO t VALUES (1, 0.1), (2, 7)', { populate: ['SELECT * FROM t WHERE r NOT IN (0.1, 5)'], query: 'SELECT * FROM t WHERE r > 0.1', outcome: 'either' }],
  ['a list of literals of two types', 'CREATE TABLE t (region_id int, r real); INSERT INTO t VALUES (1, 0.1), (2, 7)', itself("SELECT * FROM t WHERE r NOT IN (0.5, '0.1')")],
  ['an array of texts with blanks, which a list of char(n) ignores', "CREATE TABLE t (region_id int, c char(3)); INSERT INTO t VALUES (1, 'a'), (2, 'b')", itself("SELECT * FROM t WHERE c <> ALL (ARRAY['a ', 'c '])")],
  ['an array of texts, whose case a list of citext ignores', "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE t (region_id int, c citext); INSERT INTO t VALUES (1, 'a'), (2, 'b')", itself("SELECT * FROM t WHERE c <> ALL (ARRAY['A', 'C'])")],
  ['an array of parameters with blanks', "CREATE TABLE t (region_id int, c char(3)); INSERT INTO t VALUES (1, 'a'), (2, 'b')", itself('SELECT * FROM t WHERE c <> ALL (ARRAY[$1, $2])', { params: ['a ', 'c '] })],
  ['an array of texts as a list of them', "CREATE TABLE t (region_id int, c varchar(3)); INSERT INTO t VALUES (1, 'a'), (2, 'b')", { populate: ["SELECT * FROM t WHERE c NOT IN ('a', 'c')"], query: "SELECT * FROM t WHERE c <> ALL (ARRAY['a', 'c'])" }],
  ['row values that are neither NULL nor NOT NULL', 'CREATE TYPE pair AS (a int, b int); CREATE TABLE t (region_id int, c pair); INSERT INTO t VALUES (1, ROW(1, NULL)), (2, ROW(1, 2)), (3, NULL)',
    { populate: ['SELECT * FROM t WHERE c IS NOT NULL', 'SELECT * FROM t WHERE NOT (c IS NULL)'], query: 'SELECT * FROM t WHERE NOT (c IS NULL)', outcome: 'either' }],
  ['a whole row that is not NULL', NUMBERS, itself('SELECT * FROM t AS a WHERE NOT (a IS NULL)')],
  ['three-valued logic over booleans', 'CREATE TABLE t (region_id int, f bool, g bool); INSERT INTO t VALUES (1, true, NULL), (2, false, true), (3, NULL, false), (4, true, true)',
    { populate: ['SELECT * FROM t WHERE f = g', 'SELECT * FROM t WHERE NOT (f AND g)'], query: 'SELECT * FROM t WHERE (f AND g) IS NOT TRUE', outcome: 'either' }],

  ['a test of a whole condition', 'CREATE TABLE t (region_id int, f bool, g int); INSERT INTO t VALUES (1, true, 1), (2, false, 1), (3, NULL, 1), (4, true, NULL)',
    itself('SELECT * FROM t WHERE (f AND g = 1) IS NOT TRUE', { outcome: 'narrowed' })],
  ['a condition that is a member of a sub-query', 'CREATE TABLE t (region_id int, f bool, g int); INSERT INTO t VALUES (1, true, 1), (2, false, 1), (3, NULL, 1), (4, true, NULL)',
    itself('SELECT * FROM t WHERE (g = 1) NOT IN (SELECT u.f FROM t u WHERE u.f) OR (NOT f) IS DISTINCT FROM (g = 1)')],

  ['a date compared with an instant without its type', INSTANTS, { populate: ["SELECT * FROM t WHERE day < '2024-01-01 11:00:00+00'"], query: "SELECT * FROM t WHERE day <= '2024-01-01 10:00:00+00'", outcome: 'either' }],
  ['a date compared with a timestamptz, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE day > '2024-01-01 03:00:00+00'::timestamptz", { session: NEW_YORK })],
  ['a timestamp compared with a timestamptz, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE ts > '2024-03-10 05:00:00+00'::timestamptz", { session: NEW_YORK })],
  ['a timestamptz compared with a timestamp, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE x < '2024-03-09 22:00:00'::timestamp", { session: NEW_YORK })],
  ['second 60', INSTANTS, { populate: ["SELECT * FROM t WHERE ts < '2024-03-10 20:00:00'::timestamp"], query: "SELECT * FROM t WHERE ts <= '2024-03-10 19:59:60'::timestamp", outcome: 'either' }],
  ['times of one type in their order', INSTANTS, { populate: ["SELECT * FROM t WHERE ts < '2024-03-10 20:00:00'::timestamp"], query: "SELECT * FROM t WHERE ts <= '2024-03-10 19:59:59'::timestamp" }],
  ['an interval taken from a timestamptz, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE x - i = '2024-03-09 13:00+00'", { session: NEW_YORK })],
  ['IS NOT DISTINCT FROM a local time, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE x IS NOT DISTINCT FROM '2024-03-09 21:00:00'", { session: NEW_YORK })],
  ['COALESCE over times, in another time zone', INSTANTS, itself('SELECT * FROM t WHERE coalesce(x, x) > ts', { session: NEW_YORK })],
  ['GREATEST over times, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE greatest(x, '2024-03-09 21:00:00') = x", { session: NEW_YORK })],
  ['CASE over times, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE CASE WHEN true THEN x = '2024-03-09 21:00:00' END", { session: NEW_YORK })],
  ['a cast to date, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE x::date = '2024-03-09'", { session: NEW_YORK })],
  ['parts of times, in another time zone', INSTANTS, itself("SELECT * FROM t WHERE extract(hour from x) = 21 OR date_trunc('day', x) = '2024-03-09 05:00+00'", { session: NEW_YORK })],
  ['a sub-query with a local time, in another time zone', INSTANTS, itself("SELECT * FROM t a WHERE NOT EXISTS (SELECT 1 FROM t b WHERE b.region_id = a.region_id AND b.x = '2024-03-10 02:00:00')", { session: NEW_YORK })],
  ['a sub-query that compares two types of times, in another time zone', INSTANTS, itself('SELECT * FROM t a WHERE a.x >= ALL (SELECT b.ts FROM t b WHERE b.region_id = a.region_id)', { session: NEW_YORK })],
  ['IN over two types of times, in another time zone', INSTANTS, itself('SELECT * FROM t a WHERE a.x IN (SELECT b.ts FROM t b)', { session: NEW_YORK })],
  ['USING over two types of times, in another time zone', "CREATE TABLE a (region_id int, z timestamptz); CREATE TABLE b (region_id int, z timestamp); INSERT INTO a VALUES (1, '2024-01-01 05:00+00'); INSERT INTO b VALUES (1, '2024-01-01 00:00')",
    itself('SELECT * FROM a JOIN b USING (z, region_id)', { session: NEW_YORK })],
  ...([['a domain', 'moment', "'2023-12-31 20:00+00'", "w > '2024-01-01'"], ['a domain over another', 'later', "'2023-12-31 20:00+00'", "w IN ('2024-01-01 05:00')"],
    ['a range', 'tstzrange', "'[2023-12-31 20:00+00,2023-12-31 21:00+00)'", "w && '[2024-01-01,2024-01-02)'"], ['a multirange', 'tstzmultirange', "'{[2023-12-31 20:00+00,2023-12-31 21:00+00)}'", "w && '{[2024-01-01,2024-01-02)}'"],
    ['an array', 'timestamptz[]', "'{2023-12-31 15:00+00}'", "w @> '{2024-01-01}'"], ['a domain over an array', 'moments', "'{2023-12-31 15:00+00}'", "w = '{2024-01-01}'"], ['an array of rows', 'at[]', `'{"(\\"2023-12-31 15:00+00\\")"}'`, `w = '{"(2024-01-01)"}'`],
    ['a domain in a sub-query', 'moment', "'2023-12-31 15:00+00'", "NOT EXISTS (SELECT 1 FROM t b WHERE b.region_id = t.region_id AND b.w <> '2024-01-01')"]] as const)
    .map(([what, type, value, condition]): [string, string, LawCase] => [`times in ${what}, in another time zone`,
      `CREATE DOMAIN moment AS timestamptz; CREATE DOMAIN later AS moment; CREATE DOMAIN moments AS timestamptz[]; CREATE TYPE at AS (at timestamptz); CREATE TABLE t (region_id int, w ${type}); INSERT INTO t VALUES (1, ${value}), (2, NULL)`,
      itself(`SELECT * FROM t WHERE ${condition}`, { session: ["SET TIME ZONE 'Asia/Tokyo'"], withSource: true })]),
  ['a literal BETWEEN two times, in another time zone', "CREATE TABLE t (region_id int, a timestamptz, b timestamptz); INSERT INTO t VALUES (1, '2023-12-31 14:00+00', '2023-12-31 16:00+00'), (2, NULL, NULL)",
    itself("SELECT * FROM t WHERE '2024-01-01' BETWEEN a AND b", { session: ["SET TIME ZONE 'Asia/Tokyo'"], withSource: true })],
  ['arrays and ranges of numbers', "CREATE TABLE t (region_id int, a int[], r int4range, m int4multirange); INSERT INTO t VALUES (1, '{1,2}', '[1,5)', '{[1,5)}'), (2, '{3}', '[8,9)', '{}')",
    itself("SELECT * FROM t WHERE a @> '{1}' AND r && '[2,3)' AND m && '{[2,3)}'", { outcome: 'narrowed' })],
  ['doubles as text, with other digits', DOUBLES, itself("SELECT * FROM t WHERE d || '' = '0.1' OR length(concat(d, '')) > 10", { session: ['SET extra_float_digits = -10'] })],
  ['the current time', INSTANTS, itself('SELECT * FROM t WHERE x <= CURRENT_TIMESTAMP AND x < now()')],

  ['keys of char(n) and text, with blanks', "CREATE TABLE a (region_id char(5)); CREATE TABLE b (region_id text); INSERT INTO a VALUES ('n'), ('m'); INSERT INTO b VALUES ('n')",
    { datatype: 'text', populate: ['SELECT * FROM a', "SELECT * FROM b WHERE region_id = 'n  '"], query: "SELECT * FROM a, b WHERE a.region_id = b.region_id AND a.region_id = 'n  '", outcome: 'either' }],
  ['keys of real and double precision', 'CREATE TABLE a (region_id float4); CREATE TABLE b (region_id float8); INSERT INTO a VALUES (0.1), (2); INSERT INTO b SELECT region_id FROM a',
    { populate: ['SELECT * FROM a', 'SELECT * FROM b'], query: 'SELECT * FROM a, b WHERE a.region_id = b.region_id' }],
  ['keys of bigint and double precision', 'CREATE TABLE a (region_id int8); CREATE TABLE b (region_id float8); INSERT INTO a VALUES (9007199254740993), (2); INSERT INTO b SELECT region_id FROM a',
    { datatype: 'float', populate: ['SELECT * FROM b'], query: 'SELECT * FROM a, b WHERE a.region_id = b.region_id', withSource: true, outcome: 'left alone' }],
  ['keys of bigint that a double precision ties', 'CREATE TABLE a (region_id int8, x int); CREATE TABLE b (x int8, y float8); CREATE TABLE c (region_id int8, z int); INSERT INTO a VALUES (9007199254740993, 1); INSERT INTO b VALUES (9007199254740993, 9007199254740992); INSERT INTO c VALUES (9007199254740992, 1)',
    { populate: ['SELECT * FROM a WHERE x = 1', 'SELECT * FROM c WHERE z = 1'], query: 'SELECT * FROM a, b, c WHERE a.region_id = b.x AND b.y = b.x AND b.y = c.region_id AND a.x = 1 AND c.z = 1', withSource: true, outcome: 'left alone' }],
  ['keys of date and timestamptz', "CREATE TABLE a (region_id date); CREATE TABLE b (region_id timestamptz); INSERT INTO a VALUES ('2024-01-01'); INSERT INTO b VALUES ('2024-01-01 05:00+00')",
    { datatype: 'timestamp', populate: ['SELECT * FROM a', 'SELECT * FROM b'], query: 'SELECT * FROM a, b WHERE a.region_id = b.region_id', session: NEW_YORK, withSource: true, outcome: 'left alone' }],
  ['a literal that is another value to the key of another table: date and timestamp', DAYS,
    itself("SELECT * FROM a, b WHERE a.region_id = b.region_id AND a.region_id = '2024-01-01 10:00' AND b.y = 1", { datatype: 'timestamp', outcome: 'narrowed' })],
  ['a literal that is another value to the key of another table: in a list', DAYS,
    itself("SELECT * FROM a, b WHERE a.region_id = b.region_id AND a.region_id IN ('2024-01-01 10:00', '2023-01-01 10:00') AND b.y = 1", { datatype: 'timestamp', outcome: 'narrowed' })],
  ['a literal that is another value to the key of another table: real and double precision', 'CREATE TABLE a (region_id real, x int); CREATE TABLE b (region_id float8, y int); INSERT INTO a VALUES (0.1, 1); INSERT INTO b VALUES (0.1::real, 1)',
    itself('SELECT * FROM a, b WHERE a.region_id = b.region_id AND a.region_id = $1 AND b.y = 1', { datatype: 'float', params: [0.1], outcome: 'narrowed' })],
  ['a literal that is another value to the key of another table: name', `CREATE TABLE a (region_id name, x int); CREATE TABLE b (region_id text, y int); INSERT INTO a VALUES ('${'n'.repeat(70)}', 1); INSERT INTO b VALUES ('${'n'.repeat(63)}', 1)`,
    itself(`SELECT * FROM a, b WHERE a.region_id = b.region_id AND a.region_id = '${'n'.repeat(70)}' AND b.y = 1`, { datatype: 'text', outcome: 'narrowed' })],
  ['keys that are equal to one literal, and not to each other', DAYS,
    { datatype: 'timestamp', populate: ['SELECT * FROM a WHERE x = 1', 'SELECT * FROM b WHERE y = 2'], outcome: 'left alone',
      query: "SELECT * FROM a, b WHERE a.region_id = '2024-01-01 10:00' AND b.region_id = '2024-01-01 10:00' AND a.x = 1 AND b.y = 2" }],
  ['keys of one type that are equal to one literal', DAYS,
    { datatype: 'timestamp', populate: ['SELECT * FROM a WHERE x = 1'], query: "SELECT * FROM a, a AS c WHERE a.region_id = '2024-01-01' AND c.region_id = '2024-01-01' AND a.x = 1", withSource: true }],
  ['keys of citext', "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE t (region_id citext, x int); INSERT INTO t VALUES ('N', 5), ('n', 6)", itself('SELECT * FROM t WHERE x = 5', { outcome: 'left alone' })],
  ['keys whose collation ignores case', "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (region_id text COLLATE nocase, x int); INSERT INTO t VALUES ('N', 5), ('n', 6)",
    itself("SELECT * FROM t WHERE region_id = 'n'", { outcome: 'left alone' })],
  ['keys of an enum', "CREATE TYPE direction AS ENUM ('n', 's'); CREATE TABLE t (region_id direction, x int); INSERT INTO t VALUES ('n', 5), ('s', 6)", itself('SELECT * FROM t WHERE x = 5', { outcome: 'narrowed' })],
  ['keys of numeric, however they are written', 'CREATE TABLE t (region_id numeric, x int); INSERT INTO t VALUES (1.50, 5), (2, 6), (0.1, 5)', itself('SELECT * FROM t WHERE x = 5', { outcome: 'narrowed' })],
  ['keys -0, NaN and NULL', "CREATE TABLE t (region_id float8, x int); INSERT INTO t VALUES (-0.0, 1), (0, 2), (NULL, 3), ('NaN', 1)", itself('SELECT * FROM t WHERE x = 1', { datatype: 'float', outcome: 'narrowed' })],

  ['a derived table with UNION', TWO, { populate: ['SELECT * FROM a WHERE x > 5'], query: 'SELECT * FROM (SELECT * FROM a WHERE x > 5 UNION ALL SELECT * FROM a) v WHERE v.region_id > 0', outcome: 'either' }],
  ['EXCEPT in a sub-query', TWO, { populate: ['SELECT * FROM a WHERE x > 5'], query: 'SELECT * FROM a WHERE region_id IN (SELECT region_id FROM a EXCEPT SELECT region_id FROM a WHERE x > 5)', outcome: 'either' }],
  ['EXISTS over an aggregate, which is never empty', TWO, { populate: ['SELECT * FROM a WHERE x > 5'], query: 'SELECT * FROM a WHERE EXISTS (SELECT 1 FROM a b WHERE b.region_id = a.region_id AND b.x > 5 HAVING count(*) = 0)', outcome: 'either' }],
  ['LATERAL', TWO, { populate: ['SELECT * FROM a WHERE x > 5'], query: 'SELECT * FROM a JOIN LATERAL (SELECT count(*) AS n FROM a b WHERE b.region_id = a.region_id AND b.x > 5) c ON true', outcome: 'either' }],
  ['GROUP BY ROLLUP with nothing to group', TWO, { populate: ['SELECT * FROM a WHERE x > 50'], query: 'SELECT region_id, count(*) FROM a WHERE x > 50 GROUP BY ROLLUP (region_id)' }],
  ['an output of a derived table that is named like a column', TWO, { populate: ['SELECT * FROM a WHERE x = 1'], query: 'SELECT * FROM (SELECT region_id, count(*) AS x FROM a GROUP BY region_id) v WHERE v.x = 1', outcome: 'either' }],
  ['a window function that is named like a column', TWO, { populate: ['SELECT * FROM a WHERE x = 1'], query: 'SELECT * FROM (SELECT region_id, row_number() OVER (ORDER BY region_id) AS x FROM a) v WHERE v.x = 1', outcome: 'either' }],
  ['a WITH query named like the table whose key type VALUES take', "CREATE TABLE t (code text NOT NULL, x int); INSERT INTO t VALUES ('a', 1), ('b', 2)",
    itself('WITH t AS (SELECT code AS region_id, x FROM t WHERE x = 1) SELECT * FROM t', { options: { method: 'VALUES' }, outcome: 'narrowed' })],
  ['a WITH query whose columns are renamed twice', 'CREATE TABLE t (region_id int, x int, y int); INSERT INTO t VALUES (1, 3, 4), (2, 4, 3)',
    itself('WITH q(a, x, y, region_id) AS (SELECT x, y, x, region_id FROM t) SELECT * FROM q AS r(w) WHERE r.x = 4', { outcome: 'narrowed' })],
  ['a recursive WITH query named like a table', TWO, { populate: ['SELECT * FROM a WHERE x = 5'], query: 'WITH RECURSIVE a AS (SELECT 1 AS region_id, 5 AS x UNION ALL SELECT region_id + 1, 5 FROM a WHERE region_id < 9) SELECT * FROM a WHERE x = 5', outcome: 'left alone' }],
  ['a WITH query named like the table it reads', TWO, { populate: ['SELECT * FROM a WHERE x = 5'], query: 'WITH a AS (SELECT region_id + 10 AS region_id, 5 AS x FROM a) SELECT * FROM a WHERE x = 5', outcome: 'left alone' }],
  ['a WITH query named like the table of a sub-query', TWO, { populate: ['SELECT * FROM b WHERE region_id IN (SELECT region_id FROM a WHERE x = 5)'],
    query: 'WITH a AS (SELECT 3 AS region_id, 5 AS x) SELECT * FROM b WHERE region_id IN (SELECT region_id FROM a WHERE x = 5)', outcome: 'either' }],
  ['a column of a sub-query that only the outer table has', 'CREATE TABLE a (region_id int, x int); CREATE TABLE b (k int); INSERT INTO a VALUES (1, 5), (2, 6); INSERT INTO b VALUES (1)',
    { populate: ['SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE x = 5)'], query: 'SELECT * FROM a WHERE region_id IN (SELECT region_id FROM b)', outcome: 'either' }],
  ['FULL JOIN', TWO, { populate: ['SELECT * FROM a WHERE x = 5', 'SELECT * FROM b WHERE y = 5'], query: 'SELECT * FROM a FULL JOIN b USING (region_id) WHERE b.y = 5', outcome: 'left alone' }],
  ['RIGHT JOIN with a condition of the left side', TWO, { populate: ['SELECT * FROM a WHERE x = 5', 'SELECT * FROM b WHERE y = 5'], query: 'SELECT * FROM a RIGHT JOIN b ON a.region_id = b.region_id AND a.x = 5', outcome: 'either' }],
  ['NATURAL LEFT JOIN', TWO, { populate: ['SELECT * FROM a WHERE x = 5', 'SELECT * FROM b WHERE y = 5'], query: 'SELECT * FROM a NATURAL LEFT JOIN b WHERE region_id > 0', outcome: 'either' }],
  ...['shops JOIN kinds USING (kind), parks JOIN park_kinds USING (kind) WHERE shops.region_id = parks.region_id', '(shops JOIN kinds USING (kind)) JOIN (parks JOIN park_kinds USING (kind)) ON shops.region_id = parks.region_id']
    .map((from): [string, string, LawCase] => [`two joins by one name: ${from}`, `CREATE TABLE shops (region_id int, kind int); CREATE TABLE kinds (kind int); CREATE TABLE parks (region_id int, kind int); CREATE TABLE park_kinds (kind int);
      INSERT INTO shops VALUES (1, 10); INSERT INTO kinds VALUES (10); INSERT INTO parks VALUES (1, 20); INSERT INTO park_kinds VALUES (20)`, itself(`SELECT shops.region_id FROM ${from}`, { outcome: 'narrowed' })]),
  ...['1 = (SELECT count(*) FROM public.a, t WHERE public.a.x = t.x)', 'NOT (NOT EXISTS (SELECT 1 FROM public.a, t WHERE public.a.x = t.x))', 'NOT EXISTS (SELECT 1 FROM a, t WHERE public.a.x <> t.x AND a.x = t.x)',
    'a.region_id IN (SELECT t.y FROM public.a AS a, t WHERE a.region_id = t.x AND public.a.x = 5)']
    .map((condition): [string, string, LawCase] => [`a table named with its schema: ${condition}`, `${TWO}; CREATE TABLE t (x int, y int); INSERT INTO t VALUES (6, NULL), (2, 1)`, itself(`SELECT * FROM public.a WHERE a.x = 5 AND ${condition}`)]),
  ['a column of a sub-query over two tables that the sub-query around it has', `CREATE TABLE users (region_id int, id int, level int); CREATE TABLE poi (region_id int, level int); CREATE TABLE bans (user_id int, zone int); CREATE TABLE zones (zone int, grade int);
    INSERT INTO users VALUES (1, 1, 5); INSERT INTO poi VALUES (1, 6); INSERT INTO bans VALUES (1, 9); INSERT INTO zones VALUES (9, 5)`,
  itself('SELECT * FROM users u WHERE u.region_id IN (SELECT p.region_id FROM poi p WHERE NOT EXISTS (SELECT 1 FROM bans b JOIN zones z ON b.zone = z.zone WHERE z.grade = level AND b.user_id = u.id))')],
  ...['a.is_low', '1 = (SELECT count(*) FROM t b WHERE b.region_id = a.region_id AND b.is_low)', 'a.region_id IN (SELECT v.region_id FROM (SELECT * FROM t) v WHERE v.is_low)']
    .map((condition): [string, string, LawCase] => [`a function that looks like a column: ${condition}`, `${NUMBERS}; CREATE FUNCTION is_low(t) RETURNS bool LANGUAGE sql STABLE AS $$ SELECT $1.x < current_setting('millrace.high', true)::int $$`,
      itself(`SELECT * FROM t a WHERE ${condition}`, { session: ["SET millrace.high = '5'"] })]),
  ...['s1.poi, s2.poi WHERE s1.poi.region_id = s2.poi.region_id AND s2.poi.x = 1', 's1.poi JOIN s2.poi ON s1.poi.region_id = s2.poi.region_id WHERE s2.poi.x = 1', 's1.poi, s2.poi, c WHERE s1.poi.region_id = s2.poi.region_id AND c.y = s2.poi.x']
    .map((from): [string, string, LawCase] => [`two tables of one name: ${from}`, `DROP SCHEMA IF EXISTS s1, s2 CASCADE; CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE s1.poi (region_id int, x int); CREATE TABLE s2.poi (region_id int, x int); CREATE TABLE c (y int);
      INSERT INTO s1.poi VALUES (1, 1), (2, 1); INSERT INTO s2.poi VALUES (1, 1), (3, 2); INSERT INTO c VALUES (1)`, { populate: ['SELECT * FROM s2.poi WHERE x = 1', 'SELECT region_id FROM s1.poi', `SELECT * FROM ${from}`], query: `SELECT * FROM ${from}`, outcome: 'left alone' }]),
  ['a join whose condition means a table around it, not the one beside it', `${TWO}; CREATE TABLE z (region_id int, x int); CREATE TABLE c (x int); INSERT INTO a VALUES (3, 5); INSERT INTO z VALUES (3, 9); INSERT INTO c VALUES (5)`,
    itself('SELECT * FROM a WHERE a.region_id IN (SELECT d.region_id FROM z a, c JOIN b d ON a.x = c.x AND d.region_id = a.region_id)', { outcome: 'narrowed' })],
  ['a volatile function in a condition', TWO, { populate: ['SELECT * FROM a WHERE x > 5'], query: 'SELECT * FROM a WHERE x > 5 AND random() >= 0', outcome: 'left alone' }],
  ['a derived table of any row of each partition', TWO, { populate: ['SELECT * FROM b WHERE y = 5'], query: 'SELECT * FROM (SELECT DISTINCT ON (region_id) region_id, x FROM a) v, b WHERE v.region_id = b.region_id AND b.y = 5', outcome: 'left alone' }],
  ['a WITH query that shows the order of rows', TWO, { populate: ['SELECT * FROM b WHERE y = 5'],
    query: 'WITH v AS (SELECT region_id, array_agg(x) AS xs FROM a GROUP BY region_id) SELECT v.xs FROM v, b WHERE v.region_id = b.region_id AND b.y = 5', outcome: 'left alone' }],
  ['HAVING that looks at the order of rows', TWO, { populate: ['SELECT * FROM a WHERE x > 4'], query: 'SELECT region_id FROM a WHERE x > 4 GROUP BY region_id HAVING (array_agg(x))[1] < 6', outcome: 'left alone' }],
  ['an index scan of one child table', 'CREATE TABLE a (region_id int, x int); CREATE TABLE c () INHERITS (a); INSERT INTO a VALUES (1, 5); INSERT INTO c VALUES (2, 5)', { populate: ['SELECT * FROM ONLY a WHERE x = 5'], query: 'SELECT * FROM a WHERE x = 5', outcome: 'left alone' }],
]

describe('a narrowed query answers the same rows', function () {
  this.timeout(60_000)
  let database: Awaited<ReturnType<typeof testDatabase>>
  let pool: pg.Pool
  let client: pg.Client
  let source: Source

  before(async () => {
    database = await testDatabase()
    pool = new pg.Pool({ connectionString: database.url, max: 2 })
  })
  after(async () => {
    await pool.end()
    await database.drop()
  })
  beforeEach(async () => {
    client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    // what a source's catalogue said of the last test's tables is not asked of this one's
    source = postgresSource({ pool })
  })
  afterEach(async () => {
    await source.close()
    await client.end()
  })

  for (const [title, tables, law] of CASES) {
    it(`with ${title}`, async () => {
      await client.query(tables)
      await expectSameRows(client, source, law)
    })
  }

  const moments = [new Date('2024-01-01T00:00:00Z'), new Date('2024-01-03T00:00:00Z')]
  for (const [condition, param] of [['x >= $1', moments[0]], ['x = ANY ($1)', moments], ['greatest(x, $1) = x', moments[0]]] as const) {
    it(`with a Date in a process that is not in UTC: ${condition}`, async () => {
      const { TZ } = process.env
      process.env['TZ'] = 'America/New_York'
      try {
        for (const type of ['timestamp', 'date', 'timestamptz']) {
          await client.query(`CREATE TABLE t_${type} (region_id int, x ${type}); INSERT INTO t_${type} VALUES (1, '2023-12-31 19:00'), (2, '2024-01-01 00:00+00'), (3, '2022-01-02 00:00'), (4, '2024-01-02 00:00')`)
          const { reports } = await expectSameRows(client, source, itself(`SELECT * FROM t_${type} WHERE ${condition}`, { params: [param] }))
          expect(reports[0]!.outcomes[0]!.keys, type).to.equal(type !== 'timestamptz' || condition.startsWith('greatest') ? 4 : condition.startsWith('x >=') ? 2 : 1)
        }
      } finally {
        if (TZ === undefined) delete process.env['TZ']
        else process.env['TZ'] = TZ
      }
    })
  }

  const unstable: readonly (readonly [title: string, tables: string, construct: RegExp])[] = [
    ['row-level security that hides rows from this user', `CREATE TABLE v (region_id int, x int, who text); ALTER TABLE v ENABLE ROW LEVEL SECURITY; ALTER TABLE v FORCE ROW LEVEL SECURITY;
      CREATE POLICY p ON v USING (who = current_user); DO $$ BEGIN CREATE ROLE millrace_test_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT USAGE ON SCHEMA public TO millrace_test_reader; GRANT SELECT ON v TO millrace_test_reader`, /row-level security/],
    ['a view that reads the clock', 'CREATE TABLE a (region_id int, x int, ts timestamptz); CREATE VIEW v AS SELECT * FROM a WHERE ts < now()', /function now/],
    ['a view that reads the clock behind another', 'CREATE TABLE a (region_id int, x int, ts timestamptz); CREATE VIEW w AS SELECT * FROM a WHERE ts < CURRENT_TIMESTAMP; CREATE VIEW v AS SELECT * FROM w', /current_timestamp/],
    ['a view that shows what is its user\'s', 'CREATE TABLE a (region_id int, x int, who text); CREATE VIEW v AS SELECT * FROM a WHERE who = current_user', /current_user/],
    ['a view of any ten rows', 'CREATE TABLE a (region_id int, x int); CREATE VIEW v AS SELECT * FROM a LIMIT 10', /LIMIT/],
    ['a view of a sample', 'CREATE TABLE a (region_id int, x int); CREATE VIEW v AS SELECT * FROM a TABLESAMPLE system (10)', /TABLESAMPLE/],
    ['a view that takes times for days', 'CREATE TABLE a (region_id int, x int, ts timestamptz); CREATE VIEW v AS SELECT *, ts::date AS day FROM a', /cast to date/],
    ['a view that compares two types of times', 'CREATE TABLE a (region_id int, x int, ts timestamptz, day date); CREATE VIEW v AS SELECT region_id, x FROM a WHERE ts > day', /timestamptz_gt_date/],
    ['a view that takes the later of two types of times', 'CREATE TABLE a (region_id int, x int, ts timestamptz, day date); CREATE VIEW v AS SELECT region_id, x, greatest(ts, day) FROM a', /cast/],
    ['a view that adds to times', "CREATE TABLE a (region_id int, x int, ts timestamptz); CREATE VIEW v AS SELECT region_id, x, ts + interval '1 day' FROM a", /operator or a cast/],
    ['a view of times as texts', 'CREATE TABLE a (region_id int, x int, ts timestamptz); CREATE VIEW v AS SELECT region_id, x, ts::text AS day FROM a', /a cast that may depend/],
    ['a view of times as texts, under another name', 'CREATE TABLE a (region_id int, x int, name text, ts timestamptz); CREATE VIEW v AS SELECT region_id, x, name::text AS day FROM (SELECT region_id, x, ts AS name FROM a) q', /a cast that may depend/],
    ['a view of times as texts, under the name of a column', 'CREATE TABLE a (region_id int, x int, name text, ts timestamptz); CREATE VIEW v AS SELECT region_id, x, name::text AS day FROM (SELECT region_id, x, ts FROM a) q (region_id, x, name)', /a cast that may depend/],
    ['a view of any row of each partition', 'CREATE TABLE a (region_id int, x int); CREATE VIEW v AS SELECT DISTINCT ON (region_id) * FROM a', /DISTINCT ON/],
    ['a view that shows the order of rows', 'CREATE TABLE a (region_id int, x int); CREATE VIEW v AS SELECT region_id, min(x) AS x, array_agg(x) AS xs FROM a GROUP BY region_id', /array_agg/],
  ]
  for (const [title, tables, construct] of unstable) {
    it(`because sets of it are not kept at all: ${title}`, async () => {
      await client.query(tables)
      const reader = new pg.Pool({ connectionString: database.url, max: 1, ...(title.startsWith('row') ? { options: '-c role=millrace_test_reader' } : {}) })
      const { populate } = await import('../../../lib/partition/populate.js')
      const { createCache } = await import('../../../lib/partition/create-cache.js')
      const cache = await createCache('memory', 'region_id')
      const own = postgresSource({ pool: reader })
      try {
        const error: unknown = await populate('SELECT * FROM v WHERE x > 1', { source: own, cache }).then(() => undefined, (reason: unknown) => reason)
        expect(error).to.have.property('code', 'ERR_UNSUPPORTED_QUERY')
        expect(error).to.have.property('message').that.matches(construct)
      } finally {
        await own.close()
        await reader.end()
      }
    })
  }

  it('because sets of views that read the clock are not kept, which the refusal names, with their place in the query', async () => {
    await client.query('CREATE TABLE a (region_id int, x int); CREATE VIEW w AS SELECT *, now() AS t FROM a; CREATE VIEW v AS SELECT region_id, x FROM w')
    const { populate } = await import('../../../lib/partition/populate.js')
    const { createCache } = await import('../../../lib/partition/create-cache.js')
    const cache = await createCache('memory', 'region_id')
    const refusals: readonly (readonly [name: string, view: string])[] = [['w', 'the view w'], ['public.w', 'the view w'], ['v', 'the view w behind v']]
    for (const [name, view] of refusals) {
      const query = `SELECT 'ü' FROM a JOIN ${name} AS z USING (region_id) WHERE z.x = 1`
      const error: unknown = await populate(query, { source, cache }).then(() => undefined, (reason: unknown) => reason)
      expect(error).to.deep.include({ code: 'ERR_UNSUPPORTED_QUERY', construct: `${view} with the function now, which is not immutable`, position: query.indexOf(name) })
    }
  })

  const outer = ['NOT EXISTS (SELECT 1 FROM closed WHERE p = pid AND closed.region = poi.region_id)', 'EXISTS (SELECT 1 FROM closed WHERE p = pid AND closed.region = poi.region_id + 1)', 'pid = ALL (SELECT (SELECT max(p) FROM closed WHERE pid = p))',
    'NOT EXISTS (SELECT 1 FROM closed, closed d WHERE closed.p = d.p AND d.p = pid)', 'poi.x = (SELECT count(*) FROM closed, (SELECT p FROM closed WHERE p = pid) v)']
  for (const condition of outer) {
    it(`and every fragment runs, where a bare column is that of a table around: ${condition}`, async () => {
      await client.query('CREATE TABLE poi (region_id int, pid int, x int); CREATE TABLE closed (p int, region int); INSERT INTO poi VALUES (1, 5, 4), (2, 6, 1), (3, 7, 2); INSERT INTO closed VALUES (5, 1), (5, 2)')
      const { reports } = await expectSameRows(client, source, itself(`SELECT * FROM poi WHERE ${condition}`, { outcome: 'narrowed', withSource: true }))
      expect(reports.map(({ failed }) => failed)).to.deep.equal([0])
    })
  }

  it('of a view whose comparisons and casts are the same in every session', async () => {
    await client.query(`CREATE TABLE a (region_id int, x int, name varchar(9), ts timestamptz, r real); INSERT INTO a VALUES (1, 5, 'p', '2024-02-01', 1), (2, 6, 'q', '2024-02-01', 1);
      CREATE VIEW v AS SELECT region_id, x::text AS x, name, ts, r::numeric AS r FROM a WHERE name = 'p' AND ts > '2024-01-01 00:00+00' UNION (SELECT DISTINCT ON (region_id) region_id, '', name, ts, 2 FROM a ORDER BY region_id, name)`)
    await expectSameRows(client, source, itself("SELECT * FROM v WHERE name = 'p'", { outcome: 'narrowed' }))
  })

  it('after an invalidation by the table that a view reads, or by a child of the table it names', async () => {
    await client.query('CREATE TABLE a (region_id int, x int) PARTITION BY LIST (x); CREATE TABLE a5 PARTITION OF a FOR VALUES IN (5); INSERT INTO a VALUES (1, 5); CREATE VIEW v AS SELECT * FROM a')
    const { cache } = await expectSameRows(client, source, itself('SELECT * FROM v WHERE x = 5', { outcome: 'narrowed' }))
    expect(await cache.invalidate({ table: 'b' })).to.equal(0)
    expect(await cache.invalidate({ table: 'a5' })).to.equal(1)
  })
})
