import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { brokenIn, journalled } from './support/check.js'
import { counts, folderInMemory, idsFrom, shortOrLong } from './support/rows.js'
import { endWorkersWithSuite, inLanes, startWorker } from './support/workers.js'

/** A seeded number in [0, 1). */
function fraction(seed: number): number {
  return (Math.imul(seed + 1, 0x9e3779b9) >>> 0) / 4294967296
}

describe('a process killed at a random moment', function () {
  this.timeout(1_200_000)
  endWorkersWithSuite()
  let folder = ''
  before(() => { folder = folderInMemory('random') })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  it('loses nothing it reported, over and over in two caches', async () => {
    const kills = shortOrLong(60, 200)
    const all = idsFrom(0, 6000)
    const broken: string[] = []
    let [survived, reported] = [0, 0]
    await inLanes([0, 1], 2, async lane => {
      const dir = join(folder, `cache-${lane}`)
      const journal = join(folder, `journal-${lane}`)
      for (let round = lane; round < kills; round += 2) {
        const worker = await startWorker()
        // overlapping merges, small parts: folding starts at the ninth segment, garbage is collected at every commit
        const merges = Array.from({ length: 12 }, (_, i) => ({ from: Math.floor(fraction(round * 31 + i) * 5000), count: 100 + i * 40, step: 1 + i % 2 }))
        const asked = worker.ask({ dir, journal, partBytes: 48 * 1024, graceMs: 0, merges })
        const killed = setTimeout(() => { worker.process.kill('SIGKILL') }, 5 + fraction(round * 7) * 600)
        if (await asked) survived++
        clearTimeout(killed)
        await worker.kill()
        // a full look costs more than the kill: after every tenth, and after the last
        if (round % 20 < 18 && round < kills - 2) continue
        const cached = journalled(journal)
        reported += cached.length
        broken.push(...(await brokenIn(dir, { reported: cached, all })).map(text => `round ${round}: ${text}`))
        // the look itself cached everything: begin anew
        rmSync(dir, { recursive: true, force: true })
        rmSync(journal, { force: true })
      }
    })
    counts('random kills', { kills, 'came through': survived, 'ids reported before them': reported, 'broken': broken.length })
    expect(broken).to.deep.equal([])
    expect(survived).to.be.lessThan(kills)
  })
})
