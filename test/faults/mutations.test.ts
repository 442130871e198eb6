// needs: linux
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { mutateAll } from './support/mutate-all.js'
import { writeTemplate } from './support/mutations.js'
import { counts, folderInMemory, shortOrLong } from './support/rows.js'
import { endWorkersWithSuite } from './support/workers.js'

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
    const { results, hangs, exits } = await mutateAll(folder, { total })
    const silent = results.filter(({ broken }) => broken.some(text => /^(damaged|again): /.test(text)))
    const kinds = [...new Set(results.map(({ kind }) => kind))]
    counts('mutations', { 'real': results.length, 'said so': results.filter(({ warned }) => warned).length, 'silent': silent.length, 'hangs': hangs.length, 'exits': exits.length })
    counts('of each kind', Object.fromEntries(kinds.map(kind => [kind, results.filter(result => result.kind === kind).length])))
    expect(results.filter(({ broken }) => broken.length > 0)).to.deep.equal([])
    expect({ hangs, exits }).to.deep.equal({ hangs: [], exits: [] })
    expect(results.length).to.be.greaterThan(total * 0.9)
  })
})
