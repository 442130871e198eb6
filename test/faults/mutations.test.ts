// needs: linux
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { writeTemplate, type MutationResult } from './support/mutations.js'
import { counts, folderInMemory, shortOrLong } from './support/rows.js'
import { endWorkersWithSuite, inLanes, startWorker } from './support/workers.js'

/** A batch of mutations that takes longer than this hangs. */
const HANG_MS = 120_000
const BATCH = 250

describe('a cache with a damaged file', function () {
  this.timeout(3_600_000)
  endWorkersWithSuite()
  let folder = ''
  before(async () => {
    folder = folderInMemory('damage')
    await writeTemplate(join(folder, 'template'))
  })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  it('gives every row as the source has it, says which file it was, heals, and is found and repaired', async () => {
    const total = shortOrLong(1500, 10_000)
    const seeds = Array.from({ length: total / BATCH }, (_, i) => i * BATCH)
    const results: MutationResult[] = []
    let [exits, hangs] = [0, 0]
    await inLanes(seeds, 2, async from => {
      const worker = await startWorker()
      const hung = setTimeout(() => {
        hangs++
        void worker.kill()
      }, HANG_MS)
      const answer = await worker.ask({ dir: folder, mutations: { template: join(folder, 'template'), from, count: BATCH } })
      clearTimeout(hung)
      await worker.kill()
      if (answer) results.push(...answer.mutations!)
      else exits++
    })
    const silent = results.filter(({ broken }) => broken.some(text => /^(damaged|again): /.test(text)))
    const kinds = [...new Set(results.map(({ kind }) => kind))]
    counts('mutations', { 'real': results.length, 'said so': results.filter(({ warned }) => warned).length, 'silent': silent.length, 'hangs': hangs, 'exits': exits - hangs })
    counts('of each kind', Object.fromEntries(kinds.map(kind => [kind, results.filter(result => result.kind === kind).length])))
    expect(results.filter(({ broken }) => broken.length > 0)).to.deep.equal([])
    expect({ hangs, exits }).to.deep.equal({ hangs: 0, exits: 0 })
    expect(results.length).to.be.greaterThan(total * 0.9)
  })
})
