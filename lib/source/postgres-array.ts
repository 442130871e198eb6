/** An array as the server prints it, taken apart: elements as text, nested arrays as arrays, null where NULL. */
export type ArrayText = (string | null | ArrayText)[]

/**
 * Parse PostgreSQL's array text, `{1,NULL,"a \"b\""}`; explicit bounds (`[0:1]={…}`) are skipped. Undefined where the text is no
 * array. No recursion, so depth is limited by the server only (six dimensions).
 *
 * @param delimiter `,` for every built-in type but `box`
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function parseArrayText(text: string, delimiter = ','): ArrayText | undefined {
  const stack: ArrayText[] = []
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0
  if (text[at] !== '{') return undefined
  let current: ArrayText | undefined
  while (at < text.length) {
    const char = text[at]!
    if (char === '{') {
      const list: ArrayText = []
      if (current) {
        current.push(list)
        stack.push(current)
      }
      current = list
      at++
    } else if (current === undefined) return undefined
    else if (char === '}') {
      at++
      const outer = stack.pop()
      if (outer === undefined) return at === text.length ? current : undefined
      current = outer
    } else if (char === delimiter) at++
    else if (char === '"') {
      const end = closingQuote(text, at + 1)
      if (end === -1) return undefined
      const quoted = text.slice(at + 1, end)
      current.push(quoted.includes('\\') ? quoted.replace(/\\([\s\S])/g, '$1') : quoted)
      at = end + 1
    } else {
      let end = at
      let escaped = false
      while (end < text.length && text[end] !== delimiter && text[end] !== '}') {
        if (text[end] === '\\') {
          escaped = true
          end++
        }
        end++
      }
      const word = text.slice(at, end)
      current.push(escaped ? word.replace(/\\([\s\S])/g, '$1') : word === 'NULL' ? null : word)
      at = end
    }
  }
  return undefined
}

function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return -1
}
