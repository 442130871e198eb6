import { expect } from 'chai'
import { InvalidArgumentError, KeyTypeError, UnsupportedQueryError } from '../../../lib/errors.js'
import { applyCache } from '../../../lib/partition/apply.js'
import { memoryBackend } from '../../../lib/partition/backends/memory.js'
import { partitionCache, type PartitionCache } from '../../../lib/partition/cache.js'
import { explain } from '../../../lib/partition/explain.js'
import { getPartitionKeys } from '../../../lib/partition/key-sets.js'
import { populate } from '../../../lib/partition/populate.js'
import type { Source } from '../../../lib/source/fetcher.js'
import type { ForeignSql } from '../../../lib/sql/foreign-shape.js'
import { seeded, type Random } from '../../support/random.js'

/** A database for the law: its source, and its own way to run a query. */
export interface ForeignDatabase {
  readonly dialect: ForeignSql
  readonly source: Source
  run(sql: string): Promise<void>
  /** Rows as arrays, as the driver has them. */
  rows(sql: string): Promise<readonly unknown[][]>
}

const isLong = process.env['MILLRACE_FAULTS'] === 'long' || process.argv.includes('--long')
const PAIRS = isLong ? 2500 : 150
const SEED = Number(process.env['MILLRACE_SEED'] ?? 20260303)

const TEXTS = ['a', 'A', 'b', 'B ', 'a ', 'é', 'it\'\'s', '']
const CODES = ['n', 'N', 'x y', 's', '10', '9', '']
const DAYS = ['2024-01-01', '2024-02-29', '2023-12-31', '2025-06-06']

/** The tables: a key of whole numbers, one of texts, and columns that compare otherwise than PostgreSQL's. */
export function schemaOf(dialect: ForeignSql): string[] {
  const [exact, loose] = dialect === 'mysql' ? ['VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin', 'VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci'] : ['TEXT', 'TEXT']
  const end = dialect === 'mysql' ? ' ENGINE=InnoDB' : ''
  return ['poi', 'shops', 'users'].map(name => `CREATE TABLE ${name} (region_id BIGINT, code ${exact}${name === 'users' ? ' NOT NULL' : ''}, size INT, price DECIMAL(10,2), ratio DOUBLE, name ${loose}, day DATE, made DATETIME)${end}`)
}

function insertsOf(random: Random): string[] {
  const orNull = (text: string): string => random.chance(0.1) ? 'NULL' : text
  return ['poi', 'shops', 'users'].map(table => {
    const rows = Array.from({ length: 25 }, () => [orNull(String(random.below(8) - 2)), table === 'users' ? `'${random.pick(CODES)}'` : orNull(`'${random.pick(CODES)}'`), orNull(String(random.below(12))),
      orNull(`${random.below(12)}.${random.below(4) * 25}`), orNull(`${random.below(12)}.5`), orNull(`'${random.pick(TEXTS)}'`), orNull(`'${random.pick(DAYS)}'`),
      orNull(`'${random.pick(DAYS)} 1${random.below(10)}:00:00'`)].join(', '))
    return `INSERT INTO ${table} VALUES ${rows.map(row => `(${row})`).join(', ')}`
  })
}

/** A condition on a table, and one that it implies. */
type Conditions = (alias: string, random: Random) => readonly [narrow: string, wide: string]

