// needs: strace linux
import { mkdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect } from 'chai'
import { parseManifest } from '../../lib/store/manifest.js'
import { seeded } from '../support/random.js'
import { brokenIn } from './support/check.js'
import { DiskModel, LOGGED, materialise, readDiskLog, type DiskCall, type Loss } from './support/disk-log.js'
import { counts, folderInMemory, idsFrom, shortOrLong } from './support/rows.js'
import { attachStrace, endWorkersWithSuite, startWorker } from './support/workers.js'
import type { Command } from './support/worker.js'

/** Several parts, overlapping merges, folding, garbage collection: in a cache whose folder is not there yet. */
const WORKLOAD: Omit<Command, 'dir'> = { mark: true, partBytes: 16 * 1024, graceMs: 0, compact: true,
  merges: [{ from: 0, count: 300 }, { from: 200, count: 150, step: 2, refresh: true }, { from: 600, count: 60 }] }
const ALL = idsFrom(0, 700)

/** Everything at once, and nothing at all. */
const LOSSES: Readonly<Record<string, Loss>> = {
  'nothing unflushed': { keepsEntry: () => false, keptBytes: () => ({ bytes: 0, zeroFilled: false }) },
  'names without data': { keepsEntry: () => true, keptBytes: () => ({ bytes: 0, zeroFilled: false }) },
  'zeros for data': { keepsEntry: () => true, keptBytes: () => ({ bytes: 0, zeroFilled: true }) }
}

/** Any of it. */
function randomLoss(seed: number): Loss {
  const random = seeded(seed)
  return { keepsEntry: () => random.chance(0.5), keptBytes: unflushed => ({ bytes: random.below(unflushed + 1), zeroFilled: random.chance(0.5) }) }
}

describe('the order in which a commit reaches the disk', function () {
  this.timeout(1_200_000)
  endWorkersWithSuite()
  let folder = ''
  before(() => { folder = folderInMemory('order') })
  after(() => { rmSync(folder, { recursive: true, force: true }) })

  /** Run the workload in a new cache below `root` and log its system calls. */
  async function logged(name: string, durability: 'commit' | 'none'): Promise<{ root: string, dir: string, calls: DiskCall[] }> {
    const root = join(folder, name)
    mkdirSync(root)
    const dir = join(root, 'deep', 'cache')
    const worker = await startWorker()
    const log = join(folder, `${name}.strace`)
    const strace = await attachStrace(worker, ['-xx', '-s', String(2 ** 22), '-e', `trace=${LOGGED}`], log)
    const answer = await worker.ask({ ...WORKLOAD, dir, durability })
    await strace.detach()
    await worker.kill()
    expect(answer).to.include({ rows: 510, warnings: answer?.warnings })
    expect([answer?.error, answer?.wrong, answer?.warnings]).to.deep.equal([undefined, undefined, []])
    return { root, dir, calls: readDiskLog(log) }
  }

  /** Cut the power after every call, in several ways; what is wrong with what is left. */
  async function brokenAfterCuts({ root, dir, calls }: Awaited<ReturnType<typeof logged>>, { stride, randoms }: { stride: number, randoms: number }): Promise<{ states: number, broken: string[] }> {
    const disk = new DiskModel(root)
    const seen = new Set<string>()
    const broken: string[] = []
    for (const [at, call] of calls.entries()) {
      disk.apply(call)
      if (at % stride !== 0) continue
      const losses = [...Object.entries(LOSSES), ...Array.from({ length: randoms }, (_, i) => [`seed ${at * 100 + i}`, randomLoss(at * 100 + i)] as const)]
      for (const [how, loss] of losses) {
        const state = disk.cut(loss)
        if (seen.has(state.identity)) continue
        seen.add(state.identity)
        const place = join(folder, `cut-${seen.size}`)
        materialise(state, root, place)
        const found = await brokenIn(join(place, dir.slice(root.length)), { reported: disk.reported, all: ALL })
        broken.push(...found.map(text => `call ${at} (${call.kind}), ${how}: ${text}`))
        rmSync(place, { recursive: true })
      }
    }
    return { states: seen.size, broken }
  }

  it('is data, its folder, the manifest, its folder, and then the report; for new folders as well', async () => {
    const { root, dir, calls } = await logged('commit', 'commit')
    const disk = new DiskModel(root)
    const folders = new Set<string>()
    let [manifests, parts, reports] = [0, 0, 0]
    for (const call of calls) {
      if (call.kind === 'mkdir') folders.add(call.path)
      if (call.kind === 'link') {
        const inode = disk.find(call.from)
        if (typeof inode !== 'object') throw new Error(`${call.from} is linked and was never written`)
        expect(inode.synced, `${call.to} is linked before its data is flushed`).to.equal(inode.bytes.length)
        if (/^manifest-/.test(basename(call.to))) {
          manifests++
          const parsed = parseManifest(inode.bytes, call.to)
          if (!('manifest' in parsed)) throw new Error('a newer format')
          const { parts: named, tombstones } = parsed.manifest
          for (const { name } of [...named, ...tombstones.flatMap(({ ids }) => ids ?? [])]) {
            parts++
            const path = join(dirname(call.to), name)
            expect(disk.isPlaced(path), `${name} is in a manifest before its name is flushed`).to.equal(true)
            expect(disk.find(path)).to.have.property('synced').that.is.greaterThan(0)
          }
        }
      }
      if (call.kind === 'reported') {
        reports++
        const newest = disk.namesIn(join(dir, 'public.t')).filter(name => /^manifest-/.test(name)).at(-1)!
        expect(disk.isPlaced(join(dir, 'public.t', newest)), `${newest} is not flushed when its rows are reported`).to.equal(true)
      }
      disk.apply(call)
    }
    expect([manifests >= 4, parts >= 10, reports, folders.size]).to.deep.equal([true, true, 3, 3])
    counts('order of flushing', { 'calls': calls.length, manifests, 'parts in them': parts, reports })
  })

  it('and who may read it: files 0600, made exclusively and never through a link, folders 0700', async () => {
    const { dir, calls } = await logged('modes', 'commit')
    let [made, read] = [0, 0]
    for (const call of calls) {
      if (call.kind === 'mkdir') expect(call.mode).to.equal('0700')
      if (call.kind !== 'open' || !call.path.startsWith(`${dir}/public.t/`)) continue
      expect(call.flags, call.path).to.include('O_NOFOLLOW')
      if (call.creates) {
        made++
        expect([call.flags.includes('O_EXCL'), call.mode]).to.deep.equal([true, '0600'])
        expect(basename(call.path)).to.match(/^tmp-\d+-[0-9a-f-]{36}$/)
      } else read++
    }
    expect(Math.min(made, read)).to.be.greaterThan(5)
    counts('files', { made, read })
  })

  it('leaves the state before or after a power cut, and everything that was reported', async () => {
    const run = await logged('cuts', 'commit')
    const { states, broken } = await brokenAfterCuts(run, { stride: shortOrLong(8, 1), randoms: shortOrLong(1, 8) })
    counts('power cuts', { 'calls': run.calls.length, states, 'broken': broken.length })
    expect(broken).to.deep.equal([])
    expect(states).to.be.greaterThan(30)
  })

  it('is what the cuts look at: without flushing they find what was reported lost', async () => {
    const { states, broken } = await brokenAfterCuts(await logged('unflushed', 'none'), { stride: shortOrLong(20, 5), randoms: 1 })
    counts('power cuts without flushing', { states, 'broken': broken.length })
    expect(broken.join('\n')).to.match(/lost: \d+ reported ids were fetched again/)
  })
})
