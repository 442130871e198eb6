import { expect } from 'chai'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fillCache, parseLines, runCli, tempFolder } from './run-cli.js'

describe('millrace on a filled cache, without a database', function () {
  this.timeout(60_000)
  const folder = tempFolder()
  const env = { MILLRACE_CACHE_DIR: folder.dir }
  const rows = Array.from({ length: 300 }, (_, i) => ({ id: i + 1, name: `n${i + 1}`, meta: { city: i % 2 ? 'NYC' : 'LA' } }))
  before(() => fillCache(folder.dir, 'public.users', rows, ['name', 'meta.city']))
  after(() => folder.remove())

  it('gets what is cached, and names the missing database for the rest', async () => {
    const warm = await runCli(['get', '--table', 'public.users', '--columns', 'name,meta.city', '--ids', '2,1'], { env })
    expect(parseLines(warm.stdout)).to.deep.equal([{ id: 1, name: 'n1', 'meta.city': 'LA' }, { id: 2, name: 'n2', 'meta.city': 'NYC' }])
    expect(warm.code).to.equal(0)
    const partly = await runCli(['get', '--table', 'public.users', '--columns', 'name', '--ids', '1,999'], { env })
    expect(parseLines(partly.stdout)).to.deep.equal([{ id: 1, name: 'n1' }])
    expect(partly.code, 'some rows were delivered').to.equal(3)
    expect(partly.stderr).to.contain('--pg')
    const none = await runCli(['get', '--table', 'public.users', '--columns', 'name', '--ids', '999'], { env })
    expect([none.code, none.stdout]).to.deep.equal([2, ''])
  })

  it('plans from ids on stdin', async () => {
    const { code, stdout } = await runCli(['plan', '--table', 'public.users', '--columns', 'name', '--ids-file', '-', '--json'], { env, stdin: '1\n2 3,400\n' })
    expect(JSON.parse(stdout)).to.include({ table: 'public.users', ids: 4, hits: 3, misses: 1, batchSize: 100, batches: 1 })
    expect(code).to.equal(0)
  })

  it('lists, counts and inspects', async () => {
    const [ls, stats, inspect] = await Promise.all([['ls', '--json'], ['stats', '--json'], ['inspect', 'public.users']].map(args => runCli(['cache', ...args], { env })))
    expect(JSON.parse(ls!.stdout)[0]).to.include({ table: 'public.users', rows: 300, idMin: 1, idMax: 300 })
    expect(JSON.parse(stats!.stdout)).to.include({ totalRecords: 300, cacheDir: folder.dir })
    expect(inspect!.stdout).to.contain('300 rows, ids 1..300').and.to.match(/meta\.city +text/).and.to.match(/data-1-300-\S+\.parquet/)
    expect([ls!.code, stats!.code, inspect!.code]).to.deep.equal([0, 0, 0])
  })

  it('exports and invalidates', async () => {
    const file = join(folder.dir, 'users.parquet')
    const exported = await runCli(['cache', 'export', 'public.users', '--out', file, '--columns', 'name', '--json'], { env })
    expect(JSON.parse(exported.stdout)).to.include({ rows: 300, bytes: statSync(file).size })
    const invalidated = await runCli(['cache', 'invalidate', 'public.users', '--ids', '7,8'], { env })
    expect(invalidated.code).to.equal(0)
    const { stdout } = await runCli(['plan', '--table', 'public.users', '--columns', 'name', '--range', '1..10'], { env })
    expect(stdout).to.contain('10 ids, 8 cached, 2 to fetch')
    const nothing = await runCli(['cache', 'invalidate', 'public.users'], { env })
    expect(nothing.code).to.equal(2)
    expect(nothing.stderr).to.contain('--all')
  })

  it('finds damage (exit code 1), repairs it, compacts, and clears without asking where there is no terminal', async () => {
    const table = join(folder.dir, 'public.users')
    const part = join(table, readdirSync(table).find(name => name.endsWith('.parquet'))!)
    expect((await runCli(['cache', 'verify'], { env })).code).to.equal(0)
    const bytes = readFileSync(part)
    bytes[100]! ^= 1
    writeFileSync(part, bytes)
    const damaged = await runCli(['cache', 'verify', '--json'], { env })
    expect(damaged.code).to.equal(1)
    expect(JSON.parse(damaged.stdout).problems[0]).to.include({ table: 'public.users', kind: 'part' })
    const repaired = await runCli(['cache', 'repair', '--json'], { env })
    expect(JSON.parse(repaired.stdout).quarantined).to.have.length(1)
    await fillCache(folder.dir, 'public.users', rows.slice(0, 10), ['name'])
    await fillCache(folder.dir, 'public.users', rows.slice(10, 20), ['name'])
    expect((await runCli(['cache', 'compact'], { env })).stdout).to.match(/public\.users: 2 files .* → 1 file /)
    expect((await runCli(['cache', 'clear', 'users'], { env })).stdout).to.equal('1 table cleared\n')
    expect((await runCli(['cache', 'ls'], { env })).stdout).to.contain('nothing is cached')
  })
})

describe('millrace and a command line that is wrong', function () {
  this.timeout(60_000)

  it('exits with 2 and names the offender', async () => {
    for (const [args, offender] of [
      [['get', '--colums', 'a'], "unknown option '--colums'"], [['cache', 'ls', 'surplus'], "'surplus'"],
      [['get', '--table', 'users', '--columns', 'a', '--ids', '1'], "'schema.table'"], [['plan', '--table', 'a.b', '--ids', '1'], '--columns']
    ] as const) {
      const { code, stdout, stderr } = await runCli(args)
      expect(stderr, args.join(' ')).to.contain(offender)
      expect({ code, stdout }, args.join(' ')).to.deep.equal({ code: 2, stdout: '' })
    }
  })

  it('says so as JSON with --json', async () => {
    const { code, stderr } = await runCli(['get', '--format', 'xls', '--json'])
    expect(JSON.parse(stderr).error).to.include({ code: 'ERR_USAGE' })
    expect(code).to.equal(2)
  })

  it('teaches with --help: examples, exit codes', async () => {
    const [top, get] = await Promise.all([runCli(['--help']), runCli(['get', '--help'])])
    expect(top.stdout).to.contain('Exit codes').and.to.contain('millrace plan')
    expect(get.stdout).to.contain('Examples').and.to.contain('--ids-file -')
    expect([top.code, get.code]).to.deep.equal([0, 0])
  })
})
