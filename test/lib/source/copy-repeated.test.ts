import { expect } from 'chai'
import fc from 'fast-check'
import { storageValues } from '../../../lib/batch/cells.js'
import { copyVector } from '../../../lib/source/copy-columns.js'
import { jsonStrings } from '../../../lib/source/copy-json.js'
import { RepeatedValues } from '../../../lib/source/copy-repeated.js'
import type { CopyRows } from '../../../lib/source/copy-rows.js'

/** Rows of one column, as they lie in what the server sent. */
function rowsOf(values: readonly (string | null)[]): CopyRows {
  const texts = values.map(value => value === null ? undefined : Buffer.from(value))
  const bytes = Uint8Array.from(Buffer.concat(texts.flatMap(text => text ?? [])))
  const marks = new Int32Array(values.length * 2)
  let at = 0
  texts.forEach((text, row) => {
    marks.set([at, text?.length ?? -1], row * 2)
    at += text?.length ?? 0
  })
  return { bytes, view: new DataView(bytes.buffer), marks, columns: 1, length: values.length }
}

const ROWS = 1100

/** A batch: so many rows of so many values that begin at some number, with words between. */
const batch = fc.record({ first: fc.nat({ max: 600 }), distinct: fc.constantFrom(1, 3, 200, 270, 280, 1100), rows: fc.constantFrom(1, 7, ROWS, ROWS + 1, 4 * ROWS),
  words: fc.array(fc.constantFrom(null, 'null', '""', '"a\\u0062"', '12', '{"a":1}', '"é🜁"'), { maxLength: 3 }) })
  .map(({ first, distinct, rows, words }) => Array.from({ length: rows }, (_, row) => row < words.length ? words[row]! : `"v${first + row % distinct}"`))

describe('values numbered over several batches', () => {
  it('are the values of each batch, as if it were the only one', () => {
    fc.assert(fc.property(fc.array(batch, { maxLength: 8 }), batches => {
      const [texts, strings] = [new RepeatedValues(), new RepeatedValues()]
      const kept = batches.map(values => {
        const rows = rowsOf(values)
        const alone = jsonStrings(rows, 0, new RepeatedValues())
        const vectors = { values, alone: alone && storageValues(alone), text: copyVector(rows, 0, 'bytes', 'text', texts), json: jsonStrings(rows, 0, strings) }
        expect(vectors.text.type).to.equal('text')
        expect(vectors.json?.type).to.equal(alone?.type)
        return vectors
      })
      // read when all batches have come: what came later must not reach into what came before
      for (const { values, alone, text, json } of kept) {
        expect(storageValues(text)).to.deep.equal(values)
        expect(json && storageValues(json)).to.deep.equal(alone)
      }
    }), { seed: 1, numRuns: 60 })
  })

  it('share one dictionary as long as no value is new, and leave it where a batch is too small for it', () => {
    const repeated = new RepeatedValues()
    const numbered = (rows: number, distinct: number): ReturnType<RepeatedValues['number']> =>
      repeated.number(rowsOf(Array.from({ length: rows }, (_, row) => `v${row % distinct}`)), 0)
    const first = numbered(ROWS, 200)!
    expect(first.dictionary.length).to.equal(200)
    expect(numbered(ROWS, 150)!.dictionary).to.equal(first.dictionary)
    expect(numbered(40, 2)).to.equal(undefined)
    const grown = numbered(ROWS, 210)!
    expect(grown.dictionary).not.to.equal(first.dictionary)
    expect([first.dictionary.length, grown.dictionary.length]).to.deep.equal([200, 210])
    expect(numbered(ROWS, ROWS)).to.equal(undefined)
    expect(numbered(ROWS, 3)!.dictionary.length).to.equal(3)
  })
})
