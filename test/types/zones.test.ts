import { expect } from 'chai'
import { ask, errorOf, nobody, rowsOf, withCache } from './support.js'

describe('times given as text', () => {
  const zone = process.env['TZ']
  afterEach(() => {
    if (zone === undefined) delete process.env['TZ']
    else process.env['TZ'] = zone
  })

  it('are UTC where they name no zone, whatever the process\'s own', () => withCache(async cache => {
    for (const TZ of ['UTC', 'America/Sao_Paulo', 'Asia/Kolkata']) {
      process.env['TZ'] = TZ
      const rows = [{ id: 1, a: TZ }]
      await ask(cache, { ids: [1], columns: ['a'], fetcher: rowsOf(rows), refresh: true })
      const text = (ms: number): string => new Date(Date.now() + ms).toISOString().slice(0, 19).replace('T', ' ')
      await cache.cache.invalidate({ table: 'public.t', before: text(-60_000) })
      expect((await ask(cache, { ids: [1], columns: ['a'], fetcher: nobody })).column('a'), TZ).to.deep.equal([TZ])
      await cache.cache.invalidate({ table: 'public.t', before: text(60_000) })
      expect((await ask(cache, { ids: [1], columns: ['a'], fetcher: rowsOf([{ id: 1, a: 'again' }]) })).column('a'), TZ).to.deep.equal(['again'])
    }
    for (const before of ['yesterday', '1 May 2024', '2024-13-01', '']) {
      expect(await errorOf(cache.cache.invalidate({ table: 'public.t', before }))).to.include({ code: 'ERR_INVALID_ARGUMENT' })
    }
  }))
})
