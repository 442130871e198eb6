import { linkSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { CacheStore } from '../../../lib/store/cache.js'
import { localBlobStore } from '../../../lib/store/local-blob-store.js'
import { localCatalog } from '../../../lib/store/local-catalog.js'
import { checkFolder, ensureFolder, FilePool, openRegularFile, syncFolder } from '../../../lib/store/local-files.js'
import { getData } from '../../../pipelines/get-data.js'
import { freshFolder } from '../../support/cache.js'
import { openFiles, rejection } from '../../support/collect.js'

/** What a descriptor is of; nothing where it was closed meanwhile. */
function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`)
  } catch {
    return ''
  }
}

const folder = 'public.t'
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

describe('localBlobStore', () => {
  const dir = freshFolder()

  it('shows a blob under its name only when it is whole, 0600, and lets go of its temporary name', async () => {
    const blobs = localBlobStore({ dir: dir() })
    const writer = await blobs.create(folder)
    await writer.write([bytes('one')])
    expect((await blobs.list(folder)).map(({ name, inUse }) => [name.slice(0, 4), inUse])).to.deep.equal([['tmp-', true]])
    await writer.write([bytes('two')])
    await writer.commit('data-1')
    expect((await blobs.list(folder)).map(({ inUse }) => inUse)).to.deep.equal([true, true])
    await writer.release()
    await writer.release()
    expect(await blobs.list(folder)).to.have.length(1)
    expect(await blobs.head(folder, 'data-1')).to.include({ bytes: 6 })
    expect(readFileSync(join(dir(), folder, 'data-1'), 'utf8')).to.equal('onetwo')
    expect([statSync(join(dir(), folder)).mode & 0o777, statSync(join(dir(), folder, 'data-1')).mode & 0o777]).to.deep.equal([0o700, 0o600])
    await blobs.close()
  })

  it('never replaces a blob, and leaves nothing of one that is aborted at any time', async () => {
    const blobs = localBlobStore({ dir: dir(), durability: 'none' })
    for (const step of ['created', 'written', 'committed']) {
      const writer = await blobs.create(folder)
      if (step !== 'created') await writer.write([bytes('x')])
      if (step === 'committed') await writer.commit('data-1')
      await writer.abort()
      await writer.abort()
      expect(readdirSync(join(dir(), folder)), step).to.deep.equal([])
    }
    writeFileSync(join(dir(), folder, 'data-1'), 'first')
    const late = await blobs.create(folder)
    expect(await rejection(late.commit('data-1'))).to.have.property('code', 'EEXIST')
    await late.abort()
    expect(readFileSync(join(dir(), folder, 'data-1'), 'utf8')).to.equal('first')
  })

  it('tells a file that was replaced while it was read, and reads the new one when it is opened again', async () => {
    const blobs = localBlobStore({ dir: dir() })
    mkdirSync(join(dir(), folder))
    const path = join(dir(), folder, 'data-1')
    writeFileSync(path, 'first')
    const first = await blobs.open(folder, 'data-1')
    writeFileSync(`${path}.new`, 'other')
    renameSync(`${path}.new`, path)
    const second = await blobs.open(folder, 'data-1')
    expect(second.identity).to.not.equal(first.identity)
    expect(Buffer.from(await second.read(0, 5)).toString()).to.equal('other')
    expect(await rejection(first.read(0, 5))).to.have.property('message').that.matches(/was replaced while it was read/)
    expect(await rejection(second.read(3, 5))).to.have.property('message').that.matches(/ends before byte 8/)
    await blobs.close()
  })

  it('keeps what a live process writes, and not what a dead one left, however young', async () => {
    const blobs = localBlobStore({ dir: dir() })
    mkdirSync(join(dir(), folder))
    const at = (name: string): string => join(dir(), folder, name)
    writeFileSync(at(`tmp-${process.pid}-a`), 'mine')
    linkSync(at(`tmp-${process.pid}-a`), at('data-mine'))
    // no process has this number: it is beyond what Linux gives
    writeFileSync(at('tmp-99999999-b'), 'dead')
    utimesSync(at('tmp-99999999-b'), 1, 1)
    const inUse = Object.fromEntries((await blobs.list(folder)).map(({ name, inUse: held }) => [name, held]))
    expect(inUse).to.deep.equal({ [`tmp-${process.pid}-a`]: true, 'data-mine': true, 'tmp-99999999-b': false })
  })

  it('is quiet about what is gone already, and passes on what the system says of a folder that is a file', async () => {
    const blobs = localBlobStore({ dir: dir() })
    expect([await blobs.head(folder, 'x'), await blobs.list(folder)]).to.deep.equal([undefined, []])
    await blobs.delete(folder, 'x')
    expect(await blobs.quarantine(folder, 'x')).to.match(/^corrupt-[0-9a-f]{8}-x$/)
    expect(await rejection(blobs.open(folder, 'x'))).to.include({ code: 'ERR_CACHE_CORRUPTION' }).and.to.have.property('message').that.matches(/the file is gone/)
    writeFileSync(join(dir(), folder), 'a file')
    for (const refused of [() => blobs.head(folder, 'x'), () => blobs.list(folder), () => blobs.delete(folder, 'x'), () => blobs.quarantine(folder, 'x'), () => blobs.open(folder, 'x')]) {
      expect(await rejection(refused())).to.have.property('code', 'ENOTDIR')
    }
    expect(await rejection(blobs.create(folder))).to.have.property('code', 'EEXIST')
  })
})

describe('files of a cache folder', () => {
  const dir = freshFolder()

  it('are opened only if they are regular, and never through a link', async () => {
    const at = (name: string): string => join(dir(), name)
    writeFileSync(at('file'), 'x')
    symlinkSync(at('file'), at('link'))
    mkdirSync(at('folder'))
    const open = openFiles()
    const { handle } = await openRegularFile(at('file'))
    await handle.close()
    for (const [name, reason] of [['link', 'not a regular file'], ['folder', 'not a regular file'], ['nothing', 'the file is gone']] as const) {
      expect(await rejection(openRegularFile(at(name))), name).to.include({ code: 'ERR_CACHE_CORRUPTION', reason })
    }
    expect(await rejection(openRegularFile(at('file/below')))).to.have.property('code', 'ENOTDIR')
    expect(openFiles()).to.equal(open)
  })

  it('are at most as many as the pool holds, whoever waits, and all closed at the end', async () => {
    const names = Array.from({ length: 20 }, (_, i) => join(dir(), `f${i}`))
    for (const name of names) writeFileSync(name, name)
    const pool = new FilePool(3)
    // of this folder: other suites' sockets come and go
    const open = (): number => readdirSync('/proc/self/fd').filter(fd => targetOf(fd).startsWith(dir())).length
    let most = 0
    const read = async (name: string): Promise<void> => await pool.with(name, async handle => {
      most = Math.max(most, open())
      expect((await handle.read(Buffer.alloc(name.length), 0, name.length, 0)).buffer.toString()).to.equal(name)
      await pool.forget(name)
    })
    await Promise.all([...names, ...names, names[0]!, names[0]!].map(read))
    expect(most).to.be.within(1, 3)
    await pool.closeAll()
    expect(open()).to.equal(0)
    expect(await rejection(pool.with(join(dir(), 'no such'), () => Promise.resolve()))).to.have.property('code', 'ERR_CACHE_CORRUPTION')
  })

  it('lie in folders that are made 0700, each with its place flushed, again for one that was there', async () => {
    const path = join(dir(), 'a', 'b', 'c')
    await ensureFolder(path, true)
    await ensureFolder(path, true)
    for (const made of ['a', 'a/b', 'a/b/c']) expect(statSync(join(dir(), made)).mode & 0o777).to.equal(0o700)
    await syncFolder(path)
    writeFileSync(join(dir(), 'file'), '')
    expect(await rejection(ensureFolder(join(dir(), 'file', 'x'), true))).to.have.property('code').that.matches(/ENOTDIR|EEXIST/)
    expect(await rejection(checkFolder(join(dir(), 'file')))).to.have.property('code', 'ERR_CACHE_UNUSABLE')
    expect(await rejection(checkFolder(join(dir(), 'file', 'x')))).to.have.property('code', 'ENOTDIR')
    await checkFolder(join(dir(), 'nothing'))
  })
})

describe('a cache folder that is a file', () => {
  const dir = freshFolder()

  it('has no tables to list, and fails no request', async () => {
    const path = join(dir(), 'file')
    writeFileSync(path, '')
    expect(await rejection(localCatalog({ dir: path }).list())).to.have.property('code', 'ENOTDIR')
    expect(await rejection(localCatalog({ dir: path }).inspect({ folder }))).to.have.property('code', 'ENOTDIR')
    const store = new CacheStore({ dir: path })
    const result = await getData({ cache: { store }, ids: [1], columns: ['x'], table: 'public.t', fetcher: async () => [{ id: 1, x: 2 }] })
    expect(result.toRows()).to.deep.equal([{ id: 1, x: 2 }])
    expect(result.report.warnings.map(({ errno }) => errno)).to.deep.equal(['ENOTDIR'])
    expect(await rejection(store.prepare())).to.have.property('code', 'ERR_CACHE_UNUSABLE')
    expect(await rejection(store.checkWritable())).to.have.property('code', 'ERR_CACHE_UNUSABLE')
    await store.close()
  })
})
