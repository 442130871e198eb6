import { expect } from 'chai'
import { Readable } from 'node:stream'
import { idsFrom, parseRange } from '../../cli/ids.js'

async function all(sources: Parameters<typeof idsFrom>[0], stdin: Readable = Readable.from([])): Promise<unknown[]> {
  const ids: unknown[] = []
  for await (const chunk of idsFrom(sources, stdin)) ids.push(...chunk)
  return ids
}

async function refusal(sources: Parameters<typeof idsFrom>[0], stdin?: Readable): Promise<{ argument: string, message: string }> {
  try {
    await all(sources, stdin)
  } catch (error) {
    return error as { argument: string, message: string }
  }
  throw new Error('was not refused')
}

describe('ids of the command line', () => {
  it('come from lists, ranges and stdin, in that order', async () => {
    const stdin = Readable.from(['7\n8, 9', '0\r\n\t-3'])
    expect(await all({ ids: ['1,2', '3'], range: ['5..6'], idsFile: ['-'] }, stdin)).to.deep.equal([1, 2, 3, 5, 6, 7, 8, 90, -3])
  })

  it('are put together where a piece of text ends in the middle of one', async () => {
    expect(await all({ idsFile: ['-'] }, Readable.from([...'12 345\n6'].map(String)))).to.deep.equal([12, 345, 6])
  })

  it('beyond 2^53 are bigints, in lists and ranges', async () => {
    expect(await all({ ids: ['9007199254740993'] })).to.deep.equal([9007199254740993n])
    expect(await all({ range: ['9007199254740990..9007199254740993'] })).to.deep.equal([9007199254740990, 9007199254740991, 9007199254740992n, 9007199254740993n])
  })

  it('are handed on in bounded arrays', async () => {
    const lengths: number[] = []
    for await (const chunk of idsFrom({ range: ['1..200000'] }, Readable.from([]))) lengths.push(chunk.length)
    expect(lengths).to.deep.equal([65_536, 65_536, 65_536, 3392])
  })

  it('that are none are named with file and line', async () => {
    expect((await refusal({ idsFile: ['-'] }, Readable.from(['1\n2\n', '3\nx7,4\n']))).message).to.equal('stdin:4: expected an integer id, found "x7"')
    expect((await refusal({ ids: ['1,1.5'] })).argument).to.equal('--ids')
    expect((await refusal({ ids: ['9223372036854775808'] })).message).to.contain('9223372036854775808')
    expect((await refusal({ idsFile: ['/no/such/file'] })).message).to.contain('/no/such/file')
  })

  it('must be given', async () => {
    expect((await refusal({})).message).to.contain('--ids-file')
  })

  it('as ranges name both ends, the smaller first, and at most a billion ids', () => {
    expect(parseRange('-2..2')).to.deep.equal({ first: -2, last: 2 })
    for (const wrong of ['1-5', '5..1', '1..', '1..2000000000']) expect(() => parseRange(wrong), wrong).to.throw('--range')
  })
})
