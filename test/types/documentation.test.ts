import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { renderPage } from '../../scripts/type-table.js'

describe('docs/types.md', () => {
  it('holds the tables that the code makes now (node --import=tsx scripts/type-table.ts)', () => {
    const page = readFileSync(fileURLToPath(new URL('../../docs/types.md', import.meta.url)), 'utf8')
    expect(renderPage(page)).to.equal(page)
    expect(page.split('<!-- table: ')).to.have.length(6)
  })
})
