import { jsonText } from './json-text.js'

/**
 * An object a fetcher delivered, as its JSON text: what it was when it came, whatever happens to it afterwards. Whether the
 * value has a JSON form matters only once its column turns out to hold JSON.
 */
export class JsonDocument {
  readonly #text: string | undefined
  readonly #trouble: unknown

  constructor(value: object) {
    try {
      this.#text = jsonText(value)
    } catch (error) {
      this.#trouble = error
    }
  }

  /**
   * The JSON text.
   *
   * @throws {TypeError} the value has no JSON form
   */
  get text(): string {
    if (this.#text === undefined) throw this.#trouble
    return this.#text
  }
}
