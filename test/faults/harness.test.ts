// needs: strace linux
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { killAt, writeTemplateCache } from './support/kill.js'
import { mutateAll } from './support/mutate-all.js'
import { writeTemplate } from './support/mutations.js'
import { raceWriters } from './support/race.js'
import { counts, folderInMemory } from './support/rows.js'
import { endWorkersWithSuite } from './support/workers.js'

describe('the fault harness, let loose on a store that writes in place, without checksums and without compare-and-swap', function () {
  this.timeout(600_000)
  endWorkersWithSuite()
  const store = 'careless'
  let folder = ''
  beforeEach(() => { folder = folderInMemory('harness') })
  afterEach(() => { rmSync(folder, { recursive: true, force: true }) })

  it('finds rows that a kill has lost', async () => {
    await writeTemplateCache(folder, store)
    const broken: string[] = []
    for (let n = 1; n <= 3; n++) broken.push(...await killAt(folder, { syscall: 'pwrite64', n, store, onFile: 'public.t/manifest.json' }) ?? [])
    counts('careless store killed', { 'points': 3, 'broken': broken.length })
    expect(broken.join('\n')).to.match(/lost: \d+ reported ids were fetched again/)
  })

  it('finds rows that damage made wrong', async () => {
    await writeTemplate(join(folder, 'template'), store)
    const { results, hangs, exits } = await mutateAll(folder, { total: 25, store })
    const silent = results.filter(({ broken }) => broken.some(text => /^damaged: /.test(text)))
    counts('careless store damaged', { 'real': results.length, 'silent': silent.length, 'hangs': hangs.length, 'exits': exits.length })
    expect(silent.length).to.be.greaterThan(2)
  })

  it('finds rows that writers took from each other', async () => {
    mkdirSync(join(folder, 'cache'))
    const { broken, reported } = await raceWriters(folder, { writers: 4, merges: 30, store })
    counts('careless store raced', { 'ids': reported.length, 'broken': broken.length })
    expect(broken.join('\n')).to.match(/lost: \d+ reported ids were fetched again/)
  })
})
