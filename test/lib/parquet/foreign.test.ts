import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect } from 'chai'
import fc from 'fast-check'
import { CacheCorruptionError } from '../../../lib/errors.js'
import { readForeign } from '../../../lib/parquet/foreign.js'
import { columnSample, comparable, fileOf, plain, TYPES, vectorOf } from './samples.js'

async function duckFile(query: string, options = ''): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-foreign-'))
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    await connection.run(`COPY (${query}) TO '${folder}/x.parquet' (FORMAT parquet${options})`)
    return new Uint8Array(readFileSync(join(folder, 'x.parquet')))
  } finally {
    connection.closeSync()
    rmSync(folder, { recursive: true })
  }
}

function bytesPlain(value: unknown): unknown {
  return value instanceof Uint8Array ? Uint8Array.from(value) : value
}

describe('readForeign', () => {
  for (const type of TYPES) {
    it(`reads our own files, ${type}`, async () => {
      const sample = fc.constantFrom(1, 9, 40).chain(rows => columnSample(type, rows))
      await fc.assert(fc.asyncProperty(sample, async ({ field, values }) => {
        const { fields, vectors } = await readForeign(fileOf([field], [[vectorOf(type, values)], [vectorOf(type, values)]], 'GZIP'))
        expect(fields).to.deep.equal([{ ...field, nullable: values.includes(null) }])
        expect(comparable(vectors[0]!)).to.deep.equal([...values, ...values].map(plain))
      }), { seed: 6, numRuns: 20 })
    })
  }

  it('reads what DuckDB wrote, the columns that are asked for', async () => {
    const file = await duckFile(`SELECT 1::UTINYINT AS u, 4294967295::UINTEGER AS ui, 18446744073709551615::UBIGINT AS ub, -0.5::DECIMAL(4,2) AS d,
      TIMESTAMP_NS '1969-12-31 23:59:59.999999999' AS ns, TIMESTAMP_MS '2024-01-02 03:04:05.678' AS ms, TIMESTAMPTZ '2024-01-02 03:04:05.678901+00' AS tz,
      DATE '2024-02-29' AS day, {a: 1, b: [2, NULL]} AS s, [1::BIGINT, NULL] AS l, 'x'::BLOB AS b, '{"a":1}'::JSON AS j, NULL::INTEGER AS n`)
    const { fields, vectors } = await readForeign(file)
    const seen = Object.fromEntries(fields.map(({ name, type }, i) => [name, [type, bytesPlain(vectors[i]!.values[0])]]))
    expect(seen).to.deep.equal({ u: ['int32', 1], ui: ['int64', 4294967295], ub: ['decimal(20,0)', '18446744073709551615'], d: ['decimal(4,2)', '-0.50'],
      ns: ['timestamp', -1n], ms: ['timestamp', 1704164645678000n], tz: ['timestamptz', 1704164645678901n], day: ['date', 19782],
      s: ['json', '{"a":1,"b":[2,null]}'], l: ['list<int64>', [1, null]], b: ['bytes', Uint8Array.of(120)], j: ['json', '{"a":1}'], n: ['int32', null] })
    expect((await readForeign(file, ['day', 'u'])).fields.map(({ name }) => name)).to.deep.equal(['day', 'u'])
  })

  it('refuses what is no Parquet, and columns that are not there', async () => {
    const file = await duckFile('SELECT 1 AS a')
    for (const attempt of [readForeign(new Uint8Array(0)), readForeign(Buffer.from('{"a":1}{"a":2}')), readForeign(file.slice(20)), readForeign(file, ['b'])]) {
      const error = await attempt.then(() => undefined, (thrown: unknown) => thrown)
      expect(error).to.be.instanceOf(CacheCorruptionError)
    }
  })
})
