/** Reads every import of the shipped sources and holds the tree to the directions of design.md §2 and style.md. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, posix } from 'node:path'
import { expect } from 'chai'
import ts from 'typescript'

const root = join(import.meta.dirname, '..')
const LAYERS = ['lib', 'streams', 'pipelines', 'cli']

/** Scaffolding that every stage is built on: the one file of `streams/` that stages import. */
const STAGE_SCAFFOLD = 'streams/stage.ts'
const MAX_LINES = 400

const OPTIONAL_DRIVERS = ['redis', '@redis/client', 'ioredis', 'mysql2', 'better-sqlite3', '@nxtedition/rocksdb', 'classic-level',
  'bullmq', 'prom-client', 'roaring-wasm', 'pgsql-parser', 'pgsql-deparser', 'libpg-query', 'aws4fetch', 'apache-arrow',
  '@electric-sql/pglite', '@electric-sql/pglite-socket', '@polyglot-sql/sdk']
const SQL_GRAMMAR = ['pgsql-parser', 'pgsql-deparser', 'libpg-query', '@pgsql/types']
const POSTGRES_DRIVER = ['pg', 'pg-query-stream', 'pg-cursor', 'pg-types', 'pg-pool', 'pg-copy-streams']
const ENV_READERS = ['cli/env.ts', 'lib/partition/env.ts']

/** Stands before the expression of an import() whose target cannot be read from the source. */
const COMPUTED = 'computed: '

/** One import, export-from, import() or import type. */
interface Import {
  readonly from: string
  /** A path of the tree (`lib/errors.ts`), or a package's name, or `node:…`. */
  readonly to: string
  readonly local: boolean
  readonly typeOnly: boolean
  readonly dynamic: boolean
}

interface Source {
  readonly path: string
  readonly text: string
  readonly ast: ts.SourceFile
  readonly imports: readonly Import[]
}

/** A rule answers with its offenders, each a line that says where and what. */
interface Rule {
  readonly title: string
  readonly offenders: (tree: readonly Source[]) => string[]
  /** A small tree that breaks the rule, and one like it that does not. */
  readonly bad: Record<string, string>
  readonly good: Record<string, string>
}

function packageOf(specifier: string): string {
  if (builtinModules.includes(specifier.split('/')[0]!)) return `node:${specifier}`
  if (specifier.startsWith('node:')) return specifier
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node)
  ts.forEachChild(node, child => { visit(child, see) })
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) {
    return node.isTypeOnly || (!!node.exportClause && ts.isNamedExports(node.exportClause) &&
      node.exportClause.elements.length > 0 && node.exportClause.elements.every(element => element.isTypeOnly))
  }
  const clause = node.importClause
  if (!clause) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const bindings = clause.namedBindings
  return !clause.name && !!bindings && ts.isNamedImports(bindings) && bindings.elements.length > 0 &&
    bindings.elements.every(element => element.isTypeOnly)
}

function importsOf(path: string, ast: ts.SourceFile): Import[] {
  const imports: Import[] = []
  const add = (specifier: ts.Node | undefined, { typeOnly = false, dynamic = false } = {}) => {
    if (!specifier) return
    const text = ts.isStringLiteralLike(specifier) ? specifier.text : `${COMPUTED}${specifier.getText(ast)}`
    const local = text.startsWith('.')
    const to = local ? posix.join(posix.dirname(path), text).replace(/\.js$/, '.ts') : packageOf(text)
    imports.push({ from: path, to, local, typeOnly, dynamic })
  }
  visit(ast, node => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, { typeOnly: isTypeOnly(node) })
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, { typeOnly: isTypeOnly(node) })
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, { typeOnly: true })
    else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression)
    } else if (ts.isCallExpression(node)) {
      if (node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], { dynamic: true })
      else if (ts.isIdentifier(node.expression) && node.expression.text === 'require') add(node.arguments[0])
    }
  })
  return imports
}

