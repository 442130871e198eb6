import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { localCatalog, manifestName } from '../../../lib/store/local-catalog.js'
import { parseManifest, serializeManifest } from '../../../lib/store/manifest.js'
import { getData } from '../../../pipelines/get-data.js'
import { freshCache, withReopened } from '../../support/cache.js'
import { rejection } from '../../support/collect.js'
import { madeFrom, range } from '../../support/fetchers.js'

const table = 'public.things'
const columns = ['n']

describe('a table whose manifests', () => {
  const cache = freshCache({ graceMs: 0 })
  const folder = (): string => join(cache().store.dir, 'public.things')
  const manifests = (): string[] => readdirSync(folder()).filter(name => name.startsWith('manifest-')).sort()
  const fill = (ids: number[]) => withReopened(cache(), async reopened => {
    const { fetcher, asked } = madeFrom(id => ({ id, n: Number(id) }))
    const result = await getData({ ids, columns, table, cache: reopened, fetcher })
    expect(result.toRows()).to.deep.equal(ids.map(id => ({ id, n: id })))
    return { asked: asked(), warnings: result.report.warnings }
  })

  it('are damaged at the top still takes the next commit, above the damage', async () => {
    await fill(range(0, 10))
    await fill(range(10, 20))
    const newest = join(folder(), manifests().at(-1)!)
    writeFileSync(newest, readFileSync(newest).subarray(0, 100))
    const { asked, warnings } = await fill(range(0, 30))
    expect(asked).to.deep.equal(range(10, 30))
    expect(warnings.map(({ code, file }) => [code, file])).to.deep.equal([['CACHE_CORRUPT', newest]])
    expect(manifests().at(-1)).to.equal(manifestName(3))
    expect(await fill(range(0, 30))).to.deep.equal({ asked: [], warnings: [] })
  })

  it('are all damaged is filled anew, and the next commit stands above them', async () => {
    await fill(range(0, 10))
    for (const name of manifests()) writeFileSync(join(folder(), name), 'nothing')
    expect((await fill(range(0, 10))).asked).to.deep.equal(range(0, 10))
    expect(await fill(range(0, 10))).to.deep.equal({ asked: [], warnings: [] })
  })

  it('lost their newest one is a version older, and loses nothing more', async () => {
    await fill(range(0, 10))
    await fill(range(10, 20))
    const names = manifests()
    writeFileSync(join(folder(), 'kept'), readFileSync(join(folder(), names.at(-1)!)))
    unlinkSync(join(folder(), names.at(-1)!))
    expect((await fill(range(0, 20))).asked).to.deep.equal(range(10, 20))
    expect(await fill(range(0, 20))).to.deep.equal({ asked: [], warnings: [] })
  })

  it('come from a newer millrace is left alone: rows from the source, a warning, no fall-back, no write', async () => {
    await fill(range(0, 10))
    const bytes = readFileSync(join(folder(), manifests()[0]!))
    const parsed = parseManifest(bytes, 'x')
    if (!('manifest' in parsed)) throw new Error('a newer format')
    writeFileSync(join(folder(), manifestName(2)), serializeManifest({ ...parsed.manifest, version: 2, format: 99 }))
    const before = readdirSync(folder())
    const { asked, warnings } = await fill(range(0, 10))
    expect(asked).to.deep.equal(range(0, 10))
    expect(warnings).to.have.length(1)
    expect(warnings[0]).to.include({ code: 'CACHE_UNUSABLE' })
    expect(warnings[0]!.message).to.match(/newer millrace \(format 99\)/)
    expect(readdirSync(folder())).to.deep.equal(before)
    await withReopened(cache(), async reopened => {
      const error = await rejection(getData({ ids: [1], columns, table, cache: reopened, cacheErrors: 'throw', fetcher: async () => [] }))
      expect(error).to.have.property('code', 'ERR_CACHE_UNUSABLE')
    })
  })

  it('another table\'s manifest stands among is told, and the others count', async () => {
    await fill(range(0, 10))
    await withReopened(cache(), reopened => getData({ ids: [1], columns, table: 'public.others', cache: reopened, fetcher: async () => [{ id: 1, n: -1 }] }))
    const foreign = readFileSync(join(cache().store.dir, 'public.others', manifestName(1)))
    writeFileSync(join(folder(), manifestName(2)), foreign)
    const { asked, warnings } = await fill(range(0, 10))
    expect(asked).to.deep.equal([])
    expect(warnings.map(({ code }) => code)).to.deep.equal(['CACHE_CORRUPT'])
  })

  it('a link is planted under the next name of does not follow it', async () => {
    await fill(range(0, 10))
    const victim = join(cache().store.dir, 'victim')
    symlinkSync(victim, join(folder(), manifestName(2)))
    await fill(range(0, 20))
    expect(existsSync(victim)).to.equal(false)
    expect(lstatSync(join(folder(), manifestName(2))).isSymbolicLink()).to.equal(true)
    expect((await fill(range(0, 20))).asked).to.deep.equal([])
  })

  it('would be in a folder that is a link to elsewhere is not cached, and elsewhere is not touched', async () => {
    const elsewhere = join(cache().store.dir, 'elsewhere')
    mkdirSync(elsewhere)
    symlinkSync(elsewhere, folder())
    const { asked, warnings } = await fill(range(0, 10))
    expect(asked).to.deep.equal(range(0, 10))
    expect(warnings.map(({ message }) => message).join()).to.match(/is not a folder/)
    expect(readdirSync(elsewhere)).to.deep.equal([])
  })
})

describe('localCatalog', () => {
  const cache = freshCache()

  it('takes a dangling link for damage, not for a manifest that was pruned', async () => {
    const { dir } = cache().store
    mkdirSync(join(dir, 'public.t'))
    // a dangling link has a name and nothing behind it: it is damage, no race
    symlinkSync(join(dir, 'nowhere'), join(dir, 'public.t', manifestName(1)))
    const state = await localCatalog({ dir }).read({ folder: 'public.t' })
    expect(state.damaged.map(({ reason }) => reason).join()).to.match(/not a regular file/)
  })

  it('commits only above the version that the writer saw, and says so', async () => {
    const { dir } = cache().store
    const catalog = localCatalog({ dir, durability: 'none' })
    const { manifest } = await withReopened(cache(), async reopened => ({ manifest: await reopened.store.table(table).manifest() }))
    const key = { folder: 'public.things' }
    expect(await catalog.commit(key, 0, { ...manifest, version: 1 })).to.equal(true)
    expect(await catalog.commit(key, 0, { ...manifest, version: 1 })).to.equal(false)
    for (let version = 2; version <= 8; version++) expect(await catalog.commit(key, version - 1, { ...manifest, version })).to.equal(true)
    // pruned long ago: the hole is filled, found out, and emptied again
    expect(await catalog.commit(key, 1, { ...manifest, version: 2 })).to.equal(false)
    expect(readdirSync(join(dir, 'public.things')).sort()).to.deep.equal([5, 6, 7, 8].map(manifestName))
    expect((await catalog.read(key)).latest).to.equal(8)
  })
})
