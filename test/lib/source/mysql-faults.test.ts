// needs: mariadb
import { expect } from 'chai'
import mysql from 'mysql2/promise'
import type { Source } from '../../../lib/source/fetcher.js'
import { mysqlSource, type MySqlSourceOptions } from '../../../lib/source/mysql.js'
import { drain, errorOf, fetchAll, requestOf } from '../../support/fetch-request.js'
import { startMariaDb, type TestMariaDb } from '../../support/mariadb.js'
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.js'

const MANY = "SELECT seq AS id, REPEAT('x', 200) AS name FROM mysql.seq_1_to_400000"

describe('mysqlSource under faults', function () {
  this.timeout(20_000)
  let server: TestMariaDb
  let admin: mysql.Pool

  before(async () => {
    server = await startMariaDb()
    admin = mysql.createPool({ uri: server.url, connectionLimit: 2 })
    await admin.query('CREATE DATABASE shop')
    await admin.query("CREATE TABLE shop.users (id int PRIMARY KEY, name varchar(300)) AS SELECT seq AS id, REPEAT('x', 200) AS name FROM mysql.seq_1_to_50000")
  })
  after(async () => {
    await admin.end()
    await server.stop()
  })

  async function withPool(run: (source: Source, pool: mysql.Pool) => Promise<void>, { port = server.port, max = 2, pool: settings, ...options }:
  { port?: number, max?: number, pool?: mysql.PoolOptions } & Partial<Omit<MySqlSourceOptions, 'pool'>> = {}): Promise<void> {
    const pool = mysql.createPool({ uri: `mysql://root@127.0.0.1:${port}/shop`, connectionLimit: max, ...settings })
    try {
      await run(mysqlSource({ pool, batchRows: 100, ...options }), pool)
      // nothing is lent any more: the pool gives out all it may
      if (port === server.port) {
        const all = await Promise.all(Array.from({ length: max }, () => pool.getConnection()))
        for (const connection of all) connection.release()
      }
    } finally {
      await pool.end().catch(() => undefined)
    }
  }

  const threadsOf = async (text: string): Promise<number[]> => {
    const [rows] = await admin.query('SELECT id FROM information_schema.PROCESSLIST WHERE info LIKE ? AND id <> CONNECTION_ID()', [`%${text}%`])
    return (rows as { id: number }[]).map(({ id }) => id)
  }
  const untilGone = async (text: string): Promise<void> => {
    while ((await threadsOf(text)).length > 0) await admin.query('DO SLEEP(0.02)')
  }
  const untilThere = async (text: string): Promise<number> => {
    for (;;) {
      const [id] = await threadsOf(text)
      if (id !== undefined) return id
      await admin.query('DO SLEEP(0.02)')
    }
  }

  it('rejects when its connection is killed in the middle of an answer', async () => {
    await withPool(async source => {
      const batches = source.query(MANY)[Symbol.asyncIterator]()
      await batches.next()
      await admin.query(`KILL ${await untilThere('400000')}`)
      expect(await errorOf(drain(batches))).to.include({ code: 'ERR_SOURCE', isTransient: true })
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    })
  })

  it('rejects when its statement is killed, and keeps the connection', async () => {
    await withPool(async source => {
      const query = errorOf(drain(source.query('SELECT SLEEP(100) AS s, 4711 AS mark')))
      await admin.query(`KILL QUERY ${await untilThere('4711')}`)
      // MariaDB lets SLEEP answer 1 when it is interrupted, and then the error follows
      expect(await query).to.include({ code: 'ERR_SOURCE' })
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { max: 1 })
  })

  it('ends transactions and locks with the statement that began them: nothing stays locked, and nothing is lost', async () => {
    await admin.query('CREATE TABLE shop.tx (n int) ENGINE=InnoDB')
    await withPool(async source => {
      for (const begin of ['BEGIN', ' start transaction', '/* x */ LOCK TABLES users READ', 'FLUSH TABLES WITH READ LOCK', 'SET autocommit = 0']) {
        await source.execute(begin)
        expect(await source.execute('INSERT INTO tx VALUES (1)'), begin).to.equal(1)
        await admin.query('UPDATE shop.tx SET n = n + 1')
      }
    }, { max: 1 })
    expect((await admin.query('SELECT COUNT(*) AS n, MAX(n) AS most FROM shop.tx'))[0]).to.deep.equal([{ n: 5, most: 6 }])
    await admin.query('DROP TABLE shop.tx')
  })

  it('keeps its connection for statements that end by themselves, and not for a lock of the session', async () => {
    await withPool(async source => {
      const thread = async (): Promise<unknown> => {
        for await (const batch of source.query('SELECT CONNECTION_ID() AS id')) return batch.toRows()
      }
      const before = await thread()
      await source.execute('UPDATE users SET name = name WHERE id = 1')
      await errorOf(source.execute('INSERT INTO users VALUES (1, NULL)'))
      expect(await thread()).to.deep.equal(before)
      expect(await drain(source.query("SELECT GET_LOCK('shop', 0) AS taken"))).to.equal(1)
      expect(await thread()).not.to.deep.equal(before)
    }, { max: 1 })
  })

  it('fails in the middle of an answer as a whole', async () => {
    await withPool(async source => {
      const error = await errorOf(drain(source.query("SELECT seq AS id, JSON_VALUE(CONCAT('{\"a\":', seq, '}'), '$.a') + IF(seq = 5000, (SELECT 1 UNION SELECT 2), 0) AS x FROM seq_1_to_10000")))
      expect(error).to.include({ code: 'ERR_SOURCE', sqlState: '21000' })
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { max: 1 })
  })

  it('ends the statement on the server when it is aborted while the server works, and when a reader leaves', async () => {
    await withPool(async source => {
      for (const run of [(signal: AbortSignal) => drain(source.query('SELECT SLEEP(100) AS s, 4712 AS mark', { signal })), (signal: AbortSignal) => source.execute('SELECT SLEEP(100), 4712', { signal })]) {
        const abort = new AbortController()
        const query = errorOf(run(abort.signal))
        await untilThere('4712')
        abort.abort(new Error('enough'))
        expect(await query).to.include({ name: 'AbortError' })
        await untilGone('4712')
      }
      const batches = source.query(MANY)[Symbol.asyncIterator]()
      await batches.next()
      await batches.return!()
      await untilGone('400000')
    })
  })

  it('gives the connection back on abort although nobody reads on', async () => {
    await withPool(async source => {
      const abort = new AbortController()
      const batches = source.query(MANY, { signal: abort.signal })[Symbol.asyncIterator]()
      await batches.next()
      abort.abort()
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
      expect(await errorOf(drain(batches))).to.include({ name: 'AbortError' })
    }, { max: 1 })
  })

  it('waits for an exhausted pool as long as it is told, or until it is aborted, and keeps no connection that comes later', async () => {
    await withPool(async (source, pool) => {
      const held = await pool.getConnection()
      const error = await errorOf(drain(source.query('SELECT 1 AS one')))
      expect(error).to.include({ code: 'ERR_SOURCE', isTransient: true })
      expect(error.message).to.contain('no free connection in the pool for 100 ms')
      const abort = new AbortController()
      const waiting = errorOf(drain(source.query('SELECT 1 AS one', { signal: abort.signal })))
      abort.abort()
      expect(await waiting).to.include({ name: 'AbortError' })
      held.release()
      expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
    }, { max: 1, acquireTimeoutMs: 100 })
  })

  it('does not take a slow reader for a silent server, and holds the server back meanwhile', async () => {
    await withPool(async source => {
      const batches = source.query(MANY)[Symbol.asyncIterator]()
      await batches.next()
      await admin.query('DO SLEEP(0.5)')
      expect(await threadsOf('400000')).to.have.length(1)
      expect(await drain(batches)).to.equal(399_900)
    }, { timeoutMs: 300 })
  })

  it('says where it could not connect, and never with which password', async () => {
    const pool = mysql.createPool({ uri: 'mysql://joe:s3cret@127.0.0.1:1/shop' })
    const error = await errorOf(fetchAll(mysqlSource({ pool }), [1], 'shop.users', requestOf(['name'])))
    expect(error).to.include({ code: 'ERR_SOURCE', isTransient: true })
    expect(error.message).to.contain('127.0.0.1:1').and.not.to.contain('s3cret')
    expect(mysqlSource({ pool }).identity).to.equal('mysql://127.0.0.1:1/shop')
    await pool.end()
  })

  it('refuses what is no pool of promises', () => {
    expect(() => mysqlSource({ pool: {} as never })).to.throw('mysql2/promise')
    expect(() => mysqlSource({ pool: { getConnection: (_done: unknown) => undefined } as never })).to.throw('mysql2/promise')
    expect(() => mysqlSource({ pool: { getConnection: () => Promise.reject(new Error('no')) }, batchRows: 0 })).to.throw('batchRows')
  })

  it('refuses zero dates and numbers beyond int64 by name, reads them as text where told, and bad JSON of a declared column', async () => {
    const connection = await admin.getConnection()
    await connection.query("SET sql_mode = ''")
    await connection.query("CREATE TABLE shop.odd (id int PRIMARY KEY, d date, t datetime, u bigint unsigned, j text)")
    await connection.query("INSERT INTO shop.odd VALUES (1, '0000-00-00', '2024-00-10 01:02:03', 18446744073709551615, '{')")
    connection.release()
    await withPool(async source => {
      for (const column of ['d', 't', 'u']) {
        const error = await errorOf(drain(source.query(`SELECT ${column} FROM odd`)))
        expect(error, column).to.include({ code: 'ERR_FETCHER_CONTRACT' })
        expect(error.message).to.contain(`column ${column}:`).and.to.contain("columnTypes: { \"" + column + "\": 'text' }")
      }
    })
    await withPool(async source => {
      const rows: unknown[] = []
      for await (const batch of source.query('SELECT d, t, u FROM odd')) rows.push(...batch.toRows())
      expect(rows).to.deep.equal([{ d: '0000-00-00', t: '2024-00-10 01:02:03', u: '18446744073709551615' }])
      expect((await errorOf(drain(source.query('SELECT j FROM odd')))).message).to.contain('column j: "{" cannot be held as json')
    }, { columnTypes: { d: 'text', t: 'text', u: 'text', j: 'json' } })
  })

  it('reads the same whatever the pool and the session were set to', async () => {
    await admin.query("CREATE TABLE shop.exact (id int PRIMARY KEY, n decimal(20,2), j json, t timestamp(6) NULL, name varchar(20), b bit(3), p point)")
    await admin.query(`INSERT INTO shop.exact VALUES (1, 1234567890123456.78, '{"a":1.10}', '2024-06-01 00:00:00.000001', 'a"é', b'101', POINT(1,2)), (2, 2, '2', NULL, NULL, NULL, NULL)`)
    const read = async (source: Source): Promise<unknown> => {
      const rows: unknown[] = []
      for await (const batch of source.query('SELECT *, \'a"b\' AS quoted FROM exact ORDER BY id')) rows.push(...batch.toRows(), batch.schema, [...batch.column('t')])
      return rows
    }
    let expected: unknown
    await withPool(async source => { expected = await read(source) })
    const cast: mysql.TypeCast = () => 'whatever'
    for (const settings of [{ decimalNumbers: true }, { typeCast: cast }, { typeCast: false }, { dateStrings: false, timezone: '+05:00' }, { jsonStrings: true }, { rowsAsArray: false, nestTables: true }, { disableEval: true },
      { namedPlaceholders: true }, { charset: 'latin1' }, { multipleStatements: true }] as mysql.PoolOptions[]) {
      await withPool(async (source, pool) => {
        expect(await read(source), JSON.stringify(settings)).to.deep.equal(expected)
        await pool.query("SET time_zone = '+09:00', sql_mode = 'ANSI_QUOTES', sql_select_limit = 1, character_set_results = 'latin1'")
        expect(await read(source), `${JSON.stringify(settings)}, another session`).to.deep.equal(expected)
      }, { max: 1, pool: settings })
    }
  })

  describe('behind a broken network', () => {
    let proxy: TcpProxy
    beforeEach(async () => { proxy = await tcpProxy(server.port) })
    afterEach(() => proxy.close())

    it('rejects when the socket is cut', async () => {
      await withPool(async source => {
        const batches = source.query(MANY)[Symbol.asyncIterator]()
        await batches.next()
        proxy.cut()
        expect(await errorOf(drain(batches))).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect(await drain(source.query('SELECT 1 AS one'))).to.equal(1)
      }, { port: proxy.port })
    })

    it('rejects when the server falls silent: in the middle of an answer, before one, before the session is pinned, in a snapshot', async () => {
      await withPool(async source => {
        const batches = source.query(MANY)[Symbol.asyncIterator]()
        const snapshot = await source.snapshot!()
        await batches.next()
        proxy.stall()
        const error = await errorOf(drain(batches))
        expect(error.message).to.contain('no answer from the server for 200 ms')
        expect(error).to.include({ code: 'ERR_SOURCE', isTransient: true })
        expect((await errorOf(snapshot.describe('SELECT 1 AS one', []))).message).to.contain('200 ms')
        await snapshot.close()
        expect((await errorOf(source.execute('SELECT 1'))).message).to.match(/200 ms|connect/)
      }, { port: proxy.port, timeoutMs: 200, acquireTimeoutMs: 200, pool: { connectTimeout: 300 } })
    })

    it('settles an abort and a break although the server is silent', async () => {
      await withPool(async source => {
        const abort = new AbortController()
        const aborted = source.query(MANY, { signal: abort.signal })[Symbol.asyncIterator]()
        const broken = source.query(MANY)[Symbol.asyncIterator]()
        await aborted.next()
        await broken.next()
        proxy.stall()
        const rest = errorOf(drain(aborted))
        abort.abort()
        expect(await rest).to.include({ name: 'AbortError' })
        await broken.return!()
      }, { port: proxy.port })
    })
  })

  it('rejects when the server is killed, and works again with the next one', async () => {
    const other = await startMariaDb()
    await withPool(async source => {
      const batches = source.query(MANY)[Symbol.asyncIterator]()
      const snapshot = await source.snapshot!()
      await batches.next()
      await other.kill()
      expect(await errorOf(drain(batches))).to.include({ code: 'ERR_SOURCE', isTransient: true })
      expect(await errorOf(drain(snapshot.query('SELECT 1 AS one')))).to.include({ code: 'ERR_SOURCE' })
      await snapshot.close()
      expect(await errorOf(drain(source.query('SELECT 1 AS one')))).to.include({ code: 'ERR_SOURCE', isTransient: true })
    }, { port: other.port, pool: { uri: other.url } })
    await other.stop()
  })
})
