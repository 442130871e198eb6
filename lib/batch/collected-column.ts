import type { ColumnType } from './column-type.js'
import { ownValue } from './own-value.js'
import { smallIntegers } from './small-integers.js'
import { TextNumbers } from './text-numbers.js'
import type { Vector } from './vector.js'

// where a position's value is
const [ABSENT, NULL, NUMBER, DATE, CODE, OTHER] = [0, 1, 2, 3, 4, 5]

// kinds of values that came, as bits
const [INTEGERS, DOUBLES, NANS, DATES, TEXTS, MORE] = [1, 2, 4, 8, 16, 32]

/** After so many distinct texts, more of them than every second text give up numbering. */
const MIN_DISTINCT = 2048
/** Codes have 16 bits. */
const MAX_DISTINCT = 65_536

function kindOfNumber(value: number): number {
  return (value | 0) === value && value !== 0 || Number.isSafeInteger(value) && !Object.is(value, -0) ? INTEGERS : Number.isNaN(value) ? NANS : DOUBLES
}

/** Milliseconds as microseconds. */
function microsOf(times: Float64Array): BigInt64Array {
  const micros = new BigInt64Array(times.length)
  for (let i = 0; i < times.length; i++) micros[i] = BigInt(times[i]!) * 1000n
  return micros
}

/**
 * One column's values as they arrive, in any order, each copied at once: numbers into typed arrays, texts numbered while they
 * repeat, objects as their JSON text. What a fetcher does with its objects afterwards does not matter, and nothing of them is
 * kept alive.
 */
export class CollectedColumn {
  readonly length: number
  readonly #states: Uint8Array
  #filled = 0
  #kinds = 0
  /** Numbers, and the milliseconds of dates. */
  #numbers: Float64Array | undefined
  #codes: Uint16Array | undefined
  /** Numbered texts; undefined once they are not numbered any more. */
  #textNumbers: TextNumbers | undefined
  #texts = 0
  #others: unknown[] | undefined

  /** The column of these values, undefined where absent. */
  static of(values: ArrayLike<unknown>): CollectedColumn {
    const column = new CollectedColumn(values.length)
    column.setAll(values, values.length, 0)
    return column
  }

  /**
   * @param distinct the column's texts are known to repeat too seldom to be numbered
   * @param numbers what texts had a number before
   */
  constructor(length: number, { distinct = false, numbers }: { distinct?: boolean, numbers?: TextNumbers } = {}) {
    this.length = length
    this.#states = new Uint8Array(length)
    this.#textNumbers = distinct ? undefined : numbers ?? new TextNumbers()
  }

  /** Whether texts came that repeat too seldom to be numbered. */
  get isDistinct(): boolean {
    return this.#texts >= MIN_DISTINCT && this.#textNumbers === undefined
  }

  /** Take a value; undefined leaves the position absent. */
  set(position: number, value: unknown): void {
    if (value === undefined) return
    if (this.#states[position] === ABSENT) this.#filled++
    switch (typeof value) {
      case 'number':
        this.#kinds |= kindOfNumber(value)
        this.#setNumber(position, NUMBER, value)
        return
      case 'string':
        this.#setText(position, value)
        return
      case 'object':
        if (value === null) this.#states[position] = NULL
        else if (value instanceof Date) {
          const time = value.getTime()
          this.#kinds |= Number.isNaN(time) ? MORE : DATES
          this.#setNumber(position, DATE, time)
        } else this.#setOther(position, ownValue(value))
        return
      default: this.#setOther(position, value)
    }
  }

  /**
   * Take the first `count` values; undefined leaves its position absent.
   *
   * @param at the position of the first one, or of each
   */
  setAll(values: ArrayLike<unknown>, count: number, at: number | Uint32Array): void {
    for (let i = 0; i < count;) {
      const value = values[i]
      // a column's values are mostly of one kind
      if (value === undefined) i++
      else if (typeof value === 'number') i = this.#setNumbers(values, i, count, at)
      else if (typeof value === 'string') i = this.#setTexts(values, i, count, at)
      else this.set(typeof at === 'number' ? at + i : at[i]!, values[i++])
    }
  }

  /** Numbers and nulls, up to the first value that is neither. */
  #setNumbers(values: ArrayLike<unknown>, from: number, count: number, at: number | Uint32Array): number {
    const numbers = this.#numbers ??= new Float64Array(this.length)
    const states = this.#states
    let [kinds, filled, i] = [0, 0, from]
    for (; i < count; i++) {
      const value = values[i]
      if (typeof value !== 'number' && value !== null) break
      const position = typeof at === 'number' ? at + i : at[i]!
      if (states[position] === ABSENT) filled++
      if (value === null) {
        states[position] = NULL
        continue
      }
      kinds |= kindOfNumber(value)
      numbers[position] = value
      states[position] = NUMBER
    }
    this.#kinds |= kinds
    this.#filled += filled
    return i
  }

  /** Texts and nulls, up to the first value that is neither, or the one that ends the numbering. */
  #setTexts(values: ArrayLike<unknown>, from: number, count: number, at: number | Uint32Array): number {
    const numbered = this.#textNumbers !== undefined
    const states = this.#states
    let i = from
    for (; i < count && numbered === (this.#textNumbers !== undefined); i++) {
      const value = values[i]
      if (typeof value !== 'string' && value !== null) break
      const position = typeof at === 'number' ? at + i : at[i]!
      if (states[position] === ABSENT) this.#filled++
      if (value === null) states[position] = NULL
      else if (numbered) this.#setText(position, value)
      else this.#spell(position, value)
    }
    return i
  }

