import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { add } from '../../../cli/pcache/add.js'
import { manage } from '../../../cli/pcache/manage.js'
import { read } from '../../../cli/pcache/read.js'
import { createCache } from '../../../lib/partition/create-cache.js'
import { runProgram } from './run-program.js'

const PARKS = "SELECT * FROM poi WHERE type = 'park'"
const key = ['--partition-key', 'region_id']

const refused: [title: string, program: typeof add, args: string[], named: string][] = [
  ['no action', manage, [], '--count-cache'],
  ['two actions', manage, ['--count-cache', '--clear-cache'], '--clear-cache'],
  ["another action's option", manage, ['--count-cache', '--yes'], '--yes'],
  ['an unknown option', manage, ['--count-cahce'], '--count-cache'],
  ['an argument too many', manage, ['--count-cache', 'poi'], "'poi'"],
  ['no query', add, ['--direct', ...key], '--query'],
  ['an empty query', add, ['--direct', ...key, '--query', '-'], '--query'],
  ['two queries', add, ['--direct', ...key, '--query', PARKS, '--query-file', 'x.sql'], '--query-file'],
  ['a query file that is not there', add, ['--direct', ...key, '--query-file', '/nowhere/x.sql'], '--query-file'],
  ['a partition key type that does not exist', add, ['--direct', ...key, '--query', PARKS, '--partition-datatype', 'geometry'], '--partition-datatype'],
  ['constraints that are no JSON', add, ['--direct', '--query', PARKS, ...key, '--add-constraints', 'size'], '--add-constraints'],
  ['constraints that are no conditions', add, ['--direct', '--query', PARKS, ...key, '--add-constraints', '{"poi": 1}'], '--add-constraints'],
  ['column names that are no list', add, ['--direct', '--query', PARKS, ...key, '--remove-constraints-all', '"size"'], '--remove-constraints-all'],
  ['a step below 0', add, ['--direct', '--query', PARKS, ...key, '--bucket-steps', '-1'], '--bucket-steps'],
  ['neither true nor false', add, ['--direct', '--query', PARKS, ...key, '--follow-graph', 'maybe'], '--follow-graph'],
  ['no query and no hash', read, key, '--query-hash'],
  ['a query and a hash', read, [...key, '--query', PARKS, '--query-hash', 'x'], '--query-hash'],
  ['no partition key', read, ['--query', PARKS], '--partition-key'],
  ['an unknown backend', read, ['--query', PARKS, ...key, '--cache-backend', 'nothing'], 'CACHE_BACKEND'],
  ['a backend that ends with the process', read, ['--query', PARKS, ...key, '--cache-backend', 'memory'], '--cache-backend'],
  ['an environment file that is not there', read, ['--query', PARKS, ...key, '--env', '/nowhere/.env'], '--env'],
  ['an output file that cannot be written', read, [...key, '--query-hash', 'x', '--output-file', '/nowhere/x'], '--output-file'],
  ['a line break in a line', read, [...key, '--query-hash', 'x', '--output-format', 'lines'], '--output-format'],
]

describe('what pcache-* refuses', () => {
  let dir: string

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-pcache-'))
    writeFileSync(join(dir, 'env'), `CACHE_BACKEND=rocksdict\nROCKSDB_DICT_PATH=${join(dir, 'cache')}\n`)
    const cache = await createCache('rocksdict', 'region_id', 'text', { path: join(dir, 'cache') })
    await cache.setSet('x', ['two\nlines'])
    await cache.close()
  })

  after(() => { rmSync(dir, { recursive: true, force: true }) })

  for (const [title, program, args, named] of refused) {
    it(`is named, and exits with 2: ${title}`, async () => {
      const { code, stdout, stderr } = await runProgram(program, args.includes('--env') ? args : [...args, '--env', join(dir, 'env')])
      expect({ code, stdout }, stderr).to.deep.equal({ code: 2, stdout: '' })
      expect(stderr).to.contain(named)
    })
  }

  it('is not help: that lists the actions, the examples, the variables and the exit codes', async () => {
    const { code, stdout } = await runProgram(manage, ['--help'])
    expect(code).to.equal(0)
    for (const part of ['Actions:', '--count-cache', 'Examples:', 'CACHE_BACKEND', 'Exit codes:']) expect(stdout).to.contain(part)
  })
})
