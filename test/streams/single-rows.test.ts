import { Readable, Writable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect } from 'chai'
import type { RowBatch } from '../../lib/batch/row-batch.js'
import type { Row } from '../../lib/batch/row-factory.js'
import { extractJsonValue } from '../../lib/json/extract.js'
import { rowBatcher } from '../../streams/row-batcher.js'
import { rowUnbatcher } from '../../streams/row-unbatcher.js'
import { rejection } from '../support/collect.js'

const rows = (count: number): Row[] => Array.from({ length: count }, (_, i) => ({ id: i, name: `n${i}` }))

async function through<T>(items: Iterable<unknown>, ...stages: Transform[]): Promise<T[]> {
  const results: T[] = []
  const end = new Writable({ objectMode: true, write(item: T, _encoding, done) {
    results.push(item)
    done()
  } })
  await pipeline([Readable.from(items), ...stages, end])
  return results
}

describe('single rows in a pipeline', () => {
  it('become batches of the size asked for, the last one smaller, arrays taken apart', async () => {
    const [first, second, third, ...others] = rows(5)
    const batches = await through<RowBatch>([first, [second, third], others], rowBatcher({ batchRows: 2 }))
    expect(batches.map(({ length }) => length)).to.deep.equal([2, 2, 1])
    expect(batches.flatMap(batch => batch.toRows())).to.deep.equal(rows(5))
    expect(await through([], rowBatcher())).to.deep.equal([])
    expect((await through<RowBatch>(rows(4), rowBatcher({ batchRows: 2 }))).map(({ length }) => length)).to.deep.equal([2, 2])
  })

  it('come out of batches as they went in', async () => {
    expect(await through<Row>(rows(5), rowBatcher({ batchRows: 2, types: { name: 'text' } }), rowUnbatcher())).to.deep.equal(rows(5))
  })

  it('end the pipeline where one has no id', async () => {
    expect(await rejection(through([{ id: 1 }, { name: 'x' }], rowBatcher()))).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'id[1]' })
  })
})

describe('extractJsonValue', () => {
  it('follows a path through text or values, and names a text that is not JSON', () => {
    expect(extractJsonValue('{"a":[1,{"b":2}]}', 'a.1.b')).to.equal(2)
    expect(extractJsonValue({ a: 1 }, 'b')).to.equal(null)
    let thrown: unknown
    try {
      extractJsonValue('{', 'a.b')
    } catch (error) {
      thrown = error
    }
    expect(thrown).to.include({ code: 'ERR_JSON_PARSE', column: 'a.b' })
  })
})
