import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'
import { UnsupportedQueryError } from '../../../lib/errors.js'
import { decompose, type Catalogue, type DecomposeOptions } from '../../../lib/partition/decompose.js'

const POI = { partitionKey: 'region_id', pureFunctions: ['dist', 'st_dwithin', 'angle'] }
const texts = (sql: string, options: DecomposeOptions): string[] => decompose(sql, options).map(fragment => fragment.sql)
const one = (table: string, key: string, where: string): string => `SELECT DISTINCT t1.${key} FROM ${table} AS t1 WHERE ${where}`

const E2 = "SELECT * FROM poi AS a, poi AS b WHERE a.type = 'park' AND b.type = 'cafe' AND a.region_id = b.region_id AND DIST(a.geom, b.geom) < 350.5 ORDER BY a.id LIMIT 10;"
const PAIR = 'SELECT DISTINCT t1.region_id FROM poi AS t1, poi AS t2 WHERE '

describe('decompose: the worked queries of the original', () => {
  it('E1: all conditions of a table together, or also each alone', () => {
    const sql = "SELECT * FROM restaurants AS r WHERE r.rating > 4.0 AND r.cuisine = 'italian'"
    const both = one('restaurants', 'city_id', "t1.cuisine = 'italian' AND t1.rating > 4")
    expect(texts(sql, { partitionKey: 'city_id' })).to.deep.equal([both])
    expect(texts(sql, { partitionKey: 'city_id', keepAllAttributes: false })).to.have.members([both,
      one('restaurants', 'city_id', 't1.rating > 4'), one('restaurants', 'city_id', "t1.cuisine = 'italian'")])
  })

  it('E2: alias names, table order, flipped comparisons, ORDER BY and LIMIT do not matter; distances are widened where asked', () => {
    const wide = `${PAIR}dist(t2.geom, t1.geom) < 351 AND t1.region_id = t2.region_id AND t1.type = 'cafe' AND t2.type = 'park'`
    const expected = [one('poi', 'region_id', "t1.type = 'park'"), one('poi', 'region_id', "t1.type = 'cafe'"), wide.replace('351', '350.5')]
    expect(texts(E2, POI)).to.have.members(expected)
    expect(texts(E2, { ...POI, bucketSteps: 1 })).to.have.members([...expected, wide])
    expect(texts(E2, { ...POI, bucketSteps: 100 })).to.have.members([...expected, wide.replace('351', '400')])
    expect(texts("SELECT * FROM poi z, poi y WHERE y.type='park' AND z.type='cafe' AND z.region_id = y.region_id AND 350.5 > DIST(y.geom, z.geom)", POI)).to.have.members(expected)
    expect(texts("SELECT 1 FROM poi y JOIN poi z ON (z.region_id = y.region_id AND DIST(y.geom, z.geom) < 350.5) WHERE 'park' = y.type AND z.type IN ('cafe')", POI)).to.have.members(expected)
    expect(texts("SELECT 1 FROM poi y JOIN poi z USING (region_id) WHERE y.type = 'park' AND z.type = 'cafe' AND DIST(y.geom, z.geom) < 350.5", POI)).to.have.members(expected)
  })

  it('E3: connected sub-graphs of three tables', () => {
    const sql = "SELECT a.id FROM poi a, poi b, poi c WHERE a.type='park' AND a.area > 900 AND b.type='cafe' AND c.name LIKE '%x%' AND a.region_id=b.region_id AND b.region_id=c.region_id AND ST_DWithin(a.geom,b.geom,100) AND ST_DWithin(b.geom,c.geom,200)"
    const found = texts(sql, POI)
    expect(found).to.have.length(6)
    expect(found.at(-1)).to.equal("SELECT DISTINCT t1.region_id FROM poi AS t1, poi AS t2, poi AS t3 WHERE st_dwithin(t1.geom, t3.geom, 100) AND st_dwithin(t3.geom, t2.geom, 200) AND t1.area > 900 AND t1.region_id = t2.region_id AND t1.region_id = t3.region_id AND t1.type = 'park' AND t2.name LIKE '%x%' AND t3.type = 'cafe'")
    expect(texts(sql, { ...POI, maxComponentSize: 2 })).to.have.members(found.slice(0, 5))
    expect(texts(sql, { ...POI, minComponentSize: 2 })).to.have.members(found.slice(3))
    expect(texts(sql, { ...POI, followGraph: false })).to.have.length(7)
  })

  it('E4: a key IN a sub-query is a table of its own', () => {
    expect(texts("SELECT * FROM poi a, poi b WHERE a.type='park' AND b.type='cafe' AND a.region_id=b.region_id AND a.region_id IN (SELECT region_id FROM regions WHERE country='DE')", POI))
      .to.have.members([one('poi', 'region_id', "t1.type = 'park'"), one('poi', 'region_id', "t1.type = 'cafe'"), one('regions', 'region_id', "t1.country = 'DE'")])
    expect(texts('SELECT * FROM poi a WHERE a.x = 1 AND a.region_id IN (SELECT region_id FROM r WHERE y = 1 INTERSECT SELECT id FROM s WHERE z = 2)', POI))
      .to.have.members([one('poi', 'region_id', 't1.x = 1'), one('r', 'region_id', 't1.y = 1'), one('s', 'id', 't1.z = 2')])
  })

  it('E5: conditions on the key are cached with and without', () => {
    expect(texts("SELECT * FROM poi a WHERE a.type='park' AND a.region_id NOT IN (1,2,3) AND a.region_id BETWEEN 5 AND 10", POI)).to.deep.equal([
      one('poi', 'region_id', "t1.type = 'park'"), one('poi', 'region_id', "t1.region_id <= 10 AND t1.region_id >= 5 AND t1.region_id NOT IN (1, 2, 3) AND t1.type = 'park'")])
  })

  it('E6: an OR over two tables is an edge', () => {
    expect(texts("SELECT * FROM poi a, poi b WHERE a.type='park' AND (a.size > b.size OR a.x < b.y) AND a.region_id=b.region_id AND b.type IN ('cafe','bar')", POI)).to.have.members([
      one('poi', 'region_id', "t1.type = 'park'"), one('poi', 'region_id', "t1.type IN ('bar', 'cafe')"),
      `${PAIR}(t1.x < t2.y OR t2.size < t1.size) AND t1.region_id = t2.region_id AND t1.type = 'park' AND t2.type IN ('bar', 'cafe')`])
  })

  it('E7: a star table that restricts nothing leaves the fragments of the same query without it', () => {
    const star = 'SELECT * FROM users u, orders o, p0_city p WHERE u.age > 25 AND o.total > 100 AND u.city_id=p.city_id AND o.city_id=p.city_id AND u.uid = o.uid'
    const plain = 'SELECT * FROM users u, orders o WHERE u.age > 25 AND o.total > 100 AND u.city_id=o.city_id AND u.uid = o.uid'
    expect(texts(star, { partitionKey: 'city_id' })).to.have.length(3).and.to.have.members(texts(plain, { partitionKey: 'city_id' }))
    const named = texts(`${star} AND p.country = 'DE'`, { partitionKey: 'city_id', starJoinTable: 'p' })
    expect(named).to.have.length(4)
    expect(named.every(sql => sql.includes("country = 'DE'"))).to.equal(true)
  })

  it('E8: only computed values are widened; constraints can be taken away and added', () => {
    const sql = "SELECT a.name, b.name FROM poi a, poi b WHERE a.type='park' AND b.type='cafe' AND a.region_id=b.region_id AND a.dist BETWEEN 1.6 AND 3.6 AND DIST(a.g,b.g) BETWEEN 1.6 AND 3.6"
    const found = texts(sql, { ...POI, bucketSteps: 1 })
    expect(found).to.have.length(4)
    expect(found.filter(text => text.includes('dist(t1.g, t2.g) <= 4 AND dist(t1.g, t2.g) >= 1 AND t1.dist <= 3.6 AND t1.dist >= 1.6'))).to.have.length(1)
    expect(texts(sql, { ...POI, removeConstraintsAll: ['dist'] }).slice(0, 2)).to.have.members([one('poi', 'region_id', "t1.type = 'park'"), one('poi', 'region_id', "t1.type = 'cafe'")])
    expect(texts(sql, { ...POI, removeConstraintsAdd: ['dist'] })).to.have.length(5)
    expect(texts(sql, { ...POI, maxComponentSize: 1, addConstraints: { poi: 'size = 4' } })).to.include(one('poi', 'region_id', "t1.size = 4 AND t1.type = 'cafe'"))
  })

  it('E9: a condition on three tables counts only where all three are', () => {
    const found = texts("SELECT * FROM p a, p b, p c WHERE a.t='x' AND b.t='y' AND c.t='z' AND ANGLE(a.g,b.g,c.g) < 90 AND DIST(a.g,b.g) < 5 AND DIST(b.g,c.g) < 6 AND a.k=b.k AND b.k=c.k", { ...POI, partitionKey: 'k' })
    expect(found).to.have.length(6)
    expect(found.filter(sql => sql.includes('angle'))).to.deep.equal([found.at(-1)])
  })

  it('E10: a comparison of times is an edge, whichever way round', () => {
    const found = texts("SELECT * FROM ev a, ev b WHERE a.kind='login' AND b.kind='fail' AND b.ts > a.ts AND a.day=b.day", { partitionKey: 'day' })
    expect(found).to.have.length(3)
    expect(found).to.have.members(texts("SELECT * FROM ev f JOIN ev l ON l.day = f.day AND l.ts < f.ts WHERE l.kind='login' AND f.kind='fail'", { partitionKey: 'day' }))
  })

  it('E11: unqualified columns of a single table are that table\'s', () => {
    expect(texts("SELECT DISTINCT user_id FROM events WHERE type = 'click' AND user_id IN (1,2,3)", { partitionKey: 'user_id' })).to.deep.equal([
      one('events', 'user_id', "t1.type = 'click'"), one('events', 'user_id', "t1.type = 'click' AND t1.user_id IN (1, 2, 3)")])
  })

  it('no WHERE: the set of all partitions', () => {
    expect(texts('SELECT * FROM poi', POI)).to.deep.equal(['SELECT DISTINCT t1.region_id FROM poi AS t1'])
  })

  it('counts connected sub-graphs: chain, star, cycle, complete', () => {
    const count = (edges: string[]): number => texts(`SELECT * FROM p a, p b, p c, p d WHERE a.k=b.k AND b.k=c.k AND c.k=d.k AND a.t=1 AND b.t=2 AND c.t=3 AND d.t=4 AND ${
      edges.map(edge => `${edge[0]!}.x < ${edge[1]!}.x`).join(' AND ')}`, { partitionKey: 'k' }).length
    expect([count(['ab', 'bc', 'cd']), count(['ab', 'ac', 'ad']), count(['ab', 'bc', 'cd', 'da']), count(['ab', 'ac', 'ad', 'bc', 'bd', 'cd'])]).to.deep.equal([10, 11, 13, 15])
  })
})

