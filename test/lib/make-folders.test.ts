import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { getData } from '../../index.js'
import { makeFolders } from '../../lib/make-folders.js'
import { freshFolder } from '../support/cache.js'

const errnoOf = async (path: string): Promise<string | undefined> => {
  try {
    await makeFolders(path)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
  return undefined
}

describe('folders', () => {
  const dir = freshFolder()

  it('are made with those above them, and the topmost new one is told', async () => {
    expect(await makeFolders(join(dir(), 'a/b/c'), 0o700)).to.equal(join(dir(), 'a'))
    expect(await makeFolders(join(dir(), 'a/b/d/e'), 0o700)).to.equal(join(dir(), 'a/b/d'))
    expect(await makeFolders(join(dir(), 'a/b'))).to.equal(undefined)
    expect(await makeFolders('/')).to.equal(undefined)
    expect(statSync(join(dir(), 'a/b/d/e')).mode & 0o777).to.equal(0o700)
  })

  it('are made by many at once', async () => {
    const path = join(dir(), 'many/of/them')
    await Promise.all(Array.from({ length: 20 }, () => makeFolders(path)))
    expect(statSync(path).isDirectory()).to.equal(true)
  })

  it('are refused, with an end, in a file, behind a link to nowhere, and where the system has no place for them', async () => {
    writeFileSync(join(dir(), 'file'), '')
    symlinkSync(join(dir(), 'nowhere'), join(dir(), 'link'))
    symlinkSync(join(dir(), 'loop'), join(dir(), 'loop'))
    expect(await errnoOf(join(dir(), 'file'))).to.equal('EEXIST')
    expect(await errnoOf(join(dir(), 'file/x/y'))).to.equal('ENOTDIR')
    expect(await errnoOf(join(dir(), 'link'))).to.equal('EEXIST')
    expect(await errnoOf(join(dir(), 'link/x/y'))).to.equal('EEXIST')
    // what the system says of it, not that something is there
    expect(await errnoOf(join(dir(), 'loop'))).to.equal('ELOOP')
    // a parent that exists, and a system that says it does not
    expect(await errnoOf('/proc/millrace/x/y')).to.equal('ENOENT')
  })

  it('behind a link are made where it leads', async () => {
    mkdirSync(join(dir(), 'there'))
    symlinkSync(join(dir(), 'there'), join(dir(), 'link'))
    expect(await makeFolders(join(dir(), 'link/x'))).to.equal(join(dir(), 'link/x'))
    expect(statSync(join(dir(), 'there/x')).isDirectory()).to.equal(true)
  })

  it('that cannot be made do not fail a request', async () => {
    const table = await getData({ ids: [1, 2], columns: ['a'], table: 'public.t', cacheDir: '/proc/millrace/cache', fetcher: ids => ids.map(id => ({ id, a: `${id}` })) })
    expect(table.toRows()).to.deep.equal([{ id: 1, a: '1' }, { id: 2, a: '2' }])
    expect(table.report.warnings.map(({ errno }) => errno)).to.deep.equal(['ENOENT'])
  })
})
