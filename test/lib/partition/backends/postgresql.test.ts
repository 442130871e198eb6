// needs: postgres
import pg from 'pg'
import { postgresqlArrayBackend } from '../../../../lib/partition/backends/postgresql-array.js'
import { postgresqlBitBackend } from '../../../../lib/partition/backends/postgresql-bit.js'
import type { PartitionBackend } from '../../../../lib/partition/backend.js'
import { testDatabase } from '../../../support/postgres.js'
import { partitionBackendSuite, type BackendStore } from './backend-suite.js'

async function store(open: (pool: pg.Pool) => Promise<PartitionBackend>): Promise<BackendStore> {
  const { url, drop } = await testDatabase()
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  return {
    open: () => open(pool),
    query: async sql => (await pool.query(sql)).rows as unknown[],
    async end() {
      await pool.end()
      await drop()
    }
  }
}

partitionBackendSuite('postgresql_array', () => store(pool => postgresqlArrayBackend({ pool, tablePrefix: 'my "app\'s\\' })), ['persist', 'lazy'])
partitionBackendSuite('postgresql_bit', () => store(pool => postgresqlBitBackend({ pool, bitsize: 10 })), ['persist', 'lazy'])
