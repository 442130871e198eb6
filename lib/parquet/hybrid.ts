/**
 * The RLE / bit-packed hybrid of definition levels, repetition levels and dictionary codes.
 * @see https://parquet.apache.org/docs/file-format/data-pages/encodings/ (RLE = 3)
 */

/** Dictionaries have fewer entries than a row group has rows, so wider codes do not occur; wider ones would not fit a 32-bit window. */
const MAX_WIDTH = 24

/** The run that says "`value`, `count` times". `width` in bits, at most 16. */
export function repeatedRun(value: number, count: number, width: number): Uint8Array {
  const header = varint(count * 2)
  return Uint8Array.from(width > 8 ? [...header, value & 0xff, value >>> 8] : [...header, value])
}

/** The header of one bit-packed run of `count` values, padded to whole groups of 8. */
export function packedRunHeader(count: number): Uint8Array {
  return varint(Math.ceil(count / 8) * 2 + 1)
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 | 128)
  return Uint8Array.from([...bytes, value])
}

/** Levels (0 … 3) as one run: repeated where all are equal, else bit-packed with 1 or 2 bits each. */
export function encodeLevels(levels: Uint8Array, width: 1 | 2): Uint8Array {
  const { length } = levels
  if (length === 0) return new Uint8Array(0)
  const first = levels[0]!
  let i = 1
  while (i < length && levels[i] === first) i++
  if (i === length) return repeatedRun(first, length, width)
  const header = packedRunHeader(length)
  const bytes = new Uint8Array(header.length + Math.ceil(length / 8) * width)
  bytes.set(header)
  packBits(levels, bytes.subarray(header.length), width)
  return bytes
}

/** Levels behind their length in 4 bytes, as a version 1 data page has them. */
export function lengthPrefixed(levels: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + levels.length)
  new DataView(bytes.buffer).setUint32(0, levels.length, true)
  bytes.set(levels, 4)
  return bytes
}

/** Pack values of `width` bits, lowest bits first, into `out`. */
export function packBits(values: Uint8Array, out: Uint8Array, width: 1 | 2): void {
  const isAligned = values.byteOffset % 4 === 0
  const words = isAligned ? new Uint32Array(values.buffer, values.byteOffset, values.length >>> 2) : new Uint32Array(0)
  const packed = width === 1 ? packBitWords(words, out) : packPairWords(words, out)
  for (let i = packed * 8 / width; i < values.length; i++) out[i * width >>> 3]! |= values[i]! << (i * width & 7)
}

// four values in a word: a multiplication moves each to its place among the highest bits, and no two sums meet; both return the bytes written

function packBitWords(words: Uint32Array, out: Uint8Array): number {
  let at = 0
  for (let w = 0; w + 1 < words.length; w += 2) out[at++] = Math.imul(words[w]!, GATHER_BITS) >>> 28 | Math.imul(words[w + 1]!, GATHER_BITS) >>> 28 << 4
  return at
}

function packPairWords(words: Uint32Array, out: Uint8Array): number {
  for (let w = 0; w < words.length; w++) out[w] = Math.imul(words[w]!, GATHER_PAIRS) >>> 24
  return words.length
}

/** Times a word of four bytes that are 0 or 1: bits 28 to 31 are these, the first one lowest. */
const GATHER_BITS = 0x10204080
/** Times a word of four bytes from 0 to 3: the highest byte is these, the first one lowest. */
const GATHER_PAIRS = 0x01041040

/** How many of some bytes, each 0 or 1, are 1. */
export function countOnes(flags: Uint8Array): number {
  const words = flags.byteOffset % 4 === 0 ? new Uint32Array(flags.buffer, flags.byteOffset, flags.length >>> 2) : new Uint32Array(0)
  let ones = 0
  for (let w = 0; w < words.length; w += 255) {
    const sums = sumOf(words, w, Math.min(w + 255, words.length))
    ones += (sums & 0xff) + (sums >>> 8 & 0xff) + (sums >>> 16 & 0xff) + (sums >>> 24)
  }
  for (let i = words.length * 4; i < flags.length; i++) ones += flags[i]!
  return ones
}

/** Four sums side by side, of 8 bits each: of at most 255 words. */
function sumOf(words: Uint32Array, from: number, to: number): number {
  let sums = 0
  for (let w = from; w < to; w++) sums = sums + words[w]! | 0
  return sums
}

/** The 8 bytes that a byte's bits unpack to, as a double: one store writes all of them. No such double is NaN, so its bits stay as they are. */
const UNPACKED = new Float64Array(256)
const unpackedBytes = new Uint8Array(UNPACKED.buffer)
for (let at = 0; at < unpackedBytes.length; at++) unpackedBytes[at] = at >>> 3 >>> (at & 7) & 1

/** Unpack bits, lowest first, into one byte each. `bytes` must hold `out.length` bits. */
export function unpackBits(bytes: Uint8Array, out: Uint8Array): void {
  const eights = out.byteOffset % 8 === 0 ? new Float64Array(out.buffer, out.byteOffset, out.length >>> 3) : new Float64Array(0)
  unpackEights(bytes, eights)
  for (let i = eights.length * 8; i < out.length; i++) out[i] = bytes[i >>> 3]! >>> (i & 7) & 1
}

