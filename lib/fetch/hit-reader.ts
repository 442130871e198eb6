import type { Piece } from '../batch/combine.js'
import type { Window } from '../batch/window.js'
import { UnusablePartError, type Cover, type Snapshot } from '../store/snapshot.js'
import { warningOf, type TableStore } from '../store/table-store.js'
import { coverSafely, passOver } from './row-plan.js'

/** Which ids of a window are cached, and their values; no cover where the cache could not be read. */
export interface Hits {
  cover: Cover | undefined
  pieces: ReadonlyMap<string, readonly Piece[]>
}

/**
 * Reads the hits of windows. One may be begun while the window before it is still on its way: the file is read while that one is
 * decoded. Trouble is met in the order of the windows all the same.
 */
export class HitReader {
  readonly #snapshot: Snapshot
  readonly #store: TableStore
  readonly #columns: readonly string[]
  /** Undefined where something went wrong. */
  readonly #begun = new Map<Window, Promise<{ hits: Hits, parts: number } | undefined>>()

  constructor(snapshot: Snapshot, store: TableStore, columns: readonly string[]) {
    this.#snapshot = snapshot
    this.#store = store
    this.#columns = columns
  }

  /** Bytes read from the store so far. */
  get bytesRead(): number {
    return this.#snapshot.bytesRead
  }

  /** Start reading a window. What goes wrong is left to `read`. */
  begin(window: Window): void {
    this.#begun.set(window, this.#attempt(window).catch(() => undefined))
  }

  /**
   * A window's hits. Parts that turn out damaged are dropped, and the window is looked at again.
   *
   * @throws what trouble with the cache is in a strict run
   */
  async read(window: Window): Promise<Hits> {
    const begun = await this.#begun.get(window)
    this.#begun.delete(window)
    // a part that was left out meanwhile was in the cover
    return begun?.parts === this.#snapshot.partCount ? begun.hits : await this.#readSafely(window)
  }

  /** Resolves when nothing is being read. */
  async settled(): Promise<void> {
    await Promise.all(this.#begun.values())
  }

  async #attempt({ ids }: Window): Promise<{ hits: Hits, parts: number }> {
    const parts = this.#snapshot.partCount
    const cover = await this.#snapshot.cover(ids, this.#columns)
    return { hits: { cover, pieces: await this.#snapshot.read(cover) }, parts }
  }

  async #readSafely({ ids, run }: Window): Promise<Hits> {
    for (;;) {
      const cover = await coverSafely(this.#snapshot, this.#store, ids, this.#columns, run)
      if (!cover) return { cover, pieces: new Map() }
      try {
        return { cover, pieces: await this.#snapshot.read(cover) }
      } catch (error) {
        if (error instanceof UnusablePartError) {
          await passOver(error, this.#snapshot, this.#store, run)
          continue
        }
        run.trouble(warningOf('CACHE_READ_FAILED', error), error)
        return { cover: undefined, pieces: new Map() }
      }
    }
  }
}
