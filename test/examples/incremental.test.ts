// needs: package:@electric-sql/pglite
import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../..')

describe('examples/incremental.ts', function () {
  this.timeout(60_000)

  it('reads everything once, then only what is new', async () => {
    const { PGURL: _, ...env } = process.env
    const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', join(root, 'examples/incremental.ts')], { cwd: root, env })
    expect(stdout).to.contain('first run: 5000 rows, 0 cached, 5000 read')
    expect(stdout).to.contain('second run: 5007 rows (cache + new), 4999 cached, 8 read')
    expect(stdout).to.contain('count, first time: 7, 0 cached, 1 read').and.to.contain('count, second time: 7, 1 cached, 0 read')
    expect(stdout).to.contain('up to 2024-02-01 00:00:07+00').and.to.contain('cleared: 2 queries')
  })
})
