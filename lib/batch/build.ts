import type { ColumnType } from './column-type.js'
import type { FixedArray, Vector } from './vector.js'

function newFixedArray(type: ColumnType, values: readonly unknown[]): FixedArray | undefined {
  const length = values.length
  switch (type) {
    case 'bool': return new Uint8Array(length)
    case 'int32': case 'date': return new Int32Array(length)
    case 'float32': return new Float32Array(length)
    case 'float64': return new Float64Array(length)
    case 'time': case 'timestamp': case 'timestamptz': return new BigInt64Array(length)
    case 'int64': return values.some(value => typeof value === 'bigint' && BigInt(Number(value)) !== value)
      ? new BigInt64Array(length) : allSafe(values) ? new Float64Array(length) : new BigInt64Array(length)
    default: return undefined
  }
}

function allSafe(values: readonly unknown[]): boolean {
  for (const value of values) {
    if (typeof value === 'bigint' && (value > 9007199254740991n || value < -9007199254740991n)) return false
  }
  return true
}

/**
 * Storage values (see `vector.ts`; null or undefined where null) → a vector. The values are trusted to fit the type.
 */
export function buildVector(type: ColumnType, values: readonly unknown[]): Vector {
  const length = values.length
  const fixed = newFixedArray(type, values)
  if (!fixed) {
    const needsCopy = values.includes(undefined)
    return { form: 'values', type, length, values: needsCopy ? values.map(value => value ?? null) : values }
  }
  let valid: Uint8Array | undefined
  const toBigInt = fixed instanceof BigInt64Array
  const toNumber = fixed instanceof Float64Array
  for (let i = 0; i < length; i++) {
    const value = values[i]
    if (value === null || value === undefined) {
      valid ??= new Uint8Array(length).fill(1)
      valid[i] = 0
    } else if (toBigInt) fixed[i] = typeof value === 'bigint' ? value : BigInt(value as number)
    else fixed[i] = toNumber ? Number(value) : value as number
  }
  return { form: 'fixed', type, length, values: fixed, valid }
}
