import { expect } from 'chai'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetReadObjects } from 'hyparquet'
import { fromColumns, RowBatch } from '../../index.js'
import { csvHeader, csvText } from '../../cli/output/csv.js'
import { formatOf, FORMATS } from '../../cli/output/formats.js'
import { jsonLine } from '../../cli/output/json.js'
import { ndjsonText } from '../../cli/output/ndjson.js'
import { ParquetFile } from '../../cli/output/parquet-file.js'
import { fileTarget, type Target } from '../../cli/output/target.js'
import { tempFolder } from './run-cli.js'

const types = { at: 'timestamptz', naive: 'timestamp', amount: 'decimal(10,2)', doc: 'json', raw: 'bytes', day: 'date', clock: 'time', tags: 'list<text>', f: 'float64', big: 'int64' }
const batch = fromColumns({
  id: [1, 9007199254740993n], big: [9007199254740993n, -1], f: [NaN, -0], amount: ['12.50', null], at: ['2024-01-02 03:04:05.678901+00', 'infinity'],
  naive: ['2024-01-02 03:04:05.000001', '0044-03-15 00:00:00 BC'], day: ['2024-02-29', null], clock: ['23:59:59.5', null],
  doc: [{ a: [1, 'x'] }, null], raw: [new Uint8Array([0, 255]), null], tags: [['a', null], []], text: ['', 'a "b",\r\nc']
}, { types })

describe('ndjson', () => {
  it('loses nothing: integers as digits, microseconds, scale, what JSON has no form for as text', () => {
    expect(ndjsonText(batch).split('\n')).to.deep.equal([
      '{"id":1,"big":9007199254740993,"f":"NaN","amount":"12.50","at":"2024-01-02T03:04:05.678901Z","naive":"2024-01-02T03:04:05.000001","day":"2024-02-29",' +
        '"clock":"23:59:59.5","doc":{"a":[1,"x"]},"raw":"\\\\x00ff","tags":["a",null],"text":""}',
      '{"id":9007199254740993,"big":-1,"f":-0,"amount":null,"at":"infinity","naive":"0044-03-15 00:00:00 BC","day":null,' +
        '"clock":null,"doc":null,"raw":null,"tags":[],"text":"a \\"b\\",\\r\\nc"}', ''])
  })

  it('keeps a row on its line whatever line breaks a stored document has', () => {
    const documents = new RowBatch([{ name: 'doc', type: 'json', nullable: false }], [{ form: 'values', type: 'json', length: 1, values: ['{"a":\r\n 9007199254740993}'] }])
    expect(ndjsonText(documents)).to.equal('{"doc":{"a":  9007199254740993}}\n')
  })
})

describe('csv', () => {
  it('is RFC 4180, and tells null from empty text', () => {
    expect(csvHeader(['id', 'a,b'])).to.equal('id,"a,b"\r\n')
    expect(csvText(batch)).to.equal(
      '1,9007199254740993,NaN,12.50,2024-01-02 03:04:05.678901+00,2024-01-02 03:04:05.000001,2024-02-29,23:59:59.5,"{""a"":[1,""x""]}",\\x00ff,"[""a"",null]",""\r\n' +
      '9007199254740993,-1,-0,,infinity,0044-03-15 00:00:00 BC,,,,,[],"a ""b"",\r\nc"\r\n')
  })
})

async function * from(...batches: RowBatch[]): AsyncGenerator<RowBatch> {
  yield * batches
}

describe('the printed table', () => {
  it('keeps the first and the last five rows of a stream, whatever its batches', async () => {
    const written: string[] = []
    const target = { write: async (chunk: string) => { written.push(chunk) } } as unknown as Target
    const ids = (first: number, count: number) => fromColumns({ id: Array.from({ length: count }, (_, i) => first + i) })
    await FORMATS.table(from(ids(1, 2), ids(3, 1), ids(4, 500), ids(504, 1), ids(505, 3)), target, ['id'])
    expect(written.join('').match(/\b\d+(?= │)/g)).to.deep.equal(['1', '2', '3', '4', '5', '503', '504', '505', '506', '507'])
    expect(written.join('')).to.match(/^507 rows/)
  })

  it('of nothing has its header', async () => {
    const written: string[] = []
    await FORMATS.table(from(), { write: async (chunk: string) => { written.push(chunk) } } as unknown as Target, ['id', 'name'])
    expect(written.join('')).to.match(/^0 rows × 2 columns/).and.to.contain('name')
  })
})

describe('the parquet file', () => {
  const folder = tempFolder()
  after(() => folder.remove())

  async function write(name: string, batches: readonly RowBatch[]): Promise<Record<string, unknown>[]> {
    const path = join(folder.dir, name)
    const handle = await open(path, 'wx+')
    const file = new ParquetFile(handle, ['id', 'a', 'b'])
    for (const each of batches) await file.append(each)
    await file.finish()
    await handle.close()
    const bytes = await readFile(path)
    return await parquetReadObjects({ file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer }) as Record<string, unknown>[]
  }

  it('encodes a column again when it turns out wider', async () => {
    const rows = await write('wider.parquet', [
      fromColumns({ id: [1, 2], a: [null, null], b: [1, 2] }, { types: { b: 'int32' } }),
      fromColumns({ id: [3], a: ['x'], b: [3_000_000_000] }),
      fromColumns({ id: [4], a: [null], b: [4.5] })])
    expect(rows).to.deep.equal([{ id: 1n, a: null, b: 1 }, { id: 2n, a: null, b: 2 }, { id: 3n, a: 'x', b: 3_000_000_000 }, { id: 4n, a: null, b: 4.5 }])
  })

  it('may be without rows', async () => {
    expect(await write('empty.parquet', [])).to.deep.equal([])
  })
})

describe('an output file', () => {
  const folder = tempFolder()
  after(() => folder.remove())

  it('keeps its old content until the new one is complete', async () => {
    const path = join(folder.dir, 'out.csv')
    const first = await fileTarget(path)
    await first.write('one')
    await first.finish()
    const second = await fileTarget(path)
    await second.write('two')
    expect(await readFile(path, 'utf8')).to.equal('one')
    await second.discard()
    expect(await readFile(path, 'utf8')).to.equal('one')
  })

  it('tells its format by its ending', () => {
    expect(['a.csv', 'b.PARQUET', 'c.jsonl', '/x.y/d'].map(formatOf)).to.deep.equal(['csv', 'parquet', 'ndjson', undefined])
  })
})

describe('results as JSON', () => {
  it('are one line, with bigints as digits', () => {
    expect(jsonLine({ ids: [1, 9007199254740993n], at: new Date(0), none: undefined, error: new Error('x\ny') }))
      .to.equal('{"ids":[1,9007199254740993],"at":"1970-01-01T00:00:00.000Z","error":"x\\ny"}')
  })
})