  /** The positions nothing came for. */
  absent(): number[] {
    const positions: number[] = []
    if (this.#filled < this.length) this.#states.forEach((state, position) => { if (state === ABSENT) positions.push(position) })
    return positions
  }

  /** A value as it came, an `EncodedJson` for an object; undefined where absent. */
  valueAt(position: number): unknown {
    switch (this.#states[position]) {
      case NULL: return null
      case NUMBER: return this.#numbers![position]
      case DATE: return new Date(this.#numbers![position]!)
      case CODE: return this.#textNumbers!.textAt(this.#codes![position]!)
      case OTHER: return this.#others![position]
      default: return undefined
    }
  }

  /** All values as `valueAt` gives them. */
  values(): unknown[] {
    return Array.from({ length: this.length }, (_, position) => this.valueAt(position))
  }

  /** The values at these positions, in that order. */
  pick(positions: Uint32Array): CollectedColumn {
    const picked = new CollectedColumn(positions.length, { distinct: this.#textNumbers === undefined })
    positions.forEach((position, i) => picked.set(i, this.valueAt(position)))
    return picked
  }

  /**
   * The column as a vector without looking at its values again, where all are numbers, dates, or well-formed texts; else
   * undefined. Absent positions count as null. Numbers: int64 while all are safe integers, else float64.
   *
   * @param allowNaN else a NaN is for `vectorOf` to judge
   * @param type the declared one; undefined where none is
   */
  vector({ allowNaN, type }: { allowNaN: boolean, type?: ColumnType | undefined }): Vector | undefined {
    // one that is not well-formed may have come with another batch: each value is looked at then
    const kinds = this.#kinds | (this.#codes && this.#textNumbers?.isWellFormed === false ? MORE : 0)
    if (type === 'int32') return kinds === INTEGERS ? this.#int32Vector() : undefined
    const isNumeric = kinds !== 0 && (kinds & ~(INTEGERS | DOUBLES | (allowNaN ? NANS : 0))) === 0
    const found = isNumeric ? (type === 'float64' || kinds !== INTEGERS ? 'float64' : 'int64') : kinds === DATES ? 'timestamptz' : kinds === TEXTS ? 'text' : undefined
    if (type !== undefined && type !== found) return undefined
    switch (found) {
      case 'int64': case 'float64': return this.#fixed(found, this.#numbers!)
      case 'timestamptz': return this.#fixed(found, microsOf(this.#numbers!))
      case 'text': return this.#textVector()
      case undefined: return undefined
    }
  }

  #fixed(type: ColumnType, values: Float64Array | BigInt64Array): Vector {
    return { form: 'fixed', type, length: this.length, values, valid: this.#valid() }
  }

  /** Undefined where some number has more than 32 bits. */
  #int32Vector(): Vector | undefined {
    const values = smallIntegers(this.#numbers!)
    return values && { form: 'fixed', type: 'int32', length: this.length, values, valid: this.#valid() }
  }

  #textVector(): Vector {
    const { length } = this
    const numbered = this.#textNumbers
    if (this.#codes && numbered && numbered.size * 2 <= this.#texts) {
      return { form: 'dictionary', type: 'text', length, codes: this.#codes, dictionary: numbered.dictionary, valid: this.#valid() }
    }
    this.#spellOut()
    const values = this.#others!
    this.#nullOthers(values)
    return { form: 'values', type: 'text', length, values }
  }

  #nullOthers(values: unknown[]): void {
    for (let i = 0; i < values.length; i++) if (this.#states[i] !== OTHER) values[i] = null
  }

  /** One byte per row, 0 where null or absent; undefined when nothing is. */
  #valid(): Uint8Array | undefined {
    if (this.#filled === this.length && !this.#states.includes(NULL)) return undefined
    const valid = new Uint8Array(this.length)
    for (let i = 0; i < valid.length; i++) valid[i] = this.#states[i]! > NULL ? 1 : 0
    return valid
  }

  #setNumber(position: number, state: number, value: number): void {
    this.#numbers ??= new Float64Array(this.length)
    this.#numbers[position] = value
    this.#states[position] = state
  }

  #setOther(position: number, value: unknown): void {
    this.#kinds |= MORE
    this.#others ??= new Array<unknown>(this.length)
    this.#others[position] = value
    this.#states[position] = OTHER
  }

  #setText(position: number, text: string): void {
    this.#texts++
    const numbered = this.#textNumbers
    if (numbered) {
      let code = numbered.get(text)
      if (code === undefined) {
        const { size } = numbered
        if (size === MAX_DISTINCT || (size >= MIN_DISTINCT && size * 2 > this.#texts)) {
          this.#spellOut()
          this.#setText(position, text)
          return
        }
        code = numbered.add(text)
      }
      this.#kinds |= TEXTS
      this.#codes ??= new Uint16Array(this.length)
      this.#codes[position] = code
      this.#states[position] = CODE
      return
    }
    this.#spell(position, text)
  }

  /** Keep a text that is not numbered. */
  #spell(position: number, text: string): void {
    this.#kinds |= text.isWellFormed() ? TEXTS : MORE
    this.#others ??= new Array<unknown>(this.length)
    this.#others[position] = text
    this.#states[position] = OTHER
  }

  /** Stop numbering texts. */
  #spellOut(): void {
    const numbered = this.#textNumbers
    this.#textNumbers = undefined
    for (let i = 0; i < this.length; i++) if (this.#states[i] === CODE) this.#spell(i, numbered!.textAt(this.#codes![i]!))
  }
}