describe('decompose', () => {
  it('opens derived tables, WITH queries and EXISTS as the joins that they are', () => {
    const expected = texts("SELECT * FROM poi a, poi b WHERE a.region_id = b.region_id AND a.type = 'x' AND b.kind = 'y' AND a.n < b.n", POI)
    const same = [
      "WITH q AS (SELECT * FROM poi WHERE type = 'x') SELECT * FROM q JOIN (SELECT region_id AS region_id, n AS m FROM poi WHERE kind = 'y') r ON q.region_id = r.region_id AND q.n < r.m",
      "SELECT * FROM poi z WHERE z.type = 'x' AND EXISTS (SELECT 1 FROM poi y WHERE y.region_id = z.region_id AND y.kind = 'y' AND y.n > z.n)",
      "WITH q(k, w) AS (SELECT region_id, n FROM poi WHERE kind = 'y') SELECT * FROM poi z, q WHERE z.region_id = q.k AND q.w > z.n AND z.type = 'x'",
      "SELECT * FROM (SELECT DISTINCT region_id, n FROM poi WHERE type = 'x') z, poi y WHERE z.region_id = y.region_id AND y.kind = 'y' AND y.n > z.n",
    ]
    for (const sql of same) expect(texts(sql, POI), sql).to.have.members(expected)
  })

  it('keeps a correlated sub-query that cannot be opened, under names that capture nothing', () => {
    const [{ sql, tables }] = decompose("SELECT * FROM poi t1 WHERE t1.type = 'x' AND NOT EXISTS (SELECT 1 FROM shops a WHERE a.poi_id = t1.id AND a.open)", POI) as [ReturnType<typeof decompose>[0]]
    expect(sql).to.equal(one('poi', 'region_id', "NOT (EXISTS (SELECT 1 FROM shops AS s1 WHERE s1.poi_id = t1.id AND s1.open)) AND t1.type = 'x'"))
    expect(tables).to.deep.equal(['poi', 'shops'])
    expect(texts("SELECT * FROM poi s1 WHERE s1.type = 'x' AND NOT EXISTS (SELECT 1 FROM shops t1 WHERE t1.poi_id = s1.id AND t1.open)", POI)).to.deep.equal([sql])
  })

  it('gives a bare name of a sub-query to the nearest table that has it, and keeps none that may be of any', () => {
    const columns: Record<string, readonly string[]> = { poi: ['region_id', 'id', 'x'], a: ['p'], b: ['q'] }
    const catalogue: Catalogue = { volatility: () => undefined, relation: () => undefined,
      tableFacts: (_, name) => columns[name] && { columns: new Map(columns[name].map(column => [column, { type: 'int4', notNull: false }])) } }
    const kept = (from: string, options = {}): string | undefined => /NOT \(EXISTS \(.*\)\)/.exec(texts(`SELECT * FROM poi z WHERE NOT EXISTS (SELECT z.x FROM ${from})`, { ...POI, ...options })[0]!)?.[0]
    expect(kept('a, b WHERE p = q AND p = id', { catalogue })).to.equal('NOT (EXISTS (SELECT t1.x FROM a AS s1, b AS s2 WHERE s1.p = s2.q AND s1.p = t1.id))')
    expect(kept('a WHERE p = id', { catalogue })).to.equal('NOT (EXISTS (SELECT t1.x FROM a AS s1 WHERE s1.p = t1.id))')
    expect(kept('a WHERE p = 1')).to.equal('NOT (EXISTS (SELECT t1.x FROM a AS s1 WHERE s1.p = 1))')
    const uncertain = ['a, b WHERE p = q', 'a, unknown WHERE p = 1', 'a, a c WHERE p = 1', 'a GROUP BY id', 'a WHERE a IS NULL', '(SELECT 1 AS id) v WHERE id = 1']
    for (const from of uncertain) expect(kept(from, from.startsWith('a, b') ? {} : { catalogue }), from).to.equal(undefined)
  })

  it('opens no EXISTS over an aggregate, which is always true', () => {
    for (const output of ['JSON_ARRAYAGG(b.n)', 'JSON_OBJECTAGG(b.n : b.m)', 'jsonb_agg_strict(b.n)']) {
      expect(texts(`SELECT * FROM poi a WHERE a.n = 1 AND EXISTS (SELECT ${output} FROM poi b WHERE b.region_id = a.region_id AND b.m = 2)`, POI), output).to.deep.equal([one('poi', 'region_id', 't1.n = 1')])
    }
    expect(texts('SELECT * FROM poi a WHERE a.n = 1 AND EXISTS (SELECT JSON_ARRAYAGG(b.n) OVER () FROM poi b WHERE b.region_id = a.region_id AND b.m = 2)', POI)).to.have.length(2)
  })

  it('leaves the nullable side of an outer join out', () => {
    expect(texts("SELECT * FROM poi a LEFT JOIN poi b ON a.region_id = b.region_id AND b.type = 'y' WHERE a.type = 'x' AND b.n = 3", POI)).to.deep.equal([one('poi', 'region_id', "t1.type = 'x'")])
    expect(texts("SELECT * FROM poi b RIGHT JOIN poi a ON a.region_id = b.region_id WHERE a.type = 'x' AND b.n = 3", POI)).to.deep.equal([one('poi', 'region_id', "t1.type = 'x'")])
  })

  it('ties each join by names to its own sides', () => {
    const tied = (from: string): string[] => texts(`SELECT a.k FROM ${from}`, { partitionKey: 'k', recompose: false })
    const written = (on: string): string[] => texts(`SELECT a.k FROM a, b, c, d WHERE ${on}`, { partitionKey: 'k', recompose: false })
    const pairs = written('a.x = b.x AND c.x = d.x AND a.k = c.k')
    expect(tied('a JOIN b USING (x), c JOIN d USING (x) WHERE a.k = c.k')).to.deep.equal(pairs)
    expect(tied('(a JOIN b USING (x)) JOIN (c JOIN d USING (x)) ON a.k = c.k')).to.deep.equal(pairs)
    expect(tied('(a JOIN b USING (x)) JOIN (c JOIN d USING (x)) USING (x) WHERE a.k = c.k')).to.deep.equal(written('a.x = b.x AND c.x = d.x AND a.x = c.x AND a.k = c.k'))
  })

  it('quotes identifiers, and tells them apart as PostgreSQL does', () => {
    expect(texts('SELECT * FROM "My Poi" "A", poi a WHERE "A"."Key" = a."Key" AND "A"."T""x" = 1 AND a.t = 2', { partitionKey: 'Key' })).to.have.members([
      'SELECT DISTINCT t1."Key" FROM "My Poi" AS t1 WHERE t1."T""x" = 1', 'SELECT DISTINCT t1."Key" FROM poi AS t1 WHERE t1.t = 2'])
    expect(texts('SELECT * FROM app.poi p WHERE app_id = 2', { partitionKey: 'id' })).to.deep.equal(['SELECT DISTINCT t1.id FROM app.poi AS t1 WHERE t1.app_id = 2'])
  })

  it('names the tables of a fragment, for invalidation', () => {
    expect(decompose('SELECT * FROM app.poi a JOIN "Poi" b USING (k) WHERE a.x < b.x', { partitionKey: 'k' })[0]!.tables).to.deep.equal(['"Poi"', 'app.poi'])
  })

  it('gives look-alike tables one order', () => {
    const cycle = (aliases: string[]): string => {
      const [a, b, c] = aliases as [string, string, string]
      return `SELECT * FROM p ${a}, p ${b}, p ${c} WHERE ${a}.k = ${b}.k AND ${b}.k = ${c}.k AND ${a}.x < ${b}.y AND ${b}.x < ${c}.y AND ${c}.x < ${a}.y`
    }
    const expected = texts(cycle(['a', 'b', 'c']), { partitionKey: 'k' })
    for (const order of [['c', 'a', 'b'], ['b', 'a', 'c'], ['z', 'y', 'x']]) expect(texts(cycle(order), { partitionKey: 'k' })).to.deep.equal(expected)
  })

  it('hashes with SHA-256, the same in every process and time zone', () => {
    const [fragment] = decompose(E2, POI)
    expect(fragment!.hash).to.match(/^[0-9a-f]{64}$/)
    const script = `import { decompose } from ${JSON.stringify(join(import.meta.dirname, '../../../lib/partition/decompose.ts'))}
      process.stdout.write(JSON.stringify(decompose(${JSON.stringify(E2)}, ${JSON.stringify(POI)})))`
    for (const TZ of ['Asia/Tokyo', 'America/Sao_Paulo']) {
      const out = execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], { encoding: 'utf8', env: { ...process.env, TZ }, cwd: join(import.meta.dirname, '../../..') })
      expect(JSON.parse(out)).to.deep.equal(decompose(E2, POI))
    }
  }).timeout(20_000)

  it('remembers by text and by what the parameters are', () => {
    const sql = 'SELECT * FROM poi WHERE x = $1'
    const hashes = [5, '5', 5n, null, true, 6, undefined].map(param => texts(sql, { ...POI, params: [param] }).join())
    expect(hashes[0]).to.equal(one('poi', 'region_id', 't1.x = 5'))
    expect(hashes[1]).to.equal(one('poi', 'region_id', "t1.x = '5'"))
    expect(hashes[2]).to.equal(hashes[0])
    expect(hashes[6]).to.equal('SELECT DISTINCT t1.region_id FROM poi AS t1')
    const moment = '2024-01-01T00:00:00.000Z'
    const pairs: (readonly [unknown, unknown])[] = [[new Date(moment), moment], [[new Date(moment)], [moment]], [7n, { bigint: '7' }], [NaN, { number: 'NaN' }], [new Date(0), { date: 0 }], [[1, 2], { type: 'object' }]]
    for (const [param, other] of pairs) expect(texts(sql, { ...POI, params: [other] }), String(param)).to.not.deep.equal(texts(sql, { ...POI, params: [param] }))
    decompose(sql, { ...POI, params: [5] }).pop()
    expect(decompose(sql, { ...POI, params: [5] })).to.have.length(1)
  })

  it('refuses what is nested too deeply to be read, and takes long lists', () => {
    for (const count of [600, 2000, 20_000]) expect(() => texts(`SELECT * FROM poi WHERE n ${'+ 1'.repeat(count)} > 3`, POI), String(count)).to.throw(UnsupportedQueryError)
    const many = (separator: string): string => Array.from({ length: 2000 }, (_, i) => `n <> ${i}`).join(separator)
    expect(texts(`SELECT * FROM poi WHERE n ${'+ 1'.repeat(100)} > 3 AND (${many(' OR ')}) AND ${many(' AND ')}`, POI)).to.have.length(1)
  })

  const refused: [sql: string, construct: RegExp, position?: number][] = [
    ["SELECT * FROM a WHERE k = 1 UNION SELECT * FROM b", /UNION/], ['SELECT * FROM a EXCEPT SELECT * FROM b', /EXCEPT/], ['VALUES (1)', /VALUES/],
    ['SELECT count(*) FROM a WHERE x = 1', /aggregate over all/, 7], ['SELECT 1 FROM a HAVING count(*) > 1', /aggregate over all/, 23],
    ['SELECT JSON_ARRAYAGG(x) FROM a', /aggregate over all/, 7], ['SELECT jsonb_object_agg_strict(x, y) FROM a', /aggregate over all/, 7],
    ["SELECT 'é', random() FROM a", /volatile function random/, 12], ["SELECT nextval('s'), x FROM a", /volatile function nextval/, 7],
    ['SELECT * FROM a WHERE pg_sleep(1) IS NULL', /volatile/, 22],
    ['SELECT * FROM a, b WHERE a.id = b.aid', /not tied/], ['SELECT * FROM a, b WHERE a.k = 1 AND b.k = 2', /not tied/], ['SELECT * FROM a, b', /not tied/],
    ['SELECT * FROM a NATURAL JOIN b', /not tied/],
    ['SELECT * FROM a FULL JOIN b ON a.k = b.k', /outer join/], ['SELECT * FROM t LEFT JOIN a ON a.id = t.id WHERE a.k = 3', /outer join/],
    ['SELECT * INTO x FROM a', /INTO/], ['SELECT 1', /without FROM/], ['SELECT * FROM a TABLESAMPLE system (1)', /TABLESAMPLE/], ['SELECT * FROM a FOR UPDATE', /locking/],
    ['SELECT * FROM (SELECT * FROM a WHERE k = 1 FOR UPDATE) q', /locking/], ['WITH q AS (SELECT * FROM a FOR SHARE SKIP LOCKED) SELECT * FROM q', /locking/],
    ['WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d', /data-modifying/], ['DELETE FROM a', /other than SELECT/], ['SELECT 1; SELECT 2', /several/], ['', /empty/],
    ['SELECT * FROM a WHERE', /cannot parse/, 21], ['SELECT * FROM generate_series(1, 3) g', /without a table/], ['SELECT * FROM (SELECT 1 AS k UNION SELECT 2) q', /without a table/],
    ['SELECT * FROM (SELECT count(*) AS k FROM a) q', /without a table/],
  ]
  for (const [sql, construct, position] of refused) {
    it(`refuses ${sql || 'an empty text'}`, () => {
      try {
        decompose(sql, { partitionKey: 'k' })
      } catch (error) {
        expect(error).to.be.instanceOf(UnsupportedQueryError)
        expect((error as UnsupportedQueryError).construct).to.match(construct)
        if (position !== undefined) expect((error as UnsupportedQueryError).position).to.equal(position)
        return
      }
      expect.fail('it was taken')
    })
  }
})
