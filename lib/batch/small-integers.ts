/** Numbers as 32-bit integers; undefined where one of them is none. */
export function smallIntegers(numbers: Float64Array): Int32Array | undefined {
  const integers = new Int32Array(numbers.length)
  for (let i = 0; i < integers.length; i++) {
    const number = numbers[i]!
    integers[i] = number
    if (integers[i] !== number) return undefined
  }
  return integers
}
