import { writeFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { expect } from 'chai'
import { rocksdbBitBackend } from '../../../../lib/partition/backends/rocksdb-bit.js'
import { rocksdbSetBackend } from '../../../../lib/partition/backends/rocksdb-set.js'
import { rocksdictBackend } from '../../../../lib/partition/backends/rocksdict.js'
import type { LevelOptions } from '../../../../lib/partition/backends/level-open.js'
import type { PartitionBackend } from '../../../../lib/partition/backend.js'
import { databaseFolder } from '../../../support/kv.js'
import { partitionBackendSuite, type BackendStore } from './backend-suite.js'

type Open = (options: LevelOptions) => Promise<PartitionBackend>
const BACKENDS: Record<string, Open> = { rocksdb_set: rocksdbSetBackend, rocksdb_bit: rocksdbBitBackend, rocksdict: rocksdictBackend }
const ENGINES = ['rocksdb', 'leveldb'] as const
// a platform for which RocksDB has no binary runs the rest
const hasRocks = await rocksdictBackend({ ...databaseFolder(), engine: 'rocksdb' }).then(async backend => { await backend.close(); return true }, () => false)

async function store(open: Open, engine: 'rocksdb' | 'leveldb'): Promise<BackendStore> {
  const { path, remove } = databaseFolder()
  return { open: () => open({ path, engine }), end: async () => { remove() } }
}

for (const engine of ENGINES.filter(one => one === 'leveldb' || hasRocks)) {
  for (const [name, open] of Object.entries(BACKENDS)) partitionBackendSuite(`${name} over ${engine}`, () => store(open, engine), ['persist'])

  describe(`the folder of ${engine}`, () => {
    const errorOf = async (promise: Promise<unknown>): Promise<unknown> => promise.then(() => undefined, (error: unknown) => error)

    it('belongs to one process: another one gets a typed error', async () => {
      const { path, remove } = databaseFolder()
      const backend = await rocksdictBackend({ path, engine })
      const script = `const { rocksdictBackend } = await import(${JSON.stringify(new URL('../../../../lib/partition/backends/rocksdict.ts', import.meta.url).href)})
        await rocksdictBackend({ path: process.argv[1] }).then(() => console.log('opened'), error => console.log(error.code))`
      const other = spawnSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', script, path], { encoding: 'utf8' })
      expect(other.stdout.trim(), other.stderr).to.equal('ERR_CACHE_UNUSABLE')
      await backend.close()
      remove()
    })

    it('is opened by the engine that wrote it, and refused to the other', async () => {
      const { path, remove } = databaseFolder()
      await (await rocksdictBackend({ path, engine })).close()
      expect(await errorOf(rocksdictBackend({ path, engine: engine === 'rocksdb' ? 'leveldb' : 'rocksdb' }))).to.include({ code: 'ERR_CACHE_UNUSABLE' })
      await (await rocksdictBackend({ path })).close()
      remove()
    })

    it('that is a file is refused by name', async () => {
      const { path, remove } = databaseFolder()
      const file = path.replace(/.nested.db$/, '/file')
      writeFileSync(file, '')
      expect(await errorOf(rocksdictBackend({ path: file, engine }))).to.include({ code: 'ERR_CACHE_UNUSABLE' })
      remove()
    })
  })
}
