import { expect } from 'chai'
import { decompose } from '../../../lib/partition/decompose.js'

/** The conditions of a query's largest fragment. */
function conditions(where: string, params: readonly unknown[] = []): string {
  const fragments = decompose(`SELECT * FROM t a WHERE ${where}`, { partitionKey: 'k', params, pureFunctions: ['dist'] })
  return fragments.at(-1)!.conditions.join(' AND ')
}

describe('the normal form of conditions', () => {
  const equal: [title: string, first: string, ...texts: string[]][] = [
    ['sees through flipped comparisons', 'a.x < 5', '5 > a.x', '(((a.x < 5)))'],
    ['sees through BETWEEN', 'a.x BETWEEN 1 AND 3', 'a.x >= 1 AND a.x <= 3', '3 >= a.x AND 1 <= a.x', 'NOT (a.x < 1 OR a.x > 3)'],
    ['sees through operand order', "a.x = 1 AND a.t = 'p'", "a.t = 'p' AND a.x = 1", "(a.x) = 1 AND ('p' = a.t)"],
    ['sees through the order of OR', 'a.x < 1 OR a.y > 2', 'a.y > 2 OR a.x < 1', '2 < a.y OR (1 > a.x)'],
    ['folds constants', 'a.x < 6', 'a.x < 2 * 3', 'a.x < 1 + 10 / 2', '- -6 > a.x', 'a.x < 6 AND 1 = 1', 'a.x < 6 AND (true OR a.y = 3)', 'a.x < 6 AND NOT false'],
    ['spells numbers one way', 'a.x < 4', 'a.x < 4.0', 'a.x < 4.', 'a.x < 0.4e1'],
    ['writes equalities with one column as a list', 'a.x IN (1, 2)', 'a.x = 2 OR a.x = 1', 'a.x IN (2, 1, 1)', 'a.x = ANY (ARRAY[1, 2])', "a.x = ANY ('{2,1}'::int[])", 'a.x IN (1, 2, 3) AND a.x IN (2, 1, 4)', 'a.x IN (1, 2, NULL)'],
    ['takes the items of an array literal without a type for what the column holds', "a.x IN ('1', '2')", "a.x = ANY ('{1,2}')", "a.x = ANY ('{2,1}')"],
    ['takes lists without a common number for what is never true', 'a.y = 1', 'a.y = 1 AND a.x = 1 AND a.x = 2', 'a.y = 1 AND a.x = 1 AND a.x = 2 AND a.x = 3', 'a.x IN (1, 2) AND a.x = 3 AND a.x = 1 AND a.y = 1'],
    ['drops what another bound says', 'a.x < 3', 'a.x < 5 AND a.x < 3', 'a.x < 3 AND a.x <= 3'],
    ['absorbs', 'a.x = 1', 'a.x = 1 AND (a.x = 1 OR a.y = 2)', 'a.x = 1 OR (a.x = 1 AND a.y = 2)'],
    ['distributes OR over AND', "a.x = 1 AND a.t IN ('a', 'b')", "(a.x = 1 AND a.t = 'a') OR (a.t = 'b' AND a.x = 1)"],
    ['pushes NOT inwards', 'a.x <> 1 AND a.y >= 2', 'NOT (a.x = 1 OR a.y < 2)', 'NOT (a.x = 1) AND NOT a.y < 2', 'a.x != 1 AND a.y >= 2'],
    ['ignores comments and case of names', 'a.x = 1', 'A.X /* x */ = 1 -- end\n', '"a"."x" = 1'],
    ['orders commutative operators', 'a.x + a.y < 3', 'a.y + a.x < 3'],
    ['knows booleans', 'a.flag', 'a.flag = true', 'NOT NOT a.flag', 'a.flag <> false'],
    ['does not depend on the session', "a.t = 'it''s'", "a.t = E'it\\'s'"],
    ['lower-cases function names', 'dist(a.g, a.h) < 3', 'DIST(a.g, a.h) < 3', '3 > Dist(a.g, a.h)'],
  ]
  for (const [title, first, ...others] of equal) {
    it(title, () => {
      for (const other of others) expect(conditions(other), other).to.equal(conditions(first))
    })
  }

  it('keeps apart what only looks alike', () => {
    const texts = ["a.t = '--'", "a.t = 'pa--rk'", "a.t = '\"x\"'", "a.t = 'x'", 'a."T" = \'x\'', 'a.x < 5', 'a.x <= 5', "a.x < '5'", 'a.x + 1 > 5', 'a.x > 4',
      'a.x / 2 = 1', 'a.x = 1.5', "a.t LIKE 'a'", "a.t ILIKE 'a'", 'dist(a.g, a.h) < 3', 'dist(a.h, a.g) < 3', 'a.x IS NULL', 'a.x IS NOT NULL', 'a.x NOT IN (1, 2)', 'a.x IN (1, 2)']
    expect(new Set(texts.map(text => conditions(text)))).to.have.length(texts.length)
  })

  it('is its own normal form', () => {
    const texts = ["a.x IN (1, 2) AND a.t LIKE 'x%'", '(a.x < 1 OR a.y > 2 OR a.t IS NULL)', "CASE WHEN a.x = 1 THEN a.t ELSE 'z' END = 'q'", "a.ts >= TIMESTAMP '2024-01-01'",
      'a.x::int8 = 3', 'coalesce(a.x, 1) > 2', 'a.x IS DISTINCT FROM a.y', 'NOT a.flag', 'a.flag IS NOT TRUE', '-a.x < -5', "a.t = 'x'::text", 'a.x - -1 > 3',
      "a.j ->> 'b' = 'c'", 'a.x % 2 = 1', "a.t SIMILAR TO 'a%'", "a.t LIKE 'a!%' ESCAPE '!'", 'greatest(a.x, 3) < 9', "position('a' in a.t) > 1", 'nullif(a.x, 2) = 1']
    for (const text of texts) {
      const once = conditions(text).replaceAll('t1.', 'a.')
      expect(once, text).not.to.equal('')
      expect(conditions(once), text).to.equal(conditions(text))
    }
  })

  it('takes parameters by value', () => {
    expect(conditions('a.x < $1 AND a.t = $2', [5, 'p'])).to.equal(conditions("a.x < 5 AND a.t = 'p'"))
    expect(conditions('a.x = ANY ($1)', [[1, 2]])).to.equal(conditions('a.x IN (1, 2)'))
    expect(conditions('a.x = ANY ($1::int8[])', [[1, 2n]])).to.equal(conditions('a.x IN (1, 2)'))
    expect(conditions('($1 IS NULL OR a.x = $1) AND a.y = 1', [null])).to.equal(conditions('a.y = 1'))
    expect(conditions('a.x BETWEEN $1 AND $2', [1, 2])).to.equal(conditions('a.x BETWEEN 1 AND 2'))
  })

  it('quotes a number that a real column would compare otherwise', () => {
    // x = $1 takes the column's type, x = 5.1 compares a real as double precision
    expect(conditions('a.x = $1', [5.1])).to.equal("t1.x = '5.1'")
    expect(conditions('a.x = $1', [16777217])).to.equal("t1.x = '16777217'")
    expect(conditions('a.x + $1 = 3', [1])).to.equal("('1' + t1.x) = 3")
  })

  it('leaves out what may answer otherwise tomorrow, or elsewhere', () => {
    const kept = conditions('a.y = 1')
    for (const text of ['a.ts < now()', 'a.ts < current_date', "a.ts < 'today'", "a.ts > a.tz + interval '1 day'", 'mine(a.x) = 1', "to_char(a.ts, 'YYYY') = '2024'", 'a.x = $1',
      "a.ts < '2024-01-01'::timestamptz", "date_trunc('day', a.ts) = a.d", "a.t = a.x::text", 'a.x = (SELECT y FROM u LIMIT 1)', 'a IS NULL', 'a.ctid IS NOT NULL',
      'a.x = (SELECT sum(y) FROM u)', "a.t @@ 'x'", 'a.x < ANY (ARRAY[1])', 'extract(year from a.ts) = 2024', 'a.ts::date = a.d']) {
      expect(conditions(`${text} AND a.y = 1`), text).to.equal(kept)
    }
  })
})
