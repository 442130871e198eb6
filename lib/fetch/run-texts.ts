import { CollectedColumn } from '../batch/collected-column.js'
import { TextNumbers } from '../batch/text-numbers.js'

/** Smaller batches number their texts themselves: the shared ones would be too many for them. */
const MIN_SHARING_ROWS = 8192

/** What the batches of a run learn of its columns' texts: which hardly repeat, and the numbers of those that do. */
export class RunTexts {
  readonly #distinct = new Set<string>()
  readonly #numbers = new Map<string, TextNumbers>()

  /** An empty column for `length` values of the next batch. */
  column(key: string, length: number): CollectedColumn {
    if (this.#distinct.has(key)) return new CollectedColumn(length, { distinct: true })
    if (length < MIN_SHARING_ROWS) return new CollectedColumn(length)
    const known = this.#numbers.get(key)
    const numbers = known?.isShareable === true ? known : new TextNumbers()
    this.#numbers.set(key, numbers)
    return new CollectedColumn(length, { numbers })
  }

  /** A batch's column is complete. */
  learn(key: string, column: CollectedColumn): void {
    if (!column.isDistinct) return
    this.#distinct.add(key)
    this.#numbers.delete(key)
  }
}
