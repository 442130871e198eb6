import { expect } from 'chai'
import { queryShape } from '../../../lib/sql/query-shape.js'
import { rejection } from '../../support/collect.js'

describe('queryShape', () => {
  const refused: readonly (readonly [sql: string, construct: string, at: string | undefined])[] = [
    ['SELECT id FROM t LIMIT 5', 'LIMIT', 'LIMIT'],
    ["SELECT 'é LIMIT 1', id FROM t LIMIT 5", 'LIMIT', 'LIMIT 5'],
    ['SELECT id FROM t OFFSET 2', 'OFFSET', 'OFFSET'],
    ['SELECT id FROM t FETCH FIRST 2 ROWS ONLY', 'LIMIT', 'FETCH'],
    ['SELECT DISTINCT id FROM t', 'DISTINCT', 'DISTINCT'],
    ['SELECT DISTINCT ON (a) id FROM t', 'DISTINCT', 'DISTINCT'],
    ['SELECT id FROM t GROUP BY id', 'GROUP BY', 'GROUP'],
    ['SELECT id FROM t GROUP BY ROLLUP (id)', 'GROUP BY', 'GROUP'],
    ['SELECT id FROM t HAVING true', 'HAVING', 'HAVING'],
    ['SELECT count(*) AS id FROM t', 'the aggregate count()', 'count'],
    ['SELECT id, row_number() OVER () FROM t', 'the window function row_number()', 'row_number'],
    ['SELECT id FROM t UNION ALL SELECT 1', 'UNION', 'UNION'],
    ['SELECT id FROM t EXCEPT SELECT 1', 'EXCEPT', 'EXCEPT'],
    ['SELECT id FROM t FOR UPDATE', 'FOR UPDATE', 'FOR'],
    ['SELECT id FROM t FOR KEY SHARE', 'FOR KEY SHARE', 'FOR'],
    ['SELECT id INTO u FROM t', 'SELECT INTO', 'INTO'],
    ['SELECT id FROM t TABLESAMPLE system (1)', 'TABLESAMPLE', undefined],
    ['SELECT id FROM t WHERE ts < now()', 'now()', 'now'],
    ['SELECT id FROM t WHERE d = current_date', 'CURRENT_DATE', 'current_date'],
    ["SELECT id FROM t WHERE d = 'today'", "'today'", "'today'"],
    ['SELECT id, age(ts) FROM t', 'age()', 'age'],
    ['SELECT id FROM (SELECT id FROM t LIMIT 3) s', 'LIMIT', 'LIMIT'],
    ['SELECT id FROM t WHERE a > (SELECT b FROM u GROUP BY b)', 'GROUP BY', 'GROUP'],
    ['WITH c AS (SELECT DISTINCT id FROM t) SELECT id FROM c', 'DISTINCT', 'DISTINCT'],
    ['WITH RECURSIVE c AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM c) SELECT id FROM c', 'WITH RECURSIVE', 'RECURSIVE'],
    ['WITH d AS (DELETE FROM t RETURNING id) SELECT id FROM d', 'DELETE', 'DELETE'],
    ['SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.id = t.id)', 'NOT before a sub-query', 'NOT EXISTS'],
    ['SELECT id FROM t WHERE id NOT IN (SELECT id FROM u)', 'NOT before a sub-query', 'NOT IN'],
    ['SELECT id FROM t WHERE id >= ALL (SELECT id FROM u)', 'ALL before a sub-query', '>= ALL'],
    ['SELECT id FROM t WHERE NOT (a AND EXISTS (SELECT 1 FROM u))', 'NOT before a sub-query', undefined],
    ['SELECT id FROM t WHERE id NOT IN (1, (SELECT a FROM u))', 'NOT before a sub-query', 'NOT IN'],
    ['SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u) IS FALSE', 'an expression of EXISTS or IN', 'EXISTS'],
    ['SELECT id, EXISTS (SELECT 1 FROM u) IS FALSE AS a FROM t', 'IS FALSE behind a sub-query', 'IS FALSE'],
    ['SELECT id FROM t WHERE (id IN (SELECT id FROM u)) IS NOT TRUE', 'an expression of EXISTS or IN', 'IN'],
    ['SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u) IN (SELECT false FROM v)', 'an expression of EXISTS or IN', 'EXISTS'],
    ['SELECT id FROM t WHERE (SELECT a FROM u WHERE u.id = t.id) IS NULL', 'IS NULL behind a sub-query', undefined],
    ['SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u) = false', 'an expression of EXISTS or IN', 'EXISTS'],
    ['SELECT id FROM t JOIN v ON CASE WHEN EXISTS (SELECT 1 FROM u) THEN false ELSE true END', 'an expression of EXISTS or IN', 'EXISTS'],
    ['SELECT id FROM t WHERE a AND coalesce(id IN (SELECT id FROM u), true)', 'an expression of EXISTS or IN', 'IN'],
    ['SELECT id FROM t WHERE id <> ALL ((SELECT a FROM u)::int[])', 'ALL before a sub-query', '<> ALL'],
    ['SELECT id, ARRAY(SELECT id FROM u) FROM t', 'ARRAY of a sub-query', 'ARRAY'],
    ['SELECT id, pg_backend_pid() FROM t', 'pg_backend_pid()', 'pg_backend_pid'],
    ['SELECT id, txid_current() FROM t', 'txid_current()', 'txid_current'],
    ['SET a.b = 1', 'SET', 'SET'],
    ['BEGIN', 'TRANSACTION', 'BEGIN'],
    ['DELETE FROM t', 'DELETE', 'DELETE'],
    ['SELECT 1; SELECT 2', 'a second statement', 'SELECT 2'],
    ['SELECT 1; DROP TABLE t', 'a second statement', 'DROP'],
    ['SELECT FROM t', 'a statement without columns', undefined],
    ['VALUES (1)', 'a statement without columns', undefined],
    [' -- nothing', 'a text without a statement', undefined],
    ['SELEC 1', 'this text', 'SELEC']
  ]
  for (const [sql, construct, at] of refused) {
    it(`refuses ${sql}`, async () => {
      const error = await rejection<Error & { code: string, construct: string, position?: number }>(queryShape(sql))
      expect(error.code).to.equal('ERR_UNSUPPORTED_QUERY')
      expect(error.construct).to.equal(construct)
      if (at !== undefined) expect(sql.slice(error.position)).to.match(new RegExp(`^${at.replaceAll(/[()]/g, '\\$&')}`, 'i'))
    })
  }

  const taken: readonly (readonly [sql: string, text: string])[] = [
    ["SELECT id FROM t WHERE note = 'no LIMIT; here' -- nor LIMIT here", "SELECT id FROM t WHERE note = 'no LIMIT; here' -- nor LIMIT here"],
    ['SELECT id FROM t ;', 'SELECT id FROM t '],
    ['/* é; */ SELECT id FROM t; -- end', 'SELECT id FROM t'],
    ['SELECT $$a;b$$ AS x, id FROM t;', 'SELECT $$a;b$$ AS x, id FROM t'],
    ['SELECT "LIMIT", lower(x), a::text, CASE WHEN b THEN 1 END FROM t JOIN u USING (id) WHERE EXISTS (SELECT 1 FROM v WHERE v.id = t.id)',
      'SELECT "LIMIT", lower(x), a::text, CASE WHEN b THEN 1 END FROM t JOIN u USING (id) WHERE EXISTS (SELECT 1 FROM v WHERE v.id = t.id)'],
    ['SELECT id FROM t WHERE EXISTS (SELECT 1 FROM v WHERE NOT v.a) IS TRUE AND (a = 1 OR id IN (SELECT id FROM u) OR (SELECT b FROM u) IS NOT NULL) AND NOT a',
      'SELECT id FROM t WHERE EXISTS (SELECT 1 FROM v WHERE NOT v.a) IS TRUE AND (a = 1 OR id IN (SELECT id FROM u) OR (SELECT b FROM u) IS NOT NULL) AND NOT a'],
    ['WITH c AS MATERIALIZED (SELECT * FROM t) SELECT id FROM c WHERE id > $1', 'WITH c AS MATERIALIZED (SELECT * FROM t) SELECT id FROM c WHERE id > $1']
  ]
  for (const [sql, text] of taken) {
    it(`takes ${sql}`, async () => { expect((await queryShape(sql)).text).to.equal(text) })
  }

  it('says which columns the result is sorted by', async () => {
    const sortOf = async (sql: string) => (await queryShape(sql)).sort.map(({ output, isDescending, nullsFirst }) => [output, isDescending, nullsFirst])
    expect(await sortOf('SELECT id, ts FROM t ORDER BY ts, id DESC')).to.deep.equal([['ts', false, undefined], ['id', true, undefined]])
    expect(await sortOf('SELECT id, t.ts AS moment FROM t ORDER BY t.ts NULLS FIRST')).to.deep.equal([['moment', false, true]])
    expect(await sortOf('SELECT id, ts FROM t ORDER BY 2')).to.deep.equal([[2, false, undefined]])
    expect(await sortOf('SELECT a.id, b.id AS bid FROM a, b ORDER BY b.id, a.id, id')).to.deep.equal([['bid', false, undefined], ['id', false, undefined], ['id', false, undefined]])
    expect(await sortOf('SELECT * FROM t ORDER BY lower(x)')).to.deep.equal([[undefined, false, undefined]])
  })

  const columns: readonly (readonly [sql: string, output: string | undefined])[] = [
    ["SELECT date_trunc('day', t.ts) AS ts FROM t ORDER BY t.ts", undefined],
    ["SELECT date_trunc('day', t.ts) AS ts FROM t ORDER BY ts", 'ts'],
    ['SELECT a.id, b.x FROM a, b ORDER BY b.id', undefined],
    ['SELECT a.* FROM a, b ORDER BY b.id', undefined],
    ['SELECT a.*, b.id AS bid FROM a, b ORDER BY b.id', 'bid'],
    ['SELECT a.* FROM a, b ORDER BY a.id', 'id'],
    ['SELECT * FROM a ORDER BY a.id', 'id'],
    ['SELECT * FROM a ORDER BY id', 'id'],
    ['SELECT id FROM s.a ORDER BY s.a.id', 'id'],
    ['SELECT a.id AS x FROM a ORDER BY id', 'x'],
    ['SELECT * FROM a JOIN b USING (id) ORDER BY b.id', 'id'],
    ['SELECT * FROM a LEFT JOIN b USING (id) ORDER BY b.id', undefined],
    ['SELECT * FROM a LEFT JOIN b USING (id) ORDER BY b.x', 'x'],
    ['SELECT id FROM a NATURAL LEFT JOIN b ORDER BY b.id', undefined],
    ['SELECT b.id AS x FROM (a RIGHT JOIN b USING (id)) JOIN c ON true ORDER BY id', 'id'],
    ['SELECT b.* FROM a LEFT JOIN b USING (id) ORDER BY b.id', 'id']
  ]
  for (const [sql, output] of columns) {
    it(`finds ${output ?? 'no column'} for the order in ${sql}`, async () => { expect((await queryShape(sql)).sort[0]!.output).to.equal(output) })
  }

  it('lists functions and relations for the catalogue to judge', async () => {
    const { functions, relations, operators, attributes } = await queryShape('SELECT f(id), s.g(1), (a).x, b.y FROM a JOIN s.b USING (id) WHERE 1 <~ 2 AND 1 OPERATOR(s.~>) ANY (SELECT 1)')
    expect(operators.map(({ schema, name }) => [schema, name])).to.deep.equal([[undefined, '<~'], ['s', '~>']])
    expect(attributes.map(({ name, position }) => [name, position])).to.deep.equal([['x', 23], ['y', 29]])
    expect(functions.map(({ schema, name, position }) => [schema, name, position])).to.deep.equal([[undefined, 'f', 7], ['s', 'g', 14]])
    expect(relations.map(({ schema, name }) => [schema, name])).to.deep.equal([[undefined, 'a'], ['s', 'b']])
  })
})
