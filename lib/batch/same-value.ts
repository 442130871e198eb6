/**
 * Whether two values of rows are the same: null and undefined are, dates and bytes compare by content, objects by their properties in
 * any order. No recursion, so any depth will do; objects that contain themselves only compare as one object.
 */
export function sameValue(left: unknown, right: unknown): boolean {
  const pending: [unknown, unknown][] = [[left, right]]
  for (let pair = pending.pop(); pair; pair = pending.pop()) {
    const [a, b] = pair
    if (Object.is(a, b) || (a ?? null) === (b ?? null)) continue
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
      if (sameInteger(a, b)) continue
      return false
    }
    if (a instanceof Date || b instanceof Date) {
      if (!(a instanceof Date && b instanceof Date && a.getTime() === b.getTime())) return false
    } else if (a instanceof Uint8Array || b instanceof Uint8Array) {
      if (!(a instanceof Uint8Array && b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i]))) return false
    } else if (Array.isArray(a) || Array.isArray(b)) {
      if (!(Array.isArray(a) && Array.isArray(b) && a.length === b.length)) return false
      for (let i = 0; i < a.length; i++) pending.push([a[i], b[i]])
    } else if (!pushProperties(a as Record<string, unknown>, b as Record<string, unknown>, pending)) return false
  }
  return true
}

/** A safe bigint is the number it is. */
function sameInteger(a: unknown, b: unknown): boolean {
  return typeof a === 'bigint' && typeof b === 'number' ? BigInt.asIntN(54, a) === a && Number(a) === b
    : typeof a === 'number' && typeof b === 'bigint' && sameInteger(b, a)
}

/** Ask for each property both have; false when one has a property the other lacks. */
function pushProperties(a: Record<string, unknown>, b: Record<string, unknown>, pending: [unknown, unknown][]): boolean {
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length || Object.prototype.toString.call(a) !== '[object Object]') return false
  for (const key of keys) {
    if (!Object.hasOwn(b, key)) return false
    pending.push([a[key], b[key]])
  }
  return true
}
