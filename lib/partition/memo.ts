/** Remembers what was computed for a text, the least recently used forgotten first; apart for every catalogue. */
export class Memo<T> {
  readonly #plain = new Map<string, T>()
  readonly #byCatalogue = new WeakMap<object, Map<string, T>>()

  constructor(readonly limit: number) {}

  get(key: string, catalogue: object | undefined, compute: () => T): T {
    const values = this.#valuesOf(catalogue)
    const known = values.get(key)
    if (known !== undefined) {
      values.delete(key)
      values.set(key, known)
      return known
    }
    const value = compute()
    values.set(key, value)
    const [oldest] = values.keys()
    if (values.size > this.limit) values.delete(oldest!)
    return value
  }

  #valuesOf(catalogue: object | undefined): Map<string, T> {
    if (!catalogue) return this.#plain
    const known = this.#byCatalogue.get(catalogue)
    if (known) return known
    const values = new Map<string, T>()
    this.#byCatalogue.set(catalogue, values)
    return values
  }
}

/** A text that two calls share when they ask the same: types of parameters count. */
export function optionsKey(sql: string, options: object): string {
  return `${sql}\u0000${JSON.stringify(options, (key, value: unknown) => typeof value === 'bigint' ? { bigint: String(value) }
    : typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value === undefined && key !== '' && /^\d+$/.test(key) ? { unbound: true } : value)}`
}