function sourceOf(path: string, text: string): Source {
  const ast = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  return { path, text, ast, imports: importsOf(path, ast) }
}

function treeOf(files: Record<string, string>): Source[] {
  return Object.entries(files).map(([path, text]) => sourceOf(path, text))
}

function treeOnDisk(): Source[] {
  const paths = LAYERS.filter(layer => existsSync(join(root, layer))).flatMap(layer =>
    readdirSync(join(root, layer), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts')).map(name => posix.join(layer, name.replaceAll('\\', '/'))))
  if (existsSync(join(root, 'index.ts'))) paths.push('index.ts')
  return paths.sort().map(path => sourceOf(path, readFileSync(join(root, path), 'utf8')))
}

function layerOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path
}

/** Offenders among the imports: `from → to` of those that `isWrong` claims. */
function importsThat(isWrong: (imported: Import) => boolean): Rule['offenders'] {
  return tree => tree.flatMap(source => source.imports).filter(isWrong).map(({ from, to }) => `${from} → ${to}`)
}

/** Offenders among the syntax: `path:line text` of the nodes that `isWrong` claims. */
function syntaxThat(isWrong: (node: ts.Node, source: Source) => boolean): Rule['offenders'] {
  return tree => tree.flatMap(source => {
    const offenders: string[] = []
    visit(source.ast, node => {
      if (!isWrong(node, source)) return
      const { line } = source.ast.getLineAndCharacterOfPosition(node.getStart(source.ast))
      offenders.push(`${source.path}:${line + 1} ${node.getText(source.ast).split('\n')[0]}`)
    })
    return offenders
  })
}

/** Every cycle that a depth-first walk closes, as `a → b → a`. */
function cycles(tree: readonly Source[]): string[] {
  const next = new Map(tree.map(({ path, imports }) => [path, [...new Set(imports.filter(i => i.local).map(i => i.to))]]))
  const done = new Set<string>()
  const found: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) found.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (trail.includes(path) || done.has(path)) return
    for (const to of next.get(path) ?? []) walk(to, [...trail, path])
    done.add(path)
  }
  for (const path of next.keys()) walk(path, [])
  return found
}

function isProcess(node: ts.Node): boolean {
  return ts.isIdentifier(node) ? node.text === 'process' : ts.isPropertyAccessExpression(node) && node.name.text === 'process'
}

/** `process.env`, `process['env']`, `const { env } = process`, `import { env } from 'node:process'`. */
function readsEnv(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return node.name.text === 'env' && isProcess(node.expression)
  if (ts.isElementAccessExpression(node)) {
    return isProcess(node.expression) && ts.isStringLiteralLike(node.argumentExpression) && node.argumentExpression.text === 'env'
  }
  if (ts.isVariableDeclaration(node)) {
    return !!node.initializer && isProcess(node.initializer) && ts.isObjectBindingPattern(node.name) &&
      node.name.elements.some(element => (element.propertyName ?? element.name).getText() === 'env')
  }
  if (!ts.isImportDeclaration(node) || !ts.isStringLiteral(node.moduleSpecifier)) return false
  const bindings = node.importClause?.namedBindings
  return /^(node:)?process$/.test(node.moduleSpecifier.text) && !!bindings && ts.isNamedImports(bindings) &&
    bindings.elements.some(element => (element.propertyName ?? element.name).text === 'env')
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true
  if (ts.isExportSpecifier(node)) return node.name.text === 'default'
  return ts.canHaveModifiers(node) && !!ts.getModifiers(node)?.some(modifier => modifier.kind === ts.SyntaxKind.DefaultKeyword)
}

function isNamedReexport(node: ts.Statement): boolean {
  return ts.isExportDeclaration(node) && !!node.moduleSpecifier && !!node.exportClause && ts.isNamedExports(node.exportClause)
}

