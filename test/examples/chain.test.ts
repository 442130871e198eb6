// needs: package:@electric-sql/pglite
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'

const example = fileURLToPath(new URL('../../examples/chain.ts', import.meta.url))

describe('examples/chain.ts', function () {
  this.timeout(120_000)

  it('narrows a query by partition keys and takes its rows from the row cache, in one pipeline', async () => {
    const { PGURL: _, ...env } = process.env
    const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', example], { env })
    const [first, second] = stdout.trim().split('\n') as [string, string]
    const rows = first.slice(first.indexOf(';'))
    expect(first).to.match(/^not narrowed: no set is cached/)
    expect(second).to.equal(`narrowed to 3 of 100 regions${rows}`)
    expect(rows).to.match(/^; (\d+) rows, the last \{"id":\d+,"type":"park","meta\.name":"place \d+"\}; ids fetched so far: \1$/)
  })
})
