// needs: mariadb
import mysql from 'mysql2/promise'
import { mysqlSource } from '../../../lib/source/mysql.js'
import { quoteMySql } from '../../../lib/source/mysql-sql.js'
import { testMariaDatabase } from '../../support/mariadb.js'
import { sourceSuite, type TypeCase } from './source-suite.js'

export const MYSQL_TYPES: readonly TypeCase[] = [
  { declared: 'TINYINT', value: '-128', type: 'int32', cell: -128 },
  { declared: 'TINYINT(1)', value: '2', type: 'int32', cell: 2 },
  { declared: 'BOOLEAN', value: 'TRUE', type: 'int32', cell: 1 },
  { declared: 'SMALLINT UNSIGNED', value: '65535', type: 'int32', cell: 65535 },
  { declared: 'MEDIUMINT', value: '-8388608', type: 'int32', cell: -8388608 },
  { declared: 'INT', value: '-2147483648', type: 'int32', cell: -2147483648 },
  { declared: 'INT UNSIGNED', value: '4294967295', type: 'int64', cell: 4294967295 },
  { declared: 'BIGINT', value: '9007199254740993', type: 'int64', cell: 9007199254740993n },
  { declared: 'BIGINT', value: '5', type: 'int64', cell: 5 },
  { declared: 'BIGINT UNSIGNED', value: '9223372036854775807', type: 'int64', origin: 'bigint unsigned', cell: 9223372036854775807n },
  { declared: 'DECIMAL(10,3)', value: '1.10', type: 'decimal(10,3)', cell: '1.100' },
  { declared: 'DECIMAL(10,2) UNSIGNED', value: '12345678.90', type: 'decimal(10,2)', cell: '12345678.90' },
  { declared: 'DECIMAL(38,0)', value: '99999999999999999999999999999999999999', type: 'decimal(38,0)', cell: '99999999999999999999999999999999999999' },
  { declared: 'DECIMAL(65,30)', value: '-1.5', type: 'text', origin: 'decimal', cell: '-1.500000000000000000000000000000' },
  { declared: 'FLOAT', value: '16777217.0', type: 'float32', cell: 16777216 },
  { declared: 'FLOAT', value: '1.2345678', type: 'float32', cell: Math.fround(1.2345678) },
  { declared: 'DOUBLE', value: '0.1e0 + 0.2e0', type: 'float64', cell: 0.1 + 0.2 },
  { declared: 'DATE', value: "'2024-02-29'", type: 'date', cell: '2024-02-29' },
  { declared: 'DATETIME', value: "'2024-02-29 12:34:56'", type: 'timestamp', cell: new Date('2024-02-29T12:34:56Z') },
  { declared: 'DATETIME(6)', value: "'2024-02-29 00:00:00'", type: 'timestamp', cell: new Date('2024-02-29T00:00:00Z') },
  { declared: 'DATETIME(6)', value: "'9999-12-31 23:59:59.999999'", type: 'timestamp', cell: new Date('9999-12-31T23:59:59.999Z') },
  { declared: 'TIMESTAMP(3) NULL', value: "'2024-02-29 12:34:56.789'", type: 'timestamptz', cell: new Date('2024-02-29T12:34:56.789Z') },
  { declared: 'TIME', value: "'-838:59:59'", type: 'text', origin: 'time', cell: '-838:59:59' },
  { declared: 'TIME(6)', value: "'01:02:03.000004'", type: 'text', origin: 'time', cell: '01:02:03.000004' },
  { declared: 'YEAR', value: '2024', type: 'int32', cell: 2024 },
  { declared: 'CHAR(5)', value: "'ab '", type: 'text', cell: 'ab' },
  { declared: 'VARCHAR(20)', value: "'ab \\0 é😀'", type: 'text', cell: 'ab \0 é😀' },
  { declared: 'VARCHAR(20) CHARACTER SET latin1', value: "'é€'", type: 'text', cell: 'é€' },
  { declared: 'LONGTEXT', value: "''", type: 'text', cell: '' },
  { declared: 'VARBINARY(9)', value: "X'00FF41'", type: 'bytes', cell: Uint8Array.of(0, 255, 65) },
  { declared: 'BLOB', value: "''", type: 'bytes', cell: new Uint8Array(0) },
  { declared: 'BINARY(3)', value: "'a'", type: 'bytes', cell: Uint8Array.of(97, 0, 0) },
  { declared: 'BIT(1)', value: "b'1'", type: 'bytes', origin: 'bit(1)', cell: Uint8Array.of(1) },
  { declared: 'BIT(10)', value: "b'1000000001'", type: 'bytes', origin: 'bit(10)', cell: Uint8Array.of(2, 1) },
  { declared: "ENUM('a','b c')", value: "'b c'", type: 'text', origin: 'enum', cell: 'b c' },
  { declared: "SET('x','y')", value: "'x,y'", type: 'text', origin: 'set', cell: 'x,y' },
  { declared: 'JSON', value: `'{"a":[1,1.10,null]}'`, type: 'json', cell: { a: [1, 1.1, null] } },
  { declared: 'UUID', value: "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", type: 'uuid', cell: 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11' },
  { declared: 'INET6', value: "'::1'", type: 'text', origin: 'inet6', cell: '::1' },
  { declared: 'POINT', value: 'POINT(1, 2)', type: 'bytes', origin: 'point', cell: Uint8Array.from(Buffer.from('00000000' + '0101000000' + '000000000000f03f' + '0000000000000040', 'hex')) }
]

sourceSuite('MariaDB', async () => {
  const { url, name, drop } = await testMariaDatabase()
  const pool = mysql.createPool({ uri: url, connectionLimit: 3 })
  const admin = mysql.createPool({ uri: url, connectionLimit: 1, multipleStatements: true })
  return {
    source: options => mysqlSource({ pool, ...options }),
    run: sql => admin.query(sql),
    schema: name,
    quote: quoteMySql,
    fillUsers: rows => ['CREATE TABLE users (id int PRIMARY KEY, name varchar(20))', `INSERT INTO users SELECT seq, CONCAT('n', seq) FROM seq_1_to_${rows}`],
    bigint: 'bigint', jsonType: 'json', placeholder: '?', types: MYSQL_TYPES, hasSchemas: true,
    literal: text => admin.pool.escape(text),
    close: async () => {
      await pool.end()
      await admin.end()
      await drop()
    }
  }
})
