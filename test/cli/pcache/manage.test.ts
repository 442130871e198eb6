import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { manage } from '../../../cli/pcache/manage.js'
import { createCache } from '../../../lib/partition/create-cache.js'
import type { PartitionCache } from '../../../lib/partition/cache.js'
import { runProgram, type ProgramResult } from './run-program.js'

describe('pcache-manage', () => {
  let dir: string
  let variables: string

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-pcache-'))
    variables = join(dir, 'env')
    writeFileSync(variables, `CACHE_BACKEND=rocksdict\nROCKSDB_DICT_PATH=${join(dir, 'cache')}\nROCKSDB_PATH=${join(dir, 'other')}\n`)
    await withCache(async cache => {
      await cache.setSet('ids', [0, -1, 2n ** 60n], { query: 'SELECT 1', tables: ['public.poi'], asOf: new Date(Date.now() - 40 * 86_400_000) })
      await cache.setSet('empty', [], { tables: ['users'], ttlMs: 86_400_000 })
      await cache.setNull('late', { status: 'timeout', tables: ['users'] })
      await cache.setSet('names', ["o'neil", 'a\nb'], { partitionKey: 'name', datatype: 'text', tables: ['users'] })
      await cache.setSet('floats', [NaN, -Infinity, 0.1], { partitionKey: 'ratio', datatype: 'float', tables: ['users'] })
      await cache.setSet('times', [new Date(0), '2024-01-02 03:04:05.123456', 'infinity'], { partitionKey: 'time', datatype: 'timestamp', tables: ['users'] })
    })
  })
  afterEach(() => { rmSync(dir, { recursive: true, force: true }) })

  async function withCache<T>(work: (cache: PartitionCache) => Promise<T>, path = 'cache'): Promise<T> {
    const cache = await createCache('rocksdict', 'region_id', path === 'cache' ? 'integer' : undefined, { path: join(dir, path) })
    try {
      return await work(cache)
    } finally {
      await cache.close()
    }
  }
  const run = (...args: string[]): Promise<ProgramResult> => runProgram(manage, [...args, '--env', variables])
  const key = ['--partition-key', 'region_id']

  it('counts, measures and clears', async () => {
    expect(JSON.parse((await run('--count-cache', '--json', ...key)).stdout)).to.deep.equal({ partitionKeys: [{ partitionKey: 'region_id', datatype: 'integer', sets: 2, unusable: 1, others: 0 }], sets: 2 })
    const { backend, partitionKeys } = JSON.parse((await run('--stats', '--json')).stdout) as { backend: string, partitionKeys: Record<string, unknown>[] }
    expect(backend).to.equal('rocksdict')
    expect(partitionKeys.find(one => one['partitionKey'] === 'region_id')).to.deep.include({ sets: 2, unusable: 1, timeouts: 1, failures: 0, expiring: 1 })
    expect((await run('--stats')).stdout).to.match(/region_id +integer +2 /)
    expect((await run('--count-cache')).stdout).to.match(/name +text +1 /)
    expect((await run('--clear-cache', '--json')).stdout).to.equal('{"cleared":["name","ratio","region_id","time"]}\n')
    expect((await run('--stats')).stdout).to.equal('nothing is cached\n')
    expect((await run('--clear-cache')).stdout).to.equal('0 partition keys cleared\n')
  })

  it('exports every entry, and imports it again as it was', async () => {
    const file = join(dir, 'cache.ndjson')
    expect((await run('--export', file)).stdout).to.equal(`6 entries written to ${file}\n`)
    expect(readdirSync(dir).filter(name => name.endsWith('.part'))).to.deep.equal([])
    const before = await withCache(everything)
    await run('--clear-cache')
    expect((await run('--import', file, '--json')).stdout).to.equal(`{"file":${JSON.stringify(file)},"entries":6}\n`)
    expect(await withCache(everything)).to.deep.equal(before)
    expect((await run('--import', file, ...key)).stdout).to.equal(`3 entries read from ${file}\n`)
    const lines = readFileSync(file, 'utf8').trim().split('\n').map(line => JSON.parse(line) as { hash: string, keys?: unknown[] })
    expect(lines.find(({ hash }) => hash === 'ids')?.keys).to.include('1152921504606846976')
  })

  async function everything(cache: PartitionCache): Promise<unknown> {
    const found: unknown[] = []
    for (const [partitionKey] of await cache.getPartitionKeys()) {
      for await (const { hash } of cache.entries({ partitionKey })) {
        const { keys, ...entry } = (await cache.getEntry(hash, { partitionKey }))!
        found.push([partitionKey, entry, keys && [...keys].map(String).sort()])
      }
    }
    return found
  }

  it('names a line that is no entry, and keeps those before it', async () => {
    const good = JSON.stringify({ partitionKey: 'region_id', datatype: 'integer', hash: 'new', state: 'set', keys: [7] })
    for (const bad of ['{', '5', '{"hash":"x"}', good.replace('integer', 'number'), good.replace('"set"', '"unset"'), good.replace('[7]', '7'), good.replace('7', '7.5')]) {
      const file = join(dir, 'bad.ndjson')
      writeFileSync(file, `${good}\n\n${bad}\n`)
      const { code, stderr } = await run('--import', file)
      expect(code, bad).to.be.oneOf([1, 2])
      expect(stderr, bad).to.match(/bad\.ndjson:3|datatype|7\.5/)
    }
    expect(await withCache(async cache => [...(await cache.get('new'))!])).to.deep.equal([7])
    expect(await run('--import', '/nowhere/x')).to.deep.include({ code: 2, stdout: '' })
    expect(await run('--export', '/nowhere/x')).to.deep.include({ code: 1, stdout: '' })
  })

  it('copies between backends what both can hold', async () => {
    expect((await run('--copy', '--to', 'rocksdb_set', ...key)).stdout).to.equal('2 sets and 1 other entry of 1 partition key copied\n')
    const { code, stderr } = await run('--copy', '--to', 'rocksdb_set', '--json')
    expect(code).to.equal(1)
    expect(stderr).to.contain('float')
    expect((await run('--copy', '--to', 'rocksdict')).code).to.equal(2)
    expect((await run('--copy')).stderr).to.contain('--to')
  })

  it('deletes one entry, and says when there is none', async () => {
    expect(await run('--delete', 'ids', ...key)).to.deep.include({ code: 0, stdout: 'ids deleted\n' })
    expect(await run('--delete', 'ids', ...key)).to.deep.include({ code: 3, stdout: '' })
    expect((await run('--delete', 'late', ...key, '--json')).stdout).to.equal('{"deleted":"late"}\n')
  })

  it('sets a status', async () => {
    expect((await run('--set-status', 'failed', '--query-hash', 'late', ...key)).stdout).to.equal('late: failed\n')
    expect(await withCache(cache => cache.getStatus('late'))).to.equal('failed')
    expect((await run('--set-status', 'lost', '--query-hash', 'late', ...key)).code).to.equal(2)
    expect((await run('--set-status', 'ok', ...key)).stderr).to.contain('--query-hash')
  })

  it('prunes by age and by table', async () => {
    expect((await run('--prune', '--days', '30')).stdout).to.equal('1 entry removed\n')
    expect((await run('--prune', '--table', 'users', ...key, '--json')).stdout).to.equal('{"removed":2}\n')
    expect((await run('--prune', '--older-than', '1h')).stdout).to.equal('0 entries removed\n')
    expect((await run('--prune')).code).to.equal(2)
    expect((await run('--prune', '--days', '1', '--older-than', '1d')).code).to.equal(2)
  })
})
