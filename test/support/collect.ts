import { readdirSync } from 'node:fs'
import { pipeline as join, Readable, Writable, type Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Send items through stages by `pipeline()` and return what comes out. */
export async function collect<T>(source: Iterable<unknown> | AsyncIterable<unknown>, ...stages: Duplex[]): Promise<T[]> {
  const items: T[] = []
  await pipeline([Readable.from(source), ...stages, gather(items)])
  return items
}

/** Ids and stages joined by `pipeline()`; the last stage is to be read, and reports what went wrong. */
export function joined<T extends Duplex>(source: Readable, ...stages: readonly T[]): T {
  return join([source, ...stages], () => undefined) as unknown as T
}

/** A sink that keeps everything. */
export function gather<T>(items: T[]): Writable {
  return new Writable({ objectMode: true, highWaterMark: 1, write(item: T, _encoding, done) {
    items.push(item)
    done()
  } })
}

/** What a promise rejects with; fails the test when it does not. */
export async function rejection<E extends Error = Error & Record<string, unknown>>(promise: PromiseLike<unknown>): Promise<E> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    return error as E
  }
  throw new Error(`expected a rejection, got ${String(value)}`)
}

/** What a function throws; fails the test when it does not. */
export function thrown<E extends Error = Error & Record<string, unknown>>(run: () => unknown): E {
  try {
    run()
  } catch (error) {
    return error as E
  }
  throw new Error('expected an exception')
}

/** A promise that somebody else settles. */
export interface Gate<T = void> {
  readonly passed: Promise<T>
  open(value: T): void
  fail(error: unknown): void
}

export function gate<T = void>(): Gate<T> {
  let [open, fail]: [(value: T) => void, (error: unknown) => void] = [() => undefined, () => undefined]
  const passed = new Promise<T>((resolve, reject) => { [open, fail] = [resolve, reject] })
  passed.catch(() => undefined)
  return { passed, open, fail }
}

/** Let the event loop turn: everything that can go on without us does. Never proof that something has ended. */
export async function turns(count = 50): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(resolve => setImmediate(resolve))
}

/** Turn the event loop until a number stops changing; for upper bounds only. */
export async function settledCount(count: () => number, quietTurns = 200): Promise<number> {
  let last = count()
  for (let quiet = 0; quiet < quietTurns; quiet++) {
    await turns(1)
    if (count() !== last) [last, quiet] = [count(), 0]
  }
  return last
}

/** Turn the event loop until a condition holds. Fails the test by its time limit when it never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turns(1)
}

/** Open file descriptors of this process (Linux). */
export function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

/** Unhandled rejections while the suite runs; fails the test that left one. */
export function refuseUnhandledRejections(): void {
  const seen: unknown[] = []
  const note = (reason: unknown): void => { seen.push(reason) }
  let others: NodeJS.UnhandledRejectionListener[] = []
  beforeEach(() => {
    seen.length = 0
    others = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', note)
  })
  afterEach(async () => {
    await turns(5)
    process.removeListener('unhandledRejection', note)
    for (const other of others) process.on('unhandledRejection', other)
    if (seen.length > 0) throw new Error(`unhandled rejection: ${String(seen[0])}`, { cause: seen[0] })
  })
}