function unpackEights(bytes: Uint8Array, eights: Float64Array): void {
  for (let at = 0; at < eights.length; at++) eights[at] = UNPACKED[bytes[at]!]!
}

/** Set bits of each byte. */
const ONES = new Uint8Array(256)
for (let byte = 1; byte < 256; byte++) ONES[byte] = ONES[byte >> 1]! + (byte & 1)

/** How many of the first `count` bits are set. */
export function countBits(bits: Uint8Array, count: number): number {
  const whole = count >>> 3
  const ones = onesIn(bits, whole)
  return count % 8 === 0 ? ones : ones + ONES[bits[whole]! & (1 << count % 8) - 1]!
}

function onesIn(bytes: Uint8Array, count: number): number {
  let ones = 0
  for (let at = 0; at < count; at++) ones += ONES[bytes[at]!]!
  return ones
}

/** For ascending positions `picks` that are set: how many set bits are before each. `set` gets each pick's own bit. */
export function ranksOf(bits: Uint8Array, picks: Uint32Array, set: Uint8Array): Uint32Array {
  const ranks = new Uint32Array(picks.length)
  let found = 0
  let at = 0
  let before = 0
  for (let i = 0; i < picks.length; i++) {
    const pick = picks[i]!
    for (; at < pick >>> 3; at++) before += ONES[bits[at]!]!
    set[i] = bits[at]! >>> (pick & 7) & 1
    if (set[i] === 1) ranks[found++] = before + ONES[bits[at]! & (1 << (pick & 7)) - 1]!
  }
  return ranks.subarray(0, found)
}

/** One run of a hybrid stream. A packed run's values lie at `at`, as many as `count` or as the stream has left. */
interface Run { packed: boolean, count: number, value: number, at: number, end: number }

function readRun(bytes: Uint8Array, at: number, width: number): Run {
  let header = 0
  for (let scale = 1; ; scale *= 128) {
    if (at >= bytes.length || scale > 2 ** 28) throw new Error('a run header is cut short or too long')
    const byte = bytes[at++]!
    header += (byte & 127) * scale
    if (byte < 128) break
  }
  const packed = header % 2 === 1
  const half = Math.floor(header / 2)
  // a run of nothing would let a reader go round for ever
  if (half === 0) throw new Error('an empty run')
  if (packed) return { packed, count: half * 8, value: 0, at, end: at + half * width }
  let value = 0
  for (let i = 0, scale = 1; i < width; i += 8, scale *= 256) {
    if (at >= bytes.length) throw new Error('a repeated value is cut short')
    value += bytes[at++]! * scale
  }
  if (value >= 2 ** width) throw new Error(`a repeated value of ${value} in ${width} bits`)
  return { packed, count: half, value, at, end: at }
}

/** Whether the stream starts with one repeated run over all `count` values; its value, else undefined. */
export function soleRepeatedValue(bytes: Uint8Array, count: number, width: number): number | undefined {
  const run = readRun(bytes, 0, width)
  return !run.packed && run.count >= count ? run.value : undefined
}

/** Where the values of a stream that is one bit-packed run over all `count` values lie, else undefined. */
export function solePackedValues(bytes: Uint8Array, count: number, width: number): Uint8Array | undefined {
  const run = readRun(bytes, 0, width)
  const length = Math.ceil(count * width / 8)
  return run.packed && run.count >= count && run.at + length <= bytes.length ? bytes.subarray(run.at, run.at + length) : undefined
}

/**
 * Decode any legal mix of runs into `out`, which says how many values there are.
 *
 * @throws {Error} the stream ends early, or a run is empty
 */
export function decodeHybrid(bytes: Uint8Array, width: number, out: Uint8Array | Uint16Array | Uint32Array): void {
  if (width > MAX_WIDTH) throw new Error(`a bit width of ${width}`)
  if (width === 0) {
    out.fill(0)
    return
  }
  let at = 0
  let done = 0
  while (done < out.length) {
    const run = readRun(bytes, at, width)
    const count = Math.min(run.count, out.length - done)
    if (!run.packed) out.fill(run.value, done, done + count)
    else {
      // the last group may be cut short by writers that leave out the padding
      if (run.at + Math.ceil(count * width / 8) > bytes.length) throw new Error('a bit-packed run is cut short')
      if (width === 1 && out instanceof Uint8Array) unpackBits(bytes.subarray(run.at), out.subarray(done, done + count))
      else unpackWide(bytes, run.at, width, out, done, count)
    }
    done += count
    at = run.end
  }
}

function unpackWide(bytes: Uint8Array, start: number, width: number, out: Uint8Array | Uint16Array | Uint32Array, from: number, count: number): void {
  const mask = 2 ** width - 1
  let buffer = 0
  let held = 0
  let at = start
  for (let i = 0; i < count; i++) {
    while (held < width) {
      buffer |= bytes[at++]! << held
      held += 8
    }
    out[from + i] = buffer & mask
    buffer >>>= width
    held -= width
  }
}
