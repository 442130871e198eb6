import { expect } from 'chai'
import { arrayLiteral, quoteIdentifier, quoteText } from '../../../lib/sql/quote.js'

describe('quoteIdentifier', () => {
  it('leaves only plain lower-case names bare', () => {
    expect(['a', 'a_1', '_x'].map(quoteIdentifier)).to.deep.equal(['a', 'a_1', '_x'])
    expect(['A', 'a b', 'select', 'order', '1a', 'é', 'a"b', 'a.b'].map(quoteIdentifier)).to.deep.equal(['"A"', '"a b"', '"select"', '"order"', '"1a"', '"é"', '"a""b"', '"a.b"'])
  })

  it('refuses names that PostgreSQL would cut or cannot hold', () => {
    for (const name of ['', 'a\0b', 'x'.repeat(64), 'é'.repeat(32)]) expect(() => quoteIdentifier(name), name).to.throw('identifier')
  })
})

describe('quoteText', () => {
  it('doubles quotes, and escapes backslashes for either setting of standard_conforming_strings', () => {
    expect(quoteText("it's")).to.equal("'it''s'")
    expect(quoteText("a\\'; DROP TABLE x; --")).to.equal("E'a\\\\''; DROP TABLE x; --'")
    expect(() => quoteText('a\0')).to.throw('NUL')
  })
})

describe('arrayLiteral', () => {
  it('quotes what an array would read otherwise', () => {
    expect(arrayLiteral(['a', '', 'null', 'a b', 'a"b', 'c\\d', '{', '1.5', 'x,y'])).to.equal('{a,"","null","a b","a\\"b","c\\\\d","{",1.5,"x,y"}')
  })
})
