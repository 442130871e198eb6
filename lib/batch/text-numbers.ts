import type { ValuesVector } from './vector.js'

/** More texts, or more UTF-16 units of texts, than this are not kept for another batch. */
const MAX_SHARED_TEXTS = 2048
const MAX_SHARED_UNITS = 1 << 18

/** Texts by number, in the order they came. What has a number keeps it: one after the other, batches may share them. */
export class TextNumbers {
  /** The texts as the dictionary of a vector; it grows. */
  readonly dictionary: ValuesVector
  /** No lone surrogate was in any of them. */
  isWellFormed = true
  readonly #numbers = new Map<string, number>()
  readonly #texts: string[] = []
  #units = 0

  constructor() {
    const texts = this.#texts
    this.dictionary = { form: 'values', type: 'text', values: texts, get length() { return texts.length } }
  }

  get size(): number {
    return this.#texts.length
  }

  /** Few and short enough to be kept for the batches to come. */
  get isShareable(): boolean {
    return this.isWellFormed && this.size <= MAX_SHARED_TEXTS && this.#units <= MAX_SHARED_UNITS
  }

  get(text: string): number | undefined {
    return this.#numbers.get(text)
  }

  /** Number a text that has none; returns its number. */
  add(text: string): number {
    const number = this.#texts.length
    this.#numbers.set(text, number)
    this.#texts.push(text)
    this.#units += text.length
    if (!text.isWellFormed()) this.isWellFormed = false
    return number
  }

  textAt(number: number): string {
    return this.#texts[number]!
  }
}
