import { GeneratedFunctions } from '../batch/generated.js'
import { readProperty } from '../batch/read-property.js'
import { stepInto } from '../json/extract.js'
import { valueIn, type RowSlot } from './row-slots.js'

/** Replaces the first `count` documents by one property of each, null where they have none; `other` answers for what is no plain object. */
type KeyReader = (documents: unknown[], count: number, other: (document: unknown) => unknown) => void

const keysOfDocuments = new GeneratedFunctions<string, KeyReader>({
  code: key => ({ parameters: ['documents', 'count', 'other'],
    body: `const plain=Object.prototype;for(let i=0;i<count;i++){const d=documents[i];documents[i]=typeof d==='object'&&d!==null&&` +
      `Object.getPrototypeOf(d)===plain?d[${JSON.stringify(key)}]??null:other(d)}` }),
  plain: () => (documents, count, other) => {
    for (let i = 0; i < count; i++) documents[i] = other(documents[i])
  }
})

/**
 * A slot's values in many rows, each as `valueIn` gives it: the rows are gone through once for each property instead of once for all.
 *
 * @returns false where one object stands in two rows that follow one another: it may be filled anew whenever it is asked for, and must be
 * copied before it is asked for again
 */
export function readColumn(rows: readonly object[], slot: RowSlot, into: unknown[]): boolean {
  const { property, path, isDocument } = slot
  if (property?.isInherited === true || path?.base.isInherited === true) {
    readEach(rows, slot, into)
    return !repeatsObject(into, rows.length)
  }
  if (property) {
    readProperty(rows, property.name, into)
    if (repeatsObject(into, rows.length)) return false
    if (!path) {
      // documents are taken apart by their paths
      if (isDocument) for (let i = 0; i < rows.length; i++) if (typeof into[i] === 'object' && into[i] !== null) into[i] = undefined
      return true
    }
    const ready = countDefined(into, rows.length)
    if (ready === rows.length) return true
    if (ready > 0) {
      readEach(rows, slot, into)
      return !repeatsObject(into, rows.length)
    }
  }
  return path === undefined || readPath(rows, path, into)
}

function repeatsObject(values: readonly unknown[], count: number): boolean {
  for (let i = 1; i < count; i++) {
    const value = values[i]
    if (value === values[i - 1] && typeof value === 'object' && value !== null) return true
  }
  return false
}

function readEach(rows: readonly object[], slot: RowSlot, into: unknown[]): void {
  for (let i = 0; i < rows.length; i++) into[i] = valueIn(rows[i]!, slot)
}

function readPath(rows: readonly object[], { base, keys }: NonNullable<RowSlot['path']>, into: unknown[]): boolean {
  readProperty(rows, base.name, into)
  if (repeatsObject(into, rows.length)) return false
  keys.forEach((key, depth) => {
    const other = depth === 0
      ? (document: unknown): unknown => typeof document === 'object' && document !== null ? stepInto(document, key) ?? null : undefined
      : (value: unknown): unknown => value === undefined ? undefined : stepInto(value, key) ?? null
    // what an object inherits is not in the document
    if (key in Object.prototype) for (let i = 0; i < rows.length; i++) into[i] = other(into[i])
    else keysOfDocuments.for(key)(into, rows.length, other)
  })
  return !repeatsObject(into, rows.length)
}

function countDefined(values: readonly unknown[], count: number): number {
  let defined = 0
  for (let i = 0; i < count; i++) if (values[i] !== undefined) defined++
  return defined
}
