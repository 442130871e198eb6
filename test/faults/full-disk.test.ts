// needs: tmpfs strace linux
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { brokenIn } from './support/check.js'
import { counts, folderInMemory, idsFrom, shortOrLong } from './support/rows.js'
import { smallDisk, type SmallDisk } from './support/small-disk.js'
import { attachStrace, endWorkersWithSuite, startWorker, type Worker } from './support/workers.js'

const PART = { partBytes: 32 * 1024, graceMs: 0 }
const KNOWN = { from: 0, count: 300 }

describe('a small disk', function () {
  this.timeout(600_000)
  endWorkersWithSuite()
  let disk: SmallDisk
  let worker: Worker
  let folder = ''
  let dir = ''
  beforeEach(async () => {
    folder = folderInMemory('log')
    disk = smallDisk(32 * 1024)
    dir = join(disk.dir, 'cache')
    worker = await startWorker()
    await worker.ask({ dir, ...PART, merges: [KNOWN] })
  })
  afterEach(async () => {
    await worker.kill()
    disk.unmount()
    rmSync(folder, { recursive: true })
  })

  it('that is full delivers every row, says ENOSPC, keeps what was cached, leaves nothing half written, and works again', async () => {
    let [levels, full, short, next] = [0, 0, 0, 1000]
    const broken: string[] = []
    const reported = idsFrom(KNOWN.from, KNOWN.count)
    for (let room = 0; room <= 180 * 1024; room += shortOrLong(20, 4) * 1024) {
      levels++
      const log = join(folder, `${room}.strace`)
      const before = readdirSync(join(dir, 'public.t'))
      disk.leave(room)
      const strace = await attachStrace(worker, ['-e', 'trace=pwrite64,pwritev'], log)
      const merge = { from: next, count: 700 }
      const answer = await worker.ask({ dir, ...PART, merges: [KNOWN, merge] })
      await strace.detach()
      short += shortWrites(log)
      if (answer?.error !== undefined || answer?.wrong !== undefined) broken.push(`${room} bytes: ${answer.error ?? answer.wrong}`)
      if (answer?.hits !== KNOWN.count) broken.push(`${room} bytes: ${answer?.hits} hits of ${KNOWN.count}`)
      const [warning, ...more] = answer?.warnings ?? []
      if (warning) {
        full++
        if (warning.code !== 'CACHE_WRITE_FAILED' || warning.errno !== 'ENOSPC' || more.length > 0) broken.push(`${room} bytes: ${JSON.stringify(answer?.warnings)}`)
        const strict = await worker.ask({ dir, ...PART, strict: true, merges: [merge] })
        if (strict?.code !== 'ERR_CACHE_UNUSABLE' || !/ENOSPC/.test(strict.error ?? '')) broken.push(`${room} bytes, strict: ${strict?.error}`)
        const after = readdirSync(join(dir, 'public.t')).filter(name => !before.includes(name))
        if (after.length > 0) broken.push(`${room} bytes: left over ${after.join(', ')}`)
      } else reported.push(...idsFrom(next, 700))
      disk.empty()
      next += 1000
    }
    broken.push(...await brokenIn(dir, { reported, all: idsFrom(0, next) }, { partBytes: PART.partBytes }))
    counts('disk with little room', { levels, full, 'short writes': short, 'broken': broken.length })
    expect(broken).to.deep.equal([])
    expect([full > 3, full < levels, short > 0]).to.deep.equal([true, true, true])
  })

  it('that becomes read-only serves hits, delivers the rest, says EROFS, and works again', async () => {
    const all = { from: 0, count: 600 }
    disk.setWritable(false)
    const warm = await worker.ask({ dir, ...PART, strict: true, merges: [KNOWN] })
    const mixed = await worker.ask({ dir, ...PART, merges: [all] })
    const strict = await worker.ask({ dir, ...PART, strict: true, merges: [all] })
    disk.setWritable(true)
    const again = await worker.ask({ dir, ...PART, merges: [all] })
    expect(warm).to.include({ hits: 300, fetched: 0 }).and.to.have.property('warnings').that.is.empty
    expect([mixed?.wrong, mixed?.hits, mixed?.fetched]).to.deep.equal([undefined, 300, 300])
    expect(mixed?.warnings.map(({ code, errno }) => [code, errno])).to.deep.equal([['CACHE_WRITE_FAILED', 'EROFS']])
    expect(strict).to.include({ code: 'ERR_CACHE_UNUSABLE', rows: 0, asked: 0 })
    expect(again).to.include({ hits: 300, fetched: 300 }).and.to.have.property('warnings').that.is.empty
    expect(await brokenIn(dir, { reported: idsFrom(0, 600), all: idsFrom(0, 600) })).to.deep.equal([])
  })
})

/** Writes that took less than they were given, in a log of `pwrite64` and `pwritev`. */
function shortWrites(log: string): number {
  return [...readFileSync(log, 'latin1').matchAll(/^.*?(?:, (\d+)|\], \d+), \d+\) = (\d+)$/gm)].filter(([line, one, taken]) => {
    const asked = one !== undefined && !line.includes('iov_len=') ? Number(one) : [...line.matchAll(/iov_len=(\d+)/g)].reduce((sum, [, length]) => sum + Number(length), 0)
    return Number(taken) < asked
  }).length
}
