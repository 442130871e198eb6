// needs: postgres
import pg from 'pg'
import { postgresSource } from '../../../lib/source/postgres.js'
import { quoteIdentifier } from '../../../lib/source/postgres-sql.js'
import { testDatabase } from '../../support/postgres.js'
import { sourceSuite } from './source-suite.js'

// the other types are in test/types/postgres-cases.ts
sourceSuite('PostgreSQL', async () => {
  const { url, drop } = await testDatabase()
  const pool = new pg.Pool({ connectionString: url, max: 3 })
  return {
    source: options => postgresSource({ pool, ...options }),
    run: sql => pool.query(sql),
    schema: 'public',
    quote: quoteIdentifier,
    fillUsers: rows => ['CREATE TABLE users (id int PRIMARY KEY, name text)', `INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, ${rows}) i`],
    bigint: 'bigint', jsonType: 'json', placeholder: '$1', hasSchemas: true,
    types: [
      { declared: 'bigint', value: '9007199254740993', type: 'int64', cell: 9007199254740993n },
      { declared: 'numeric(10,2)', value: '1.1', type: 'decimal(10,2)', cell: '1.10' },
      { declared: 'timestamp', value: "'2024-02-29 12:34:56'", type: 'timestamp', cell: new Date('2024-02-29T12:34:56Z') },
      { declared: 'date', value: "'2024-02-29'", type: 'date', cell: '2024-02-29' },
      { declared: 'jsonb', value: `'{"a":[1,1.10,null]}'`, type: 'json', cell: { a: [1, 1.1, null] } },
      { declared: 'bytea', value: "'\\x00ff41'", type: 'bytes', cell: Uint8Array.of(0, 255, 65) }
    ],
    literal: text => `'${text.replaceAll("'", "''")}'`,
    close: async () => {
      await pool.end()
      await drop()
    }
  }
})
