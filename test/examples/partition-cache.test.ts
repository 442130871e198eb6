// needs: duckdb
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'

const root = join(import.meta.dirname, '../..')

describe('examples/partition-cache.ts', function () {
  this.timeout(120_000)

  it('narrows a query by what a queued one left in the cache, and gets the same rows', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import=tsx', 'examples/partition-cache.ts', '30000'], { cwd: root, encoding: 'utf8' })
    expect(status, stderr).to.equal(0)
    expect(stdout).to.match(/30000 flights from \d+ airports/)
    expect(stdout).to.match(/in the cache: [1-9]\d* set\(s\)/)
    expect(stdout).to.match(/narrowed to \d+ of \d+ airports/)
    expect(stdout).to.match(/same rows: true/)
    expect(stdout).to.match(/ms saved/)
  })
})