function packagesThatUsersGet(): Set<string> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string> | undefined>
  return new Set(['dependencies', 'peerDependencies'].flatMap(kind => Object.keys(manifest[kind] ?? {})))
}
const forUsers = packagesThatUsersGet()

const rules: Rule[] = [
  {
    title: 'lib imports only lib',
    offenders: importsThat(({ from, to, local }) => layerOf(from) === 'lib' && local && layerOf(to) !== 'lib'),
    bad: { 'lib/a.ts': "import type { Stage } from '../streams/stage.js'" },
    good: { 'lib/a.ts': "import { b } from './b/c.js'" }
  },
  {
    title: 'lib knows nothing of node:stream',
    offenders: importsThat(({ from, to }) => layerOf(from) === 'lib' && /^node:stream\b/.test(to)),
    bad: { 'lib/a.ts': "import type { Readable } from 'stream'" },
    good: { 'streams/a.ts': "import { Readable } from 'node:stream'" }
  },
  {
    title: 'a stage imports lib and the stage scaffold, never another stage',
    offenders: importsThat(({ from, to, local }) => layerOf(from) === 'streams' && local && layerOf(to) !== 'lib' && to !== STAGE_SCAFFOLD),
    bad: { 'streams/a.ts': "import { b } from './b.js'" },
    good: { 'streams/a.ts': "import { stage } from './stage.js'; import { c } from '../lib/c.js'" }
  },
  {
    title: 'pipelines import only pipelines, streams and lib',
    offenders: importsThat(({ from, to, local }) => layerOf(from) === 'pipelines' && local &&
      !['pipelines', 'streams', 'lib'].includes(layerOf(to))),
    bad: { 'pipelines/a.ts': "export { b } from '../cli/b.js'" },
    good: { 'pipelines/a.ts': "export { b } from '../streams/b.js'" }
  },
  {
    title: 'nothing imports cli but cli itself',
    offenders: importsThat(({ from, to, local }) => local && layerOf(to) === 'cli' && layerOf(from) !== 'cli'),
    bad: { 'index.ts': "export { main } from './cli/millrace.js'" },
    good: { 'cli/a.ts': "export { main } from './millrace.js'" }
  },
  {
    title: 'no file imports itself by a detour, types included',
    offenders: cycles,
    bad: { 'lib/a.ts': "import { b } from './b.js'", 'lib/b.ts': "export type A = import('./a.js').A" },
    good: { 'lib/a.ts': "import { b } from './b.js'", 'lib/b.ts': "import { c } from './c.js'" }
  },
  {
    title: 'only lib/parquet imports hyparquet and its kin',
    offenders: importsThat(({ from, to }) => to.startsWith('hyparquet') && !from.startsWith('lib/parquet/')),
    bad: { 'lib/store/a.ts': "import type { FileMetaData } from 'hyparquet'" },
    good: { 'lib/parquet/a.ts': "import { parquetMetadata } from 'hyparquet/src/metadata.js'" }
  },
  {
    title: 'only lib/source/postgres.ts imports pg and its kin',
    offenders: importsThat(({ from, to }) => POSTGRES_DRIVER.includes(to) && from !== 'lib/source/postgres.ts'),
    bad: { 'pipelines/a.ts': "import type { Pool } from 'pg'" },
    good: { 'lib/source/postgres.ts': "import QueryStream from 'pg-query-stream'" }
  },
  {
    title: 'optional drivers are loaded by import() or named as types, never imported outright',
    offenders: importsThat(({ to, typeOnly, dynamic }) => OPTIONAL_DRIVERS.includes(to) && !typeOnly && !dynamic),
    bad: { 'lib/partition/redis.ts': "import { createClient, type RedisClientType } from 'redis'" },
    good: { 'lib/partition/redis.ts': "import type { Redis } from 'ioredis'; const redis = await import('redis')" }
  },
  {
    title: 'the SQL grammar stays under lib/sql',
    offenders: importsThat(({ from, to }) => SQL_GRAMMAR.includes(to) && !from.startsWith('lib/sql/')),
    bad: { 'lib/partition/a.ts': "const grammar = await import('pgsql-parser')" },
    good: { 'lib/sql/a.ts': "const grammar = await import('pgsql-parser')" }
  },
  {
    title: 'every imported package is a dependency or an optional peer in package.json',
    offenders: importsThat(({ to, local }) => !local && !/^(node|computed):/.test(to) && !forUsers.has(to)),
    bad: { 'lib/a.ts': "import { expect } from 'chai'" },
    good: { 'lib/parquet/a.ts': "import { parquetRead } from 'hyparquet'" }
  },
  {
    title: 'every import() names its package in the source, so no data can choose what is loaded',
    offenders: importsThat(({ to }) => to.startsWith(COMPUTED)),
    bad: { 'lib/a.ts': 'const driver = await import(name)' },
    good: { 'lib/a.ts': "const driver = await import('redis')" }
  },
  {
    title: `process.env is read in ${ENV_READERS.join(' and ')} and nowhere else`,
    offenders: syntaxThat((node, { path }) => !ENV_READERS.includes(path) && readsEnv(node)),
    bad: { 'lib/a.ts': "const { env } = process" },
    good: { 'cli/env.ts': 'export const home = process.env.HOME' }
  },
  {
    title: 'streams are joined by pipeline(), never by a bare .pipe()',
    offenders: syntaxThat(node => ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) &&
      node.expression.name.text === 'pipe'),
    bad: { 'streams/a.ts': 'source\n  .pipe(target)' },
    good: { 'streams/a.ts': '// source.pipe(target)\nawait pipeline(source, target)' }
  },
  {
    title: 'nothing is exported as default',
    offenders: syntaxThat(isDefaultExport),
    bad: { 'lib/a.ts': 'export default function a() {}' },
    good: { 'lib/a.ts': 'export function a() {}' }
  },
  {
    title: 'index.ts holds named re-exports and no code',
    offenders: tree => tree.filter(({ path }) => path === 'index.ts').flatMap(({ ast }) =>
      ast.statements.filter(statement => !isNamedReexport(statement)).map(statement => statement.getText(ast).split('\n')[0]!)),
    bad: { 'index.ts': "export * from './lib/errors.js'" },
    good: { 'index.ts': "export { MillraceError, type BatchFailure } from './lib/errors.js'" }
  },
  {
    title: `no file of lib, streams and pipelines is longer than ${MAX_LINES} lines`,
    offenders: tree => tree.filter(({ path }) => ['lib', 'streams', 'pipelines'].includes(layerOf(path)))
      .map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path}: ${lines} lines`),
    bad: { 'lib/a.ts': 'let a = 1\n'.repeat(MAX_LINES + 1) },
    good: { 'lib/a.ts': 'let a = 1\n'.repeat(MAX_LINES) }
  }
]

describe('the source tree', () => {
  const tree = treeOnDisk()

  it('is read as more than a handful of files, with imports between them', () => {
    expect(tree.length).to.be.greaterThan(10)
    expect(tree.flatMap(({ imports }) => imports).length).to.be.greaterThan(10)
  })

  it('imports only files that exist', () => {
    const missing = tree.flatMap(({ imports }) => imports).filter(({ to, local }) => local && !existsSync(join(root, to)))
    expect(missing.map(({ from, to }) => `${from} → ${to}`)).to.deep.equal([])
  })

  for (const { title, offenders } of rules) {
    it(title, () => { expect(offenders(tree)).to.deep.equal([]) })
  }
})

describe('the rules of the source tree', () => {
  for (const { title, offenders, bad, good } of rules) {
    it(`tell a breach from its like: ${title}`, () => {
      expect(offenders(treeOf(bad)), 'the bad example').to.have.length(1)
      expect(offenders(treeOf(good)), 'the good example').to.deep.equal([])
    })
  }
})
