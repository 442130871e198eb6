import { expect } from 'chai'
import { DistinctSample } from '../../../lib/batch/distinct-sample.js'

describe('DistinctSample', () => {
  it('looks at each row at most once, at all of them where it may', () => {
    for (const length of [0, 1, 2, 3, 64, 65, 1000, 70_000]) {
      for (const count of [1, Math.ceil(length / 8), length, length + 1]) {
        const seen: number[] = []
        new DistinctSample<number>().take(length, count, row => seen.push(row))
        expect(new Set(seen).size).to.equal(seen.length).and.to.equal(Math.min(count, length))
        expect(Math.max(-1, ...seen.slice(0, 1000))).to.be.below(length)
      }
    }
  })

  it('tells values that hardly repeat from those that go round or stand in runs', () => {
    const looksDistinct = (value: (row: number) => number | null): boolean => {
      const sample = new DistinctSample<number>()
      sample.take(10_000, 256, value)
      return sample.looksDistinct
    }
    expect(looksDistinct(row => row)).to.equal(true)
    expect(looksDistinct(row => row % 3 === 0 ? null : row)).to.equal(true)
    for (const period of [2, 10, 64, 100, 128, 256, 1000]) {
      expect(looksDistinct(row => row % period), `period ${period}`).to.equal(false)
      if (period < 1000) expect(looksDistinct(row => Math.floor(row / (period * 10))), `runs of ${period * 10}`).to.equal(false)
    }
  })
})
