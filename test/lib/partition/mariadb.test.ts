// needs: mariadb
import mysql from 'mysql2/promise'
import { mysqlSource } from '../../../lib/source/mysql.js'
import { testMariaDatabase } from '../../support/mariadb.js'
import { foreignLaw, foreignRefusals, type ForeignDatabase } from './foreign-law.js'

const opened: { drop(): Promise<void>, pool: mysql.Pool }[] = []

after(async () => {
  for (const { drop, pool } of opened) {
    await pool.end()
    await drop()
  }
})

async function open(): Promise<ForeignDatabase> {
  const { url, drop } = await testMariaDatabase()
  const pool = mysql.createPool({ uri: url, connectionLimit: 3 })
  opened.push({ drop, pool })
  return {
    dialect: 'mysql', source: mysqlSource({ pool }),
    run: async sql => { await pool.query(sql) },
    rows: async sql => (await pool.query({ sql, rowsAsArray: true, dateStrings: true, supportBigNumbers: true, bigNumberStrings: true }))[0] as unknown[][]
  }
}

foreignLaw('MariaDB', open)
foreignRefusals('MariaDB', open)
