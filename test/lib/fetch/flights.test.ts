import { expect } from 'chai'
import type { Id } from '../../../lib/batch/ids.js'
import type { Row } from '../../../lib/batch/row-factory.js'
import { invalidateRows } from '../../support/invalidate.js'
import type { ProgressReporter } from '../../../lib/run.js'
import type { Fetcher } from '../../../lib/source/fetcher.js'
import { getData } from '../../../pipelines/get-data.js'
import { streamData } from '../../../pipelines/stream-data.js'
import { freshCache } from '../../support/cache.js'
import { gate, refuseUnhandledRejections, rejection, turns, until, type Gate } from '../../support/collect.js'
import { madeFrom, range, recording, type RecordingFetcher } from '../../support/fetchers.js'

const table = 'public.things'
const columns = ['v']
const rowOf = (id: Id): Row => ({ id, v: `v${id}` })

/** A fetcher whose calls wait until they are let go, in order. */
function gated(): RecordingFetcher & { gates: Gate[] } {
  const gates: Gate[] = []
  const own = recording(async ids => {
    const here = gate()
    gates.push(here)
    await here.passed
    return ids.map(rowOf)
  })
  return { ...own, gates }
}

/** A reporter that counts the requests that have planned: what they do next is a matter of turns, not of the disk. */
function counting(): ProgressReporter & { started: number } {
  return { started: 0, start() { this.started++ }, update: () => undefined, stop: () => undefined }
}

