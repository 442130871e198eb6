import { Buffer, isAscii } from 'node:buffer'
import type { BytesVector } from './vector.js'

/** Below this many bytes per value of overhead, the values lie close enough to decode their whole span at once. */
const MAX_GAP_PER_VALUE = 8

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * The strings of a `bytes` vector of UTF-8 text, null where null.
 *
 * Values that lie densely in ascending order (a decoded page) cost one decode of their whole span and a substring each;
 * scattered ones are decoded one by one, so that a few strings never keep a page's text alive.
 */
export function decodeTexts({ bytes, starts, ends, valid, length }: BytesVector): (string | null)[] {
  const texts = new Array<string | null>(length)
  const buffer = viewOf(bytes)
  let first = 0
  while (first < length && valid?.[first] === 0) first++
  let last = length - 1
  while (last > first && valid?.[last] === 0) last--
  const from = first < length ? starts[first]! : 0
  const to = first < length ? ends[last]! : 0
  let total = 0
  let ascending = true
  for (let i = first, at = from; i <= last && i < length; i++) {
    if (valid?.[i] === 0) continue
    if (starts[i]! < at) ascending = false
    at = ends[i]!
    total += at - starts[i]!
  }
  if (!ascending || to - from > total + MAX_GAP_PER_VALUE * length || length < 8) {
    for (let i = 0; i < length; i++) texts[i] = valid?.[i] === 0 ? null : buffer.toString('utf8', starts[i], ends[i])
    return texts
  }
  const span = buffer.toString('latin1', from, to)
  if (isAscii(buffer.subarray(from, to))) {
    for (let i = 0; i < length; i++) texts[i] = valid?.[i] === 0 ? null : span.substring(starts[i]! - from, ends[i]! - from)
    return texts
  }
  for (let i = 0; i < length; i++) {
    if (valid?.[i] === 0) {
      texts[i] = null
      continue
    }
    const start = starts[i]!
    const end = ends[i]!
    let at = start
    while (at < end && bytes[at]! < 0x80) at++
    texts[i] = at === end ? span.substring(start - from, end - from) : buffer.toString('utf8', start, end)
  }
  return texts
}
