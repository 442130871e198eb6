import { lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { expect } from 'chai'
import { formatTableName, parseTableName, tableFolder, type TableName } from '../../lib/store/table-name.js'
import { openCache } from '../../lib/store/open-cache.js'
import { getData } from '../../pipelines/get-data.js'
import { rejection } from '../support/collect.js'
import { seeded } from '../support/random.js'
import { counts, folderInMemory, shortOrLong } from './support/rows.js'

/** Names that one file system or another, or a naive rule, takes for each other, or for something else. */
const NASTY: readonly (readonly [string, string])[] = [
  ['a_b', 'c'], ['a', 'b_c'], ['a', 'b.c'], ['a.b', 'c'], ['public', 't'], ['public', 't_part2'], ['public', 't-part2'], ['Public', 't'], ['public', 'T'], ['PUBLIC', 'T'],
  ['public', 'é'], ['public', 'e\u0301'], ['public', 'ﬁ'], ['public', 'fi'], ['public', 'ß'], ['public', 'ss'], ['public', 'ı'], ['public', 'i'], ['public', 'İ'],
  ['..', '..'], ['.', '..'], ['..', '../../x'], ['../../x', 't'], ['/etc', 'passwd'], ['c:\\windows', 'x'], ['public', '../t'], ['public', 't/../t'],
  ['con', 'x'], ['CON', 'x'], ['con.x', 'y'], ['nul', 'nul'], ['aux.txt', 'x'], ['com1', 't'], ['public', 'con'], ['public', 't.'], ['public', 't '], [' public', 't'], ['public', '~'],
  ['public', 'x'.repeat(300)], ['public', `${'x'.repeat(299)}y`], ['x'.repeat(150), 'x'.repeat(150)], ['x'.repeat(151), 'x'.repeat(149)], ['public', 'é'.repeat(300)],
  ['public', '\u202Etxt.exe'], ['public', '😀'], ['public', 'a\nb'], ['public', 'a\tb'], ['public', '"quoted"'], ['public', "it's"], ['public', '%41'], ['public', 'A'], ['public', '%'], ['public', 'a%2eb'],
  ['public', 'a.b'], ['public', 't=id'], ['public', 't~0'], ['manifest-0000000001', 'json'], ['tmp-1-x', 'y'], ['__proto__', 'constructor'], ['public', '-rf'], ['public', '*']
]

const quoted = ([schema, table]: readonly [string, string]): string => formatTableName({ schema, table })

/** A folder as file systems compare them that fold case and normalise. */
const folded = (folder: string): string => folder.normalize('NFKC').toUpperCase().toLowerCase().replace(/[. ]+$/, '')

/** Whether a folder is a plain name that stays inside whatever it is put into. */
function staysInside(folder: string): boolean {
  const path = relative('/cache', join('/cache', folder))
  return path === folder && path !== '' && !path.startsWith('..') && !isAbsolute(path) && !/[/\\\0]/.test(folder) && Buffer.byteLength(folder) <= 255
}

describe('table names', function () {
  this.timeout(120_000)

  it('have a folder each, in the cache, and never another table\'s row', async () => {
    const root = folderInMemory('names')
    const dir = join(root, 'a', 'b', 'cache')
    mkdirSync(dir, { recursive: true })
    const cache = await openCache({ dir, durability: 'none' })
    try {
      for (const [n, name] of NASTY.entries()) {
        await getData({ cache, ids: [1, 2], columns: ['owner'], table: quoted(name), fetcher: async ids => ids.map(id => ({ id, owner: n })) })
      }
      const none = async (): Promise<never[]> => []
      for (const [n, name] of NASTY.entries()) {
        const rows = (await getData({ cache, ids: [1, 2], columns: ['owner'], table: quoted(name), fetcher: none })).toRows()
        expect(rows, JSON.stringify(name)).to.deep.equal([{ id: 1, owner: n }, { id: 2, owner: n }])
      }
      const folders = readdirSync(dir)
      expect(folders).to.have.length(NASTY.length)
      expect(new Set(folders.map(folded)).size).to.equal(NASTY.length)
      for (const folder of folders) expect([folder, lstatSync(join(dir, folder)).isDirectory()]).to.deep.equal([folder, true])
      // nothing beside it, on no level
      expect([readdirSync(root), readdirSync(join(root, 'a')), readdirSync(join(root, 'a', 'b'))]).to.deep.equal([['a'], ['b'], ['cache']])
      expect((await cache.tables()).map(({ table }) => table).sort()).to.deep.equal(NASTY.map(quoted).sort())
      expect((await cache.verify()).ok).to.equal(true)
      counts('nasty names', { 'tables': NASTY.length, 'folders': folders.length })
    } finally {
      await cache.close()
      rmSync(root, { recursive: true })
    }
  })

  it('that are no names are refused, and nothing is made', async () => {
    const dir = folderInMemory('names')
    const cache = await openCache({ dir, durability: 'none' })
    try {
      for (const table of ['', 't', '.t', 'a.', 'a.b.c', 'a.b\0', 'a\0.b', '"a"."b', 'a."b"c', '""."b"', 'a.\uD800', 5, null, undefined, {}]) {
        const error = await rejection((async () => await getData({ cache, ids: [1], columns: ['x'], table: table as string, fetcher: async () => [] }))())
        expect(error, String(table)).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'table' })
      }
      expect(readdirSync(dir)).to.deep.equal([])
    } finally {
      await cache.close()
      rmSync(dir, { recursive: true })
    }
  })

  it('in thousands of random pairs, alike and not, never share a folder or leave the cache', () => {
    const rounds = shortOrLong(10_000, 200_000)
    const random = seeded(47)
    const alphabet = [...'aAbB_-.%~= /\\"\'é😀0', 'e\u0301', '\u00e9', '..', 'con', 'NUL', 'x'.repeat(70), '\n', '\u202e', '%41', '__']
    const text = (): string => Array.from({ length: 1 + random.below(5) }, () => random.pick(alphabet)).join('')
    // one edit away from the first, or the same letters with the dot elsewhere
    const near = ({ schema, table }: TableName): TableName => {
      const edit = (part: string): string => part.replace(random.pick([...part]), random.pick(alphabet)) || 'x'
      switch (random.below(4)) {
        case 0: return { schema: edit(schema), table }
        case 1: return { schema, table: edit(table) }
        case 2: return { schema: `${schema}${table.slice(0, 1)}`, table: table.slice(1) || 'x' }
        default: return { schema: text(), table: text() }
      }
    }
    let different = 0
    for (let round = 0; round < rounds; round++) {
      const one: TableName = { schema: text(), table: text() }
      const other = near(one)
      const namespaces = [random.pick(['', text()]), random.pick(['', text()])] as const
      const idColumns = [random.pick(['id', text()]), random.pick(['id', text()])] as const
      const same = JSON.stringify([one, namespaces[0], idColumns[0]]) === JSON.stringify([other, namespaces[1], idColumns[1]])
      const folders = [tableFolder(one, namespaces[0], idColumns[0]), tableFolder(other, namespaces[1], idColumns[1])] as const
      for (const folder of folders) if (!staysInside(folder)) expect.fail(`${JSON.stringify(one)}: ${folder}`)
      if ((folded(folders[0]) === folded(folders[1])) !== same) expect.fail(`${JSON.stringify([one, other, namespaces, idColumns])} share ${folders[0]}`)
      if (!same) different++
      // the text of a name means that name
      expect(parseTableName(formatTableName(one))).to.deep.equal(one)
    }
    counts('random pairs of names', { rounds, different, 'shared': 0, 'outside': 0 })
    expect(different).to.be.greaterThan(rounds * 0.8)
  })
})