describe('calls at the same time', () => {
  const cache = freshCache()
  refuseUnhandledRejections()

  it('ask the fetcher once per id, twenty of them for one batch', async () => {
    const { fetcher, asked, gates } = gated()
    const calls = range(0, 20).map(() => getData({ ids: range(0, 50), columns, table, fetcher, cache: cache() }))
    await until(() => gates.length > 0)
    for (const { open } of gates) open()
    const tables = await Promise.all(calls)
    expect(asked()).to.deep.equal(range(0, 50))
    for (const { length, report } of tables) expect([length, report.fetched, report.batches]).to.deep.equal([50, 50, 1])
    expect(tables[7]!.toRows()).to.deep.equal(range(0, 50).map(rowOf))
  })

  it('ask the fetcher once per id, twenty of them, though it answers before all have planned', async () => {
    const { fetcher, asked } = madeFrom(rowOf)
    const tables = await Promise.all(range(0, 20).map(() => getData({ ids: range(0, 400), columns, table, fetcher, cache: cache() })))
    expect(asked()).to.deep.equal(range(0, 400))
    expect(tables.map(result => result.length)).to.deep.equal(new Array(20).fill(400))
  })

  it('ask the fetcher once per id, twenty of them for five batches', async () => {
    const { fetcher, asked } = recording(async ids => {
      await turns(100)
      return ids.map(rowOf)
    })
    const tables = await Promise.all(range(0, 20).map(() => getData({ ids: range(0, 500), columns, table, fetcher, cache: cache() })))
    expect(asked()).to.deep.equal(range(0, 500))
    for (const result of tables) expect(result.column('v')).to.deep.equal(range(0, 500).map(id => `v${id}`))
  })

  it('ask once for a subset of what another call is fetching', async () => {
    const { fetcher, asked, gates } = gated()
    const whole = getData({ ids: range(0, 50), columns, table, fetcher, cache: cache() })
    await until(() => gates.length === 1)
    const part = getData({ ids: [40, 3, 7], columns, table, fetcher, cache: cache() })
    gates[0]!.open()
    expect((await part).toRows()).to.deep.equal([3, 7, 40].map(rowOf))
    expect((await whole).length).to.equal(50)
    expect(asked()).to.deep.equal(range(0, 50))
  })

  it('are right for id sets that overlap and are not equal', async () => {
    const { fetcher } = madeFrom(rowOf)
    const sets = range(0, 12).map(k => range(k * 37, k * 37 + 150))
    const tables = await Promise.all(sets.map(ids => getData({ ids, columns, table, fetcher, cache: cache() })))
    tables.forEach((result, k) => expect(result.toRows(), String(k)).to.deep.equal(sets[k]!.map(rowOf)))
    const warm = await getData({ ids: range(0, 11 * 37 + 150), columns, table, cache: cache(), fetcher: madeFrom(() => undefined).fetcher })
    expect(warm.length).to.equal(11 * 37 + 150)
  })

  it('share nothing across tables, columns, namespaces, caches and fetchers', async () => {
    const { fetcher, calls, gates } = gated()
    const other = gated()
    const all = [
      getData({ ids: [1], columns, table, fetcher, cache: cache() }),
      getData({ ids: [1], columns, table: 'public.others', fetcher, cache: cache() }),
      getData({ ids: [1], columns: ['v', 'id'], table, fetcher, cache: cache(), namespace: 'n' }),
      getData({ ids: [1], columns, table, fetcher: other.fetcher, cache: cache() })
    ]
    await until(() => gates.length === 3 && other.gates.length === 1)
    for (const { open } of [...gates, ...other.gates]) open()
    await Promise.all(all)
    expect(calls).to.have.length(3)
  })

  it('give each caller rows of its own', async () => {
    const { fetcher, gates } = (() => {
      const held = gate()
      return { gates: held, fetcher: recording(async ids => {
        await held.passed
        return ids.map(id => ({ id, v: { list: [id] } }))
      }).fetcher }
    })()
    const calls = [1, 2].map(() => getData({ ids: [1], columns, table, fetcher, cache: cache() }))
    gates.open()
    const [a, b] = await Promise.all(calls);
    (a!.toRows()[0]!['v'] as { list: unknown[] }).list.push('mine')
    expect(b!.toRows()).to.deep.equal([{ id: 1, v: { list: [1] } }])
  })

  describe('when one is aborted', () => {
    it('do not cancel the others, and the fetcher is not told', async () => {
      const { fetcher, calls, gates } = gated()
      const abort = new AbortController()
      const first = getData({ ids: [1, 2], columns, table, fetcher, cache: cache(), signal: abort.signal })
      await until(() => gates.length === 1)
      const planned = counting()
      const second = getData({ ids: [1, 2], columns, table, fetcher, cache: cache(), progress: planned })
      await until(() => planned.started === 1)
      await turns()
      abort.abort()
      expect(await rejection(first)).to.have.property('name', 'AbortError')
      expect(calls[0]!.request.signal.aborted).to.equal(false)
      gates[0]!.open()
      expect((await second).toRows()).to.deep.equal([1, 2].map(rowOf))
      expect(calls).to.have.length(1)
    })

    it('tell the fetcher once all of them are', async () => {
      const { fetcher, calls, gates } = gated()
      const aborts = [new AbortController(), new AbortController()]
      const planned = counting()
      const both = aborts.map(({ signal }) => rejection(getData({ ids: [1, 2], columns, table, fetcher, cache: cache(), signal, progress: planned })))
      await until(() => gates.length === 1 && planned.started === 2)
      await turns()
      aborts[0]!.abort()
      await turns()
      expect(calls[0]!.request.signal.aborted).to.equal(false)
      aborts[1]!.abort()
      await Promise.all(both)
      expect(calls[0]!.request.signal.aborted).to.equal(true)
    })

    it('are not joined by a call that comes while the aborted fetch is still being taken down', async () => {
      const { fetcher, calls, gates } = gated()
      const abort = new AbortController()
      const first = rejection(getData({ ids: [1], columns, table, fetcher, cache: cache(), signal: abort.signal }))
      await until(() => gates.length === 1)
      let second: Promise<unknown> | undefined
      calls[0]!.request.signal.addEventListener('abort', () => { second = getData({ ids: [1], columns, table, fetcher, cache: cache() }) })
      abort.abort()
      await first
      await until(() => gates.length === 2)
      gates[1]!.open()
      expect(await second).to.have.length(1)
    })
  })

  describe('when the fetch of one fails', () => {
    it('hand over: another one asks again, once for all who wait', async () => {
      let attempt = 0
      const held = gate()
      const { fetcher, calls } = recording(async ids => {
        const mine = ++attempt
        if (mine === 1) {
          await held.passed
          throw new Error('first attempt')
        }
        await turns(20)
        return ids.map(rowOf)
      })
      const planned = counting()
      const all = range(0, 6).map(() => getData({ ids: [1, 2], columns, table, fetcher, cache: cache(), retries: 0, progress: planned }).then(t => t.length, () => 'failed'))
      await until(() => attempt === 1 && planned.started === 6)
      await turns()
      held.open()
      expect((await Promise.all(all)).sort()).to.deep.equal([2, 2, 2, 2, 2, 'failed'])
      expect(calls).to.have.length(2)
    })

    it('end, all of them, when it goes on failing', async () => {
      const { fetcher, calls } = recording(async () => {
        await turns(5)
        throw new Error('down')
      })
      const all = await Promise.all(range(0, 8).map(() => rejection(getData({ ids: [1], columns, table, fetcher, cache: cache(), retries: 0 }))))
      for (const error of all) expect(error).to.have.property('code', 'ERR_BATCH_FAILED')
      expect(calls.length).to.be.at.most(8)
    })
  })

  describe('and a fetcher that calls getData', () => {
    it('for the very ids it is fetching gets a typed error', async () => {
      const fetcher: Fetcher = async ids => (await getData({ ids, columns, table, fetcher, cache: cache() })).toRows()
      const error = await rejection(getData({ ids: [1, 2], columns, table, fetcher, cache: cache() }))
      expect(error).to.have.property('code', 'ERR_FETCHER_CONTRACT')
      expect(error.message).to.include('the very ids it is fetching')
    })

    it('for some of the ids it is fetching gets a typed error', async () => {
      const fetcher: Fetcher = async ids => (await getData({ ids: ids.slice(0, 1), columns, table, fetcher, cache: cache() })).toRows()
      expect(await rejection(getData({ ids: [1, 2], columns, table, fetcher, cache: cache() }))).to.have.property('code', 'ERR_FETCHER_CONTRACT')
    })

    it('for other ids, other columns or another table gets rows', async () => {
      const fetcher: Fetcher = async (ids, name) => {
        if (name === 'public.parents') return ids.map(id => ({ id, v: `parent ${id}` }))
        const parents = await getData({ ids: ids.map(id => Number(id) + 1000), columns, table: 'public.parents', fetcher, cache: cache() })
        return parents.toRows().map((row, i) => ({ id: ids[i]!, v: row['v'] }))
      }
      const result = await getData({ ids: [1, 2], columns, table, fetcher, cache: cache() })
      expect(result.toRows()).to.deep.equal([{ id: 1, v: 'parent 1001' }, { id: 2, v: 'parent 1002' }])
    })

    it('of one that says it is a leaf shares its fetch, and is itself refused what it is fetching', async () => {
      const { fetcher, calls, gates } = gated()
      const leaf: Fetcher = Object.assign(fetcher, { isLeaf: true })
      const outer: Fetcher = async ids => {
        const inner = await getData({ ids, columns, table: 'public.parents', fetcher: leaf, cache: cache() })
        await getData({ ids, columns, table, fetcher: outer, cache: cache() })
        return inner.toRows()
      }
      const nested = rejection(getData({ ids: [1, 2], columns, table, fetcher: outer, cache: cache(), retries: 0 }))
      await until(() => gates.length === 1)
      const beside = getData({ ids: [1, 2], columns, table: 'public.parents', fetcher: leaf, cache: cache() })
      await turns(50)
      gates[0]!.open()
      expect((await beside).toRows()).to.deep.equal([1, 2].map(rowOf))
      expect((await nested).message).to.include('the very ids it is fetching')
      expect(calls).to.have.length(1)
    })

    it('never deadlocks with another call that waits for it the other way round', async () => {
      const met = gate()
      let inside = 0
      const fetcher: Fetcher = async ids => {
        if (++inside === 2) met.open()
        await met.passed
        const other = ids[0] === 1 ? 2 : 1
        return (await getData({ ids: [other], columns, table, fetcher, cache: cache() })).toRows().map(row => ({ ...row, id: ids[0]! }))
      }
      const both = await Promise.all([1, 2].map(id => rejection(getData({ ids: [id], columns, table, fetcher, cache: cache(), retries: 0 }))))
      for (const error of both) expect(error).to.have.property('code', 'ERR_FETCHER_CONTRACT')
    })
  })

  it('refresh: one that renews is not served from a fetch that began before it', async () => {
    let version = 'old'
    const gates: Gate[] = []
    const { fetcher } = recording(async ids => {
      const now = version
      const here = gate()
      gates.push(here)
      await here.passed
      return ids.map(id => ({ id, v: now }))
    })
    const first = getData({ ids: [1], columns, table, fetcher, cache: cache() })
    await until(() => gates.length === 1)
    version = 'new'
    const renewed = getData({ ids: [1], columns, table, fetcher, cache: cache(), refresh: true })
    await until(() => gates.length === 2)
    for (const { open } of gates) open()
    expect((await renewed).column('v')).to.deep.equal(['new'])
    await first
  })

  it('one that comes after an invalidation is not served from a fetch that began before it', async () => {
    let version = 'old'
    const gates: Gate[] = []
    const { fetcher } = recording(async ids => {
      const now = version
      const here = gate()
      gates.push(here)
      await here.passed
      return ids.map(id => ({ id, v: now }))
    })
    await getData({ ids: [9], columns, table, cache: cache(), fetcher: madeFrom(rowOf).fetcher })
    const first = getData({ ids: [1], columns, table, fetcher, cache: cache() })
    await until(() => gates.length === 1)
    version = 'new'
    await invalidateRows(cache(), table)
    const second = getData({ ids: [1], columns, table, fetcher, cache: cache() })
    await until(() => gates.length === 2)
    for (const { open } of gates) open()
    expect((await second).column('v')).to.deep.equal(['new'])
    await first
    const warm = await getData({ ids: [1], columns, table, fetcher: madeFrom(() => undefined).fetcher, cache: cache() })
    expect(warm.column('v')).to.deep.equal(['new'])
  })

  it('leave a stream that is not read any more alone to wait', async () => {
    const { fetcher } = madeFrom(rowOf)
    const idle = streamData({ ids: range(0, 300_000), columns, table, fetcher, cache: cache() })
    for await (const batch of idle) {
      expect(batch.length).to.be.greaterThan(0)
      const result = await getData({ ids: range(0, 300_000), columns, table, fetcher, cache: cache() })
      expect(result.length).to.equal(300_000)
      break
    }
  })
})
