import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CacheStore, type CacheOptions } from '../../lib/store/cache.js'

/** An open cache, as requests take it. */
export interface TestCache {
  readonly store: CacheStore
}

/** A fresh folder for each test of the suite that calls this; gone after the test. */
export function freshFolder(): () => string {
  let folder = ''
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'millrace-test-')) })
  afterEach(() => { rmSync(folder, { recursive: true, force: true }) })
  return () => folder
}

/** A fresh cache for each test of the suite that calls this; closed and gone after the test. */
export function freshCache(options: Omit<CacheOptions, 'dir'> = {}): () => TestCache {
  const folder = freshFolder()
  let cache: TestCache | undefined
  beforeEach(() => { cache = { store: new CacheStore({ durability: 'none', ...options, dir: folder() }) } })
  afterEach(async () => { await cache?.store.close() })
  return () => cache!
}

/** Another view of the same folder, as another program would open it: nothing is remembered. Its owner closes it. */
export async function withReopened<T>({ store: { dir, settings } }: TestCache, use: (cache: TestCache) => Promise<T>): Promise<T> {
  const store = new CacheStore({ durability: 'none', dir, partBytes: settings.partBytes })
  try {
    return await use({ store })
  } finally {
    await store.close()
  }
}

/** Names of all files below a folder that end like this. */
export function filesBelow(folder: string, ending = ''): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith(ending)).sort()
}
