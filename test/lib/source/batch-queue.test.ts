import { expect } from 'chai'
import { BatchQueue } from '../../../lib/source/batch-queue.js'

describe('BatchQueue', () => {
  it('asks for an item when somebody waits, and for one more when one is taken', async () => {
    let asked = 0
    const queue = new BatchQueue<string>(() => { asked++ })
    const first = queue.next()
    expect(asked).to.equal(1)
    expect(queue.push('a')).to.equal(true)
    expect(queue.push('b')).to.equal(false)
    expect(await first).to.deep.equal({ value: 'a', done: false })
    expect(asked).to.equal(1)
    expect(await queue.next()).to.deep.equal({ value: 'b', done: false })
    expect(asked).to.equal(2)
  })

  it('hands out what it has before its end, and is then at its end for everybody', async () => {
    const queue = new BatchQueue<string>(() => undefined)
    queue.push('a')
    queue.end()
    expect(await queue.next()).to.deep.equal({ value: 'a', done: false })
    expect(await queue.next()).to.deep.equal({ value: undefined, done: true })
    const waiting = new BatchQueue<string>(() => undefined)
    const both = [waiting.next(), waiting.next()]
    waiting.end()
    waiting.end(new Error('too late'))
    expect(await Promise.all(both)).to.deep.equal([{ value: undefined, done: true }, { value: undefined, done: true }])
  })

  it('fails whoever waits, or whoever asks next, and hands out nothing more', async () => {
    const waiting = new BatchQueue<string>(() => undefined)
    const next = waiting.next()
    waiting.end(new Error('gone'))
    expect(await next.catch((error: unknown) => (error as Error).message)).to.equal('gone')
    const queue = new BatchQueue<string>(() => undefined)
    queue.push('a')
    queue.end(new Error('gone'))
    expect(await queue.next().catch((error: unknown) => (error as Error).message)).to.equal('gone')
    expect(await queue.next()).to.deep.equal({ value: undefined, done: true })
  })
})
