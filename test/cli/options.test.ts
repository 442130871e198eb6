import { expect } from 'chai'
import { duration, splitColumns, splitTypes } from '../../cli/options.js'
import { redactor } from '../../cli/redact.js'

describe('columns of the command line', () => {
  it('are separated by commas, and an escaped comma belongs to the name', () => {
    expect(splitColumns(['name, meta.city', 'a\\,b,c'])).to.deep.equal(['name', 'meta.city', 'a,b', 'c'])
  })

  it('keep the backslashes that column names give a meaning', () => {
    expect(splitColumns(['a\\.b,c\\\\,d'])).to.deep.equal(['a\\.b', 'c\\\\', 'd'])
  })

  it('take declared types, whose names may hold commas and equal signs', () => {
    expect(splitTypes(['amount=decimal(10,2)', 'a=b=text'])).to.deep.equal({ amount: 'decimal(10,2)', 'a=b': 'text' })
    expect(() => splitTypes(['amount'])).to.throw('--type')
  })
})

describe('durations of the command line', () => {
  it('have a unit, or are milliseconds', () => {
    expect(['250', '250ms', '30s', '1.5m', '1h'].map(duration)).to.deep.equal([250, 250, 30_000, 90_000, 3_600_000])
    expect(() => duration('soon')).to.throw('duration')
  })
})

describe('the redactor', () => {
  const url = 'postgres://me:s3cr%40t@db.example/shop'

  it('takes a password out of its URL and out of any other text, as written and decoded', () => {
    const redact = redactor([url])
    expect(redact(`cannot reach ${url}`)).to.equal('cannot reach postgres://me:***@db.example/shop')
    expect(redact('tried s3cr@t and s3cr%40t')).to.equal('tried *** and ***')
  })

  it('knows passwords in text that is no valid URL, in parameters and in the environment', () => {
    expect(redactor(['postgres://me:p@ss/w#rd@bad:host/x'])('failed: p@ss/w#rd')).to.equal('failed: ***')
    expect(redactor(['postgres://me@h/x?password=hunter2'])('hunter2, password=other')).to.equal('***, password=***')
    expect(redactor([], ['from-pgpassword'])('it was from-pgpassword')).to.equal('it was ***')
  })

  it('leaves words alone that the rest of the URL says openly', () => {
    const redact = redactor(['postgres://postgres:postgres@localhost/shop'])
    expect(redact('postgres://localhost/shop: no such table')).to.equal('postgres://localhost/shop: no such table')
    expect(redact('postgres://postgres:postgres@localhost')).to.equal('postgres://postgres:***@localhost')
  })
})
