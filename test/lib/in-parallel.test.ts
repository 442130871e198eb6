import { expect } from 'chai'
import { inParallel } from '../../lib/in-parallel.js'
import { turns } from '../support/collect.js'

describe('work in parallel', () => {
  it('gives results in the order of the items, at most so many at a time', async () => {
    let [running, most] = [0, 0]
    const results = await inParallel([5, 1, 4, 0, 3, 2], 3, async item => {
      most = Math.max(most, ++running)
      await turns(item)
      running--
      return item * 10
    })
    expect(results).to.deep.equal([50, 10, 40, 0, 30, 20])
    expect(most).to.equal(3)
    expect(await inParallel([], 3, () => Promise.reject(new Error('never')))).to.deep.equal([])
  })

  it('begins nothing after a failure, waits for what runs, and throws the failure of the first item', async () => {
    const ended: number[] = []
    const work = async (item: number): Promise<void> => {
      await turns(10 - item)
      ended.push(item)
      if (item === 1 || item === 2) throw new Error(`item ${item}`)
    }
    let thrown: unknown
    await inParallel([0, 1, 2, 3, 4, 5, 6, 7], 4, work).catch((error: unknown) => { thrown = error })
    expect(thrown).to.have.property('message', 'item 1')
    expect(ended).to.have.members([0, 1, 2, 3, 4])
  })
})