const CONDITIONS: readonly Conditions[] = [
  (a, { below }) => { const n = below(10); return [`${a}.size < ${n}`, `${a}.size < ${n + below(3)}`] },
  (a, { below }) => { const n = below(10); return [`${n} <= ${a}.price`, `${a}.price >= ${Math.max(0, n - below(3))}.0`] },
  (a, { below }) => { const n = below(10); return [`${a}.ratio BETWEEN ${n} AND ${n + 3}`, `${a}.ratio > ${n}.25 - 0 AND ${a}.ratio <= ${n + 4}`] },
  (a, { below }) => { const n = below(10); return [`${a}.size = ${n}`, `${a}.size IN (${n}, ${below(12)})`] },
  (a, { pick }) => { const [t, u] = [pick(TEXTS), pick(TEXTS)]; return [`${a}.name = '${t}'`, `${a}.name IN ('${t}', '${u}')`] },
  (a, { pick }) => { const [t, u] = [pick(CODES), pick(CODES)]; return [`${a}.code <> '${t}'`, `NOT ${a}.code = '${pick([t, u])}'`] },
  (a, { pick }) => { const day = pick(DAYS); return [`${a}.day >= '${day}'`, `${a}.day >= '${pick([day, '2023-01-01'])}'`] },
  (a, { pick }) => { const day = pick(DAYS); return [`${a}.made < '${day} 12:00:00'`, `${a}.made < '${pick([day, '2026-01-01'])} 12:00:00'`] },
  a => [`${a}.name IS NOT NULL`, `${a}.name IS NOT NULL`],
  (a, { below }) => { const n = below(8) - 2; return [`${a}.region_id IN (${n}, ${n + 1})`, `${a}.region_id >= ${n}`] },
  (a, { below }) => { const n = below(10); return [`(${a}.size = ${n} OR ${a}.name = 'a')`, `(${a}.size <= ${n} OR ${a}.name = 'a')`] },
  // what these mean differs between databases: they must stay out, or be refused
  (a, { below }) => { const n = below(10); return [`${a}.size < 5 / 2`, `${a}.size < ${n}`] },
  a => [`${a}.size <= '7'`, `${a}.size <= 6`],
  a => [`${a}.name < 'b'`, `${a}.name < 'B'`],
  a => [`${a}.name LIKE 'a%'`, `${a}.name LIKE 'A%'`],
  a => [`${a}.name LIKE 'a%' OR ${a}.size > 3`, `${a}.size > 3`],
  a => [`NOT ${a}.size`, `${a}.size = 0`],
  a => [`(${a}.size = 1 || ${a}.name)`, `${a}.size = 1`],
  a => [`abs(${a}.size) > 3`, `${a}.size > 3`],
  a => [`${a}.price > 1e0`, `${a}.price > 1`],
  a => [`EXISTS (SELECT 1 FROM users u9 WHERE u9.region_id = ${a}.region_id AND u9.size > 5)`, `${a}.size IS NOT NULL`],
]

interface Plan { readonly tables: readonly string[], readonly joins: string, readonly narrow: readonly string[], readonly wide: readonly string[], readonly shown: string, readonly tail: string }

function planOf(random: Random, partitionKey: string): Plan {
  const tables = ['poi', 'shops', 'users'].slice(random.below(2)).slice(0, 1 + random.below(3))
  const alias = (i: number): string => `T${i}`
  const chosen = tables.flatMap((_, i) => Array.from({ length: random.below(3) }, () => random.pick(CONDITIONS)(alias(i), random)))
  const on = (i: number): string => `${alias(0)}.${partitionKey} = ${alias(i)}.${partitionKey}`
  const kind = random.pick(['comma', 'inner', 'left'])
  const joins = kind === 'comma' ? tables.map((table, i) => `${table} AS ${alias(i)}`).join(', ')
    : tables.map((table, i) => i === 0 ? `${table} AS ${alias(i)}` : `${kind === 'left' && i === 2 ? 'LEFT JOIN' : 'JOIN'} ${table} ${alias(i)} ON ${on(i)}`).join(' ')
  const ties = kind === 'comma' ? tables.slice(1).map((_, i) => on(i + 1)) : []
  const isGrouped = random.chance(0.2)
  return { tables, joins, narrow: [...ties, ...chosen.map(([narrow]) => narrow)], wide: [...ties, ...chosen.map(([, wide]) => wide)],
    shown: isGrouped ? `${alias(0)}.${partitionKey}, count(*) AS n, min(${alias(0)}.size)` : random.pick([`${alias(0)}.*`, '*', `${alias(0)}.name, ${alias(0)}.price + 1`]),
    tail: isGrouped ? ` GROUP BY ${alias(0)}.${partitionKey}` : random.pick(['', ` -- all\nORDER BY ${alias(0)}.size`, ';', ` ORDER BY ${alias(0)}.size -- the end`]) }
}

function writeQuery({ joins, shown, tail }: Plan, conditions: readonly string[], random: Random): string {
  const kept = conditions.map(text => ({ text, at: random.below(1000) })).sort((a, b) => a.at - b.at).map(({ text }) => text)
  return `SELECT ${shown} FROM ${joins}${kept.length === 0 ? '' : ` WHERE ${kept.join(' AND ')}`}${tail}`
}

