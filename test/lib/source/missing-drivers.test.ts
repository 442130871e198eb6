// needs: sqlite
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect } from 'chai'
import type { BetterSqlite } from '../../../lib/source/sqlite-handle.js'

const require = createRequire(import.meta.url)
const Sqlite = require('better-sqlite3') as new (path: string) => BetterSqlite
const LIB = pathToFileURL(join(import.meta.dirname, '../../../lib')).href

describe('sources whose driver is not there', function () {
  this.timeout(60_000)
  let dir: string
  let file: string

  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-drivers-'))
    file = join(dir, 'shop.db')
    const admin = new Sqlite(file)
    admin.exec('CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)')
    admin.close()
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  /** What a process prints in which these imports lead elsewhere, null: nowhere. */
  function run(elsewhere: Record<string, string | null>, script: string): string {
    const hook = `const elsewhere = ${JSON.stringify(elsewhere)}
      export function resolve(specifier, context, next) {
        const to = elsewhere[specifier]
        if (to === null) throw Object.assign(new Error('Cannot find package ' + specifier), { code: 'ERR_MODULE_NOT_FOUND' })
        return next(to ?? specifier, context)
      }`
    const register = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)})`
    return execFileSync(process.execPath, ['--import=tsx', `--import=data:text/javascript,${encodeURIComponent(register)}`, '--input-type=module', '-e', script],
      { encoding: 'utf8', cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'pipe'] }).trim()
  }

  const print = 'error => console.log(error.name, error.code, error.package, error.message)'
  const readSqlite = (): string => `import { sqliteSource } from ${JSON.stringify(`${LIB}/source/sqlite.ts`)}
    try {
      for await (const batch of sqliteSource({ path: ${JSON.stringify(file)} }).query('SELECT * FROM t')) console.log(JSON.stringify(batch.toRows()))
    } catch (error) { (${print})(error) }`

  /** better-sqlite3 with a binary that this Node cannot load. */
  function unloadable(): string {
    const copy = join(dir, 'node_modules/better-sqlite3')
    const from = dirname(require.resolve('better-sqlite3/package.json'))
    for (const name of ['lib', 'package.json']) cpSync(join(from, name), join(copy, name), { recursive: true })
    mkdirSync(join(copy, 'build/Release'), { recursive: true })
    writeFileSync(join(copy, 'build/Release/better_sqlite3.node'), 'built for something else')
    symlinkSync(dirname(createRequire(join(from, 'package.json')).resolve('bindings/package.json')), join(dir, 'node_modules/bindings'))
    return pathToFileURL(join(copy, 'lib/index.js')).href
  }

  it('say what to install where MySQL has none', () => {
    const out = run({ 'mysql2/promise': null }, `import { mysqlPool } from ${JSON.stringify(`${LIB}/source/mysql.ts`)}
      await mysqlPool({ uri: 'mysql://127.0.0.1:1/x' }).catch(${print})`)
    expect(out).to.equal('MissingDependencyError ERR_MISSING_DEPENDENCY mysql2 a MySQL database needs the package mysql2: npm install mysql2')
  })

  it('say what to install where SQLite has neither, also through openDatabase', () => {
    const none = { 'better-sqlite3': null, 'node:sqlite': null }
    const expected = 'MissingDependencyError ERR_MISSING_DEPENDENCY better-sqlite3 a SQLite database needs the package better-sqlite3: npm install better-sqlite3'
    expect(run(none, readSqlite())).to.equal(expected)
    expect(run(none, `import { openDatabase } from ${JSON.stringify(`${LIB.replace(/lib$/, 'pipelines')}/open-database.ts`)}
      const db = await openDatabase({ connectionString: ${JSON.stringify(`sqlite:${file}`)}, cacheDir: ${JSON.stringify(join(dir, 'cache'))} })
      await db.query('SELECT * FROM t').catch(${print})`)).to.equal(expected)
  })

  it('go on with the other driver, or say what to rebuild, where better-sqlite3 was built for another Node', () => {
    const copy = unloadable()
    const out = run({ 'better-sqlite3': copy, 'node:sqlite': null }, readSqlite())
    expect(out).to.match(/^MissingDependencyError ERR_MISSING_DEPENDENCY better-sqlite3 a SQLite database needs the package better-sqlite3, which is installed and cannot be loaded \(.*better_sqlite3\.node.*\): npm rebuild better-sqlite3$/)
    const hasOther = run({}, "console.log(await import('node:sqlite').then(() => true, () => false))") === 'true'
    if (hasOther) expect(run({ 'better-sqlite3': copy }, readSqlite())).to.equal('[{"id":7}]')
  })
})
