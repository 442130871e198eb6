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

/** A parameter as JSON, by what it is: no other value has the same, a text of a time or an object that looks like a tag least of all. */
function tagged(value: unknown): unknown {
  if (Array.isArray(value)) return Array.from(value, tagged)
  if (value instanceof Date) return { date: value.getTime() }
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return { [typeof value]: String(value) }
  // of objects and functions nothing but their type is ever read
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : { type: typeof value }
}

/** A text that two calls share when they ask the same: types of parameters count. */
export function optionsKey(sql: string, params: readonly unknown[] | undefined, options: object): string {
  return `${sql}\u0000${JSON.stringify([options, params?.map(tagged)], (_, value: unknown) => typeof value === 'number' && !Number.isFinite(value) ? String(value) : value)}`
}
