import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'

const example = fileURLToPath(new URL('../../examples/hand-made-pipeline.ts', import.meta.url))

describe('the pipeline made by hand', function () {
  this.timeout(60_000)

  it('gives the same sorted rows twice and asks the source once', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import=tsx', example])
    const rows = ['{"id":1,"name":"Alice","metadata.city":"NYC"}', '{"id":2,"name":"Bob","metadata.city":"LA"}', '{"id":3,"name":"Zoë","metadata.city":null}']
    const told = 'ids asked of the source so far: 3'
    expect(stdout.trim().split('\n')).to.deep.equal([...rows, told, ...rows, told])
  })
})
