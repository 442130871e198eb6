import { CacheCorruptionError, messageOf } from '../errors.js'

/** The error for bytes that are not what was written. */
export function corrupt(file: string, reason: string): CacheCorruptionError {
  return new CacheCorruptionError({ file, reason })
}

/** Run a parser: whatever it throws becomes a {@link CacheCorruptionError} that says `what` is wrong with `file`. */
export function wrapCorruption<T>(file: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof CacheCorruptionError) throw cause
    throw new CacheCorruptionError({ file, reason: `${what}: ${messageOf(cause)}`, cause })
  }
}
