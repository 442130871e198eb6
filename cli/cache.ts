import { CacheStore } from '../lib/store/cache.js'
import { Cache } from '../lib/store/open-cache.js'
import type { CacheOptions } from './options.js'
import type { Session } from './session.js'

/** Work with the cache the options name, and close it whatever happens. Creates no folder. */
export async function withCache<T>(options: CacheOptions, session: Session, work: (cache: Cache) => Promise<T>): Promise<T> {
  const cache = new Cache(new CacheStore({ dir: options.cacheDir ?? session.env.cacheDir }))
  try {
    return await work(cache)
  } finally {
    await cache.close()
  }
}

/** As `withCache`, for work that cannot be told to stop (or waits for stdin): a signal ends the wait, and what was committed stays. */
export async function withCacheUntilSignal<T>(options: CacheOptions, session: Session, work: (cache: Cache) => Promise<T>): Promise<T> {
  const { signal } = session
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
  stopped.catch(() => undefined)
  return await withCache(options, session, cache => Promise.race([work(cache), stopped]))
}
