// needs: package:@electric-sql/pglite package:vega-datasets
import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../..')

describe('npm run demo', function () {
  this.timeout(60_000)

  it('asks the database nothing the second time, and cleans up', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', join(root, 'examples/demo.ts'), '4000'], { cwd: root })
    const reports = stdout.split('\n').filter(line => line.startsWith('report:'))
    expect(reports).to.have.length(3)
    expect(reports[0]).to.contain('2,000 fetched').and.to.match(/received \d+ statements/)
    expect(reports[1]).to.contain('2,000 hits, 0 fetched').and.to.contain('received no statement')
    expect(reports[2]).to.contain('2,000 fetched')
    const folder = /(\S+millrace-demo-[^/\\]+)/.exec(stdout)?.[1]
    expect(folder, 'the folder is named').to.be.a('string')
    expect(existsSync(folder!)).to.equal(false)
  })
})
