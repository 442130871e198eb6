import { GeneratedFunctions } from './generated.js'

/** Puts one property of each of the first `count` objects into `into`. */
type PropertyReader = (objects: readonly unknown[], count: number, into: unknown[]) => void

const readers = new GeneratedFunctions<string, PropertyReader>({
  code: name => ({ parameters: ['objects', 'count', 'into'], body: `for(let i=0;i<count;i++)into[i]=objects[i][${JSON.stringify(name)}]` }),
  plain: name => (objects, count, into) => {
    for (let i = 0; i < count; i++) into[i] = (objects[i] as Record<string, unknown>)[name]
  }
})

/** Read a property of many objects, inherited or not: a name that every object inherits has no place here. */
export function readProperty(objects: readonly unknown[], name: string, into: unknown[]): void {
  readers.for(name)(objects, objects.length, into)
}

/** Names that objects inherit: taken from a row only as its own properties. */
const INHERITED = new Set(Object.getOwnPropertyNames(Object.prototype))

/** Whether every object has something of this name. */
export function isInherited(name: string): boolean {
  return INHERITED.has(name)
}

/** Plain objects, all of them: what has a class may have getters, and inherit what looks like a column. */
export function arePlain(items: readonly unknown[]): items is readonly object[] {
  for (let i = 0; i < items.length; i++) {
    const item = items[i]
    if (typeof item !== 'object' || item === null) return false
    const prototype: unknown = Object.getPrototypeOf(item)
    if (prototype !== Object.prototype && prototype !== null) return false
  }
  return true
}
