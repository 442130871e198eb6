import type { TableStore } from '../store/table-store.js'

/** Uses are written at least this often while there are any, in ms. */
const FLUSH_MS = 60_000

/** Counts how often cached queries were used, and writes it down now and then: a commit for every use would cost more than the use. */
export class UseCounter {
  readonly #uses = new Map<TableStore, { hits: number, atMs: number }>()
  #sinceMs = Date.now()

  /** Count a use. */
  async add(store: TableStore): Promise<void> {
    this.#uses.set(store, { hits: (this.#uses.get(store)?.hits ?? 0) + 1, atMs: Date.now() })
    if (Date.now() - this.#sinceMs >= FLUSH_MS) await this.flush()
  }

  /** Write what was counted. Never throws: a cache that cannot be written still serves hits. */
  async flush(): Promise<void> {
    const uses = [...this.#uses]
    this.#uses.clear()
    this.#sinceMs = Date.now()
    for (const [store, used] of uses) await store.commit({ query: { used } }).catch(() => undefined)
  }
}