async function isFilled(sql: string, cache: PartitionCache, source: Source): Promise<{ stored: number, failed: number }> {
  try {
    const { stored, cached, failed, outcomes } = await populate(sql, { source, cache })
    for (const { error, sql: text } of outcomes) if (error !== undefined) throw new Error(`${text}: ${(error as Error).message}`, { cause: error })
    return { stored: stored + cached, failed }
  } catch (error) {
    if (error instanceof UnsupportedQueryError || error instanceof KeyTypeError) return { stored: 0, failed: 0 }
    throw error
  }
}

/** Random queries: each narrowed by what others left in the cache; not a row may change. */
export function foreignLaw(title: string, open: () => Promise<ForeignDatabase>): void {
  describe(`narrowing on ${title}, over random data and queries`, () => {
    let database: ForeignDatabase
    const count = { pairs: 0, narrowed: 0, empty: 0, invalid: 0, alone: 0, stored: 0 }
    before(async function () {
      this.timeout(60_000)
      database = await open()
      for (const sql of schemaOf(database.dialect)) await database.run(sql)
    })
    after(() => {
      console.log(`      ${count.pairs} pairs: ${count.narrowed} narrowed (${count.empty} to nothing), ${count.alone} left alone; ${count.stored} fragments kept; ${count.invalid} queries not taken by the database`)
    })

    const answer = async (sql: string): Promise<string[] | undefined> => {
      try {
        return (await database.rows(sql)).map(row => JSON.stringify(row, (_, value: unknown) => typeof value === 'bigint' ? String(value) : value)).sort()
      } catch {
        // PostgreSQL's grammar takes more than these do
        return undefined
      }
    }

    it('answers the rows of the original', async function () {
      this.timeout(isLong ? 900_000 : 120_000)
      const random = seeded(SEED)
      let cache = await partitionCache({ backend: memoryBackend(), partitionKey: 'region_id', datatype: 'integer' })
      while (count.pairs < PAIRS) {
        if (count.pairs % 25 === 0) {
          for (const table of ['poi', 'shops', 'users']) await database.run(`DELETE FROM ${table}`)
          for (const sql of insertsOf(random)) await database.run(sql)
          const isText = random.chance(0.4)
          cache = await partitionCache({ backend: memoryBackend(), partitionKey: isText ? 'code' : 'region_id', datatype: isText ? 'text' : 'integer' })
        }
        const plan = planOf(random, cache.partitionKey)
        const filling = writeQuery(plan, random.chance(0.6) ? plan.wide : plan.narrow, random)
        const query = writeQuery(plan, plan.narrow, random)
        const expected = await answer(query)
        if (!expected || !await answer(filling)) {
          count.invalid++
          continue
        }
        count.pairs++
        count.stored += (await isFilled(filling, cache, database.source)).stored
        const { sql, statements, stats } = await applyCache(query, { cache, source: database.source })
        expect(statements).to.deep.equal([])
        if (!stats.narrowed) {
          expect(sql).to.equal(query)
          count.alone++
          continue
        }
        count.narrowed++
        if (stats.keys === 0) count.empty++
        const found = await answer(sql)
        expect(found, `seed ${SEED}: ${query}\n→ ${sql}`).to.deep.equal(expected)
      }
      expect(count.narrowed, 'queries that were narrowed').to.be.greaterThan(PAIRS / 3)
    })
  })
}

/** What is refused, and what is left out. */
export function foreignRefusals(title: string, open: () => Promise<ForeignDatabase>): void {
  describe(`the partition cache over ${title}`, () => {
    let database: ForeignDatabase
    let loose: string
    const cacheOf = (partitionKey: string, datatype?: 'integer' | 'text') => partitionCache({ backend: memoryBackend(), partitionKey, datatype })

    before(async function () {
      this.timeout(60_000)
      database = await open()
      for (const sql of schemaOf(database.dialect)) await database.run(sql)
      loose = database.dialect === 'mysql' ? 'VARCHAR(20) COLLATE utf8mb4_general_ci' : 'TEXT COLLATE NOCASE'
      await database.run(`CREATE TABLE loose (word ${loose}, region_id INT NOT NULL, \`order\` INT, flag ${database.dialect === 'mysql' ? 'YEAR' : 'BLOB'})`)
      await database.run("INSERT INTO loose VALUES ('a', 1, 10, NULL), ('A', 2, 20, NULL), ('b', 3, 30, NULL)")
      await database.run('CREATE VIEW all_poi AS SELECT * FROM poi')
      await database.run("INSERT INTO poi (region_id, code, size, name) VALUES (1, 'x', 1, 'a'), (2, 'y', 2, 'b'), (3, 'it''s', 3, 'é')")
      await database.run("INSERT INTO shops (region_id, code, size) VALUES (1, 'x', 1), (2, 'y', 9)")
    })

    const rows = async (sql: string): Promise<string[]> => (await database.rows(sql)).map(row => JSON.stringify(row)).sort()

    async function narrowed(filling: string, query = filling, partitionKey = 'region_id') {
      const cache = await cacheOf(partitionKey)
      const report = await populate(filling, { source: database.source, cache })
      const applied = await applyCache(query, { cache, source: database.source })
      if (applied.stats.narrowed) expect(await rows(applied.sql), applied.sql).to.deep.equal(await rows(query))
      return { report, cache, ...applied }
    }

    const REFUSED: readonly [title: string, sql: string, construct: RegExp][] = [
      ['a parameter', 'SELECT * FROM poi WHERE size = ?', /parameter/],
      ['||, which is OR or a concatenation', "SELECT * FROM poi WHERE size = 1 AND name || 'x'", /operator \|/],
      ['&, ^ and ~', 'SELECT * FROM poi WHERE size = 1 & 3', /operator &/],
      ['a number with an exponent', 'SELECT * FROM poi WHERE price > 1e0', /number 1e0/],
      ['a hexadecimal number', 'SELECT * FROM poi WHERE size > 0x1F', /number 0x1F/],
      ['a name outside ASCII', 'SELECT * FROM poi é WHERE é.size > 1', /name é/],
      ['a name longer than PostgreSQL keeps', `SELECT * FROM poi ${'p'.repeat(64)} WHERE size > 1`, /longer than 63/],
      ['a view', 'SELECT * FROM all_poi WHERE size > 1', /all_poi, which is no table that is known/],
      ['a table of another database', 'SELECT * FROM a.b.poi WHERE size > 1', /a\.b\.poi/],
      ['RIGHT JOIN', 'SELECT * FROM poi p RIGHT JOIN shops s ON p.region_id = s.region_id', /join of the kind RIGHT/],
      ['NATURAL JOIN', 'SELECT * FROM poi NATURAL JOIN shops', /join of the kind NATURAL/],
      ['USING', 'SELECT * FROM poi JOIN shops USING (region_id)', /join of the kind USING/],
      ['a sub-query in FROM', 'SELECT * FROM (SELECT * FROM poi) p WHERE p.size > 1', /something other than a table/],
      ['WITH', 'WITH p AS (SELECT * FROM poi) SELECT * FROM poi WHERE size > 1', /WITH/],
      ['UNION', 'SELECT * FROM poi UNION SELECT * FROM poi', /UNION/],
      ['HAVING', 'SELECT region_id FROM poi GROUP BY region_id HAVING count(*) > 1', /HAVING/],
      ['WINDOW', 'SELECT size FROM poi WINDOW w AS (ORDER BY size)', /WINDOW/],
      ['a group of which any row may stand for all', 'SELECT region_id, name FROM poi GROUP BY region_id', /GROUP BY/],
      ['texts that are one group without being the same', 'SELECT DISTINCT word, region_id FROM loose', /DISTINCT/],
      ['groups under a limit', 'SELECT DISTINCT size FROM poi ORDER BY size LIMIT 1', /DISTINCT with LIMIT/],
      ['a function that is not known', 'SELECT random() FROM poi', /function random/],
      ['a function over a window', 'SELECT count(*) OVER (ORDER BY size) FROM poi', /function count/],
      ['BETWEEN SYMMETRIC', 'SELECT * FROM poi WHERE size BETWEEN SYMMETRIC 3 AND 1', /operator BETWEEN SYMMETRIC/],
      ['an operator that binds otherwise', 'SELECT * FROM poi WHERE name ILIKE \'a\'', /operator ~~\*/],
      ['a table without the key', 'SELECT * FROM loose WHERE code = 3', /.*/],
    ]
    for (const [what, sql, construct] of REFUSED) {
      it(`refuses, and leaves alone, ${what}`, async () => {
        const cache = await cacheOf(what.endsWith('the key') ? 'code' : 'region_id', 'integer')
        let thrown: unknown
        await populate(sql, { source: database.source, cache }).catch((error: unknown) => { thrown = error })
        expect(thrown).to.be.instanceOf(UnsupportedQueryError)
        expect((thrown as Error).message).to.match(construct)
        const { sql: out, stats } = await applyCache(sql, { cache, source: database.source })
        expect({ out, reason: stats.reason }).to.deep.equal({ out: sql, reason: (thrown as Error).message })
      })
    }

    const LEFT_OUT: readonly [title: string, condition: string][] = [
      ['division', 'size < 5 / 2'], ['a text compared with a number', "size < '7'"], ['a number compared with a text', 'name = 0'], ['the order of texts', "name < 'b'"],
      ['BETWEEN texts', "name BETWEEN 'a' AND 'b'"], ['columns in the order of texts', 'name < code'], ['LIKE', "name LIKE 'A%'"], ['a function', 'abs(size) > 1'], ['a column alone', 'NOT size'],
      ['a sub-query', 'size IN (SELECT size FROM shops)'], ['a day that is none', "day < '2024-02-31'"], ['IS NULL of a time', 'day IS NULL'], ['NULL', 'size = NULL'],
      ['a column of a type that compares otherwise', 'flag = 1'],
    ]
    for (const [what, condition] of LEFT_OUT) {
      it(`leaves out ${what}`, async () => {
        const table = condition.startsWith('flag') ? 'loose' : 'poi'
        const { leftOut, fragments, refused } = await explain(`SELECT * FROM ${table} WHERE region_id > 0 AND ${condition}`, { cache: await cacheOf('region_id', 'integer'), source: database.source })
        expect(refused).to.equal(undefined)
        expect(leftOut).to.have.length(1)
        expect(fragments.map(({ sql }) => sql)).to.deep.equal([`/* ${database.dialect} */ SELECT DISTINCT t1.region_id FROM ${table} AS t1 WHERE t1.region_id > 0`])
      })
    }

    it('refuses keys that compare without regard to case', async () => {
      const cache = await cacheOf('word')
      let thrown: unknown
      await populate('SELECT * FROM loose WHERE region_id > 1', { source: database.source, cache }).catch((error: unknown) => { thrown = error })
      expect(thrown).to.be.instanceOf(KeyTypeError)
      expect((thrown as Error).message).to.match(/general_ci|COLLATE/)
    })

    it('refuses keys that are neither integers nor texts', async () => {
      for (const [key, datatype] of [['ratio', undefined], ['made', undefined], ['size', 'float']] as const) {
        const cache = await partitionCache({ backend: memoryBackend(), partitionKey: key, datatype })
        let thrown: unknown
        await populate('SELECT * FROM poi WHERE size > 1', { source: database.source, cache }).catch((error: unknown) => { thrown = error })
        expect(thrown, key).to.be.instanceOf(KeyTypeError)
      }
    })

    if (title !== 'SQLite') it('takes days for keys', async () => {
      await database.run("UPDATE poi SET day = '2024-02-29' WHERE size > 1")
      const { sql, report } = await narrowed('SELECT * FROM poi WHERE size > 1', undefined, 'day')
      expect(sql, JSON.stringify(report)).to.contain("IN ('2024-02-29')")
    })

    it('keeps what equal texts are to the database', async () => {
      const { sql, stats, report } = await narrowed("SELECT * FROM loose WHERE word = 'A'")
      expect(report.outcomes.map(({ keys }) => keys)).to.deep.equal([2])
      expect(sql).to.contain('IN (1, 2)')
      expect(stats.narrowed).to.equal(true)
    })

    it('puts the restriction into the text as it is written', async () => {
      const query = 'SELECT P.size -- all of it\nFROM poi AS P WHERE P.size < 3 OR p.size < 2 -- small\nORDER BY P.size LIMIT 5;'
      if (database.dialect === 'mysql') {
        let thrown: unknown
        await populate(query, { source: database.source, cache: await cacheOf('region_id') }).catch((error: unknown) => { thrown = error })
        expect((thrown as Error).message).to.match(/alias p in several cases/)
      }
      const one = query.replace('p.size', 'P.size')
      const { sql } = await narrowed('SELECT * FROM poi WHERE size < 3', one)
      const column = database.dialect === 'mysql' ? '`P`.`region_id`' : '"P"."region_id"'
      expect(sql).to.equal(`SELECT P.size -- all of it\nFROM poi AS P WHERE (P.size < 3 OR P.size < 2 -- small\n) AND (${column} IN (1, 2) OR ${column} IS NULL) ORDER BY P.size LIMIT 5;`)
    })

    it('narrows by quoted names, groups and empty sets', async () => {
      const mark = database.dialect === 'mysql' ? '`' : '"'
      const order = `${mark}order${mark}`
      expect((await narrowed(`SELECT * FROM loose l WHERE l.${order} > 15`)).sql).to.contain('IN (2, 3)')
      expect((await narrowed('SELECT region_id, count(*) FROM poi WHERE size > 1 GROUP BY region_id')).stats.keys).to.equal(2)
      expect((await narrowed('SELECT DISTINCT code FROM poi WHERE size > 1', undefined, 'code')).sql).to.match(/IN \('\w+(''s)?', '\w+(''s)?'\)/)
      expect((await narrowed('SELECT * FROM loose WHERE region_id > 7')).sql).to.contain('1 = 0')
      expect((await narrowed('SELECT * FROM poi p JOIN shops s ON s.region_id = p.region_id WHERE p.size > 1 AND s.size > 1')).sql).to.contain('IN (2)')
    })

    it('writes texts so that they are read back exactly', async () => {
      const words = ["it's", 'C:\\x', 'é', 'a"b', ' b ']
      await database.run('DELETE FROM users')
      for (const word of words) await database.run(`INSERT INTO users (code, size) VALUES ('${database.dialect === 'mysql' ? word.replaceAll('\\', '\\\\').replaceAll("'", "''") : word.replaceAll("'", "''")}', 4)`)
      const { stats } = await narrowed('SELECT * FROM users WHERE size = 4', undefined, 'code')
      expect(stats).to.include({ narrowed: true, keys: words.length })
    })

    it('leaves a query alone whose sets are too large, and says how large', async () => {
      const cache = await cacheOf('region_id')
      await populate('SELECT * FROM poi WHERE size > 1', { source: database.source, cache })
      const { stats } = await applyCache('SELECT * FROM poi WHERE size > 1', { cache, source: database.source, maxKeyShare: 0.5 })
      expect(stats.reason).to.contain('2 of 3 partitions')
    })

    it('is not mixed with sets of PostgreSQL, and refuses what PostgreSQL alone can do', async () => {
      const { cache } = await narrowed('SELECT * FROM poi WHERE size > 1')
      expect((await getPartitionKeys('SELECT * FROM poi WHERE size > 1', { cache })).hits).to.equal(0)
      for (const options of [{ method: 'ANY' }, { starTable: 'regions' }] as const) {
        let thrown: unknown
        await applyCache('SELECT * FROM poi WHERE size > 1', { cache, source: database.source, ...options }).catch((error: unknown) => { thrown = error })
        expect(thrown).to.be.instanceOf(InvalidArgumentError)
      }
    })

    it('forgets sets by the tables behind them, and takes constraints', async () => {
      const cache = await cacheOf('region_id')
      const report = await populate('SELECT * FROM poi WHERE size > 1', { source: database.source, cache, addConstraints: { poi: "name = 'b'" } })
      expect(report.stored).to.equal(2)
      await cache.invalidate({ table: 'shops' })
      expect((await cache.getAllKeys()).length).to.equal(2)
      await cache.invalidate({ table: 'poi' })
      expect((await cache.getAllKeys()).length).to.equal(0)
    })
  })
}
