/**
 * `node --import=tsx scripts/type-table.ts`: writes the tables of docs/types.md anew, from the code that implements them. With `--check`
 * it only says whether they are up to date. `test/types/documentation.test.ts` does the same.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cellsOf, columnOf } from '../lib/batch/cells.js'
import { listElement, widenTypes, type ColumnType, type FieldType } from '../lib/batch/column-type.js'
import { storageValueAs } from '../lib/batch/declare.js'
import { vectorOf } from '../lib/batch/infer.js'
import type { Vector } from '../lib/batch/vector.js'
import { schemaElements } from '../lib/parquet/schema.js'
import { readAs, type PgTypes } from '../lib/source/postgres-types.js'
import { decodeColumn } from '../lib/source/postgres-values.js'

const PAGE = fileURLToPath(new URL('../docs/types.md', import.meta.url))

/** A type as SQL writes it, its OID and modifier (or its name, for types that are looked up), and a value as the server prints it. */
const POSTGRES: readonly (readonly [sql: string, oid: number | string, text: string, modifier?: number, dimensions?: number])[] = [
  ['smallint, integer', 23, '42'], ['bigint', 20, '42'], ['oid', 26, '4294967295'],
  ['real', 700, '0.1'], ['double precision', 701, '0.1'],
  ['numeric(p,s), p ≤ 38, 0 ≤ s ≤ p', 1700, '12345678.90', ((10 << 16) | 2) + 4], ['numeric, other numeric(p,s)', 1700, '1.10'], ['money', 'money', '$1,234.50'],
  ['boolean', 16, 't'],
  ['text, varchar, name, citext', 25, 'text'], ['char(n)', 1042, 'ab  '], ['"char"', 'char', 'x'], ['bytea', 17, '\\x00ff'],
  ['date', 1082, '2024-02-29'], ['time', 1083, '12:34:56.789'], ['timetz', 'timetz', '12:34:56.789-03'],
  ['timestamp', 1114, '2024-01-02 03:04:05.678901'], ['timestamptz', 1184, '2024-01-02 03:04:05.678901+00'], ['interval', 'interval', 'P1Y2M3DT4H5M6S'],
  ['uuid', 2950, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'], ['json, jsonb', 3802, '{"a": [1, null]}'],
  ['enum `mood`', 'mood', 'sad'], ['domain', 23, '42'], ['range, multirange', 'int4range', '[1,6)'], ['inet, cidr, macaddr', 'inet', '10.0.0.1/8'], ['bit, bit varying', 'varbit', '1010'],
  ['xml', 'xml', '<a/>'], ['composite `pair`', 'pair', '(1,"a b")'], ['tsvector, point and whatever else', 'point', '(1,2)'], ['geometry, geography (PostGIS)', 'geometry', '0101'],
  ['integer[]', 1007, '{1,NULL,3}'], ['bigint[]', 1016, '{1,NULL}'], ['text[]', 1009, '{a,NULL}'], ['numeric(6,2)[]', 1231, '{1.00}', ((6 << 16) | 2) + 4], ['date[]', 1182, '{2024-02-29}'],
  ['timestamptz[]', 1185, '{"2024-01-02 03:04:05.678901+00"}'], ['bytea[]', 1001, '{"\\\\x00ff"}'], ['jsonb[]', 3807, '{"{\\"a\\": 1}"}'], ['enum `mood`[]', '_mood', '{sad}'],
  ['integer[][] (declared with two or more dimensions)', 1007, '{{1,2},{3,NULL}}', -1, 2],
]

/** JS values of every kind, as code. */
const VALUES: readonly (readonly [code: string, value: unknown])[] = [
  ['true', true], ['5', 5], ['5n', 5n], ['-0', -0], ['0.5', 0.5], ['NaN', NaN], ['2 ** 53', 2 ** 53], ['2n ** 53n', 2n ** 53n], ["'text'", 'text'], ["'5'", '5'], ["'0.50'", '0.50'],
  ["'2024-02-29'", '2024-02-29'], ["'12:34:56.789'", '12:34:56.789'], ["'2024-01-02 03:04:05.678901+02'", '2024-01-02 03:04:05.678901+02'], ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
  ["new Date('2024-02-29')", new Date('2024-02-29')], ['Uint8Array.of(0, 255)', Uint8Array.of(0, 255)], ['{ a: 1 }', { a: 1 }], ['[1, null]', [1, null]]
]

const DECLARABLE: readonly ColumnType[] = ['bool', 'int32', 'int64', 'float32', 'float64', 'decimal(5,2)', 'date', 'time', 'timestamp', 'timestamptz', 'uuid', 'text', 'json', 'bytes', 'list<int64>']

const LATTICE: readonly (readonly [name: string, type: FieldType])[] = [
  ['null', { type: 'null' }], ['bool', { type: 'bool' }], ['int32', { type: 'int32' }], ['int64', { type: 'int64' }], ['int64, some beyond ±2^53', { type: 'int64', wide: true }],
  ['float64', { type: 'float64' }], ['text', { type: 'text' }], ['date', { type: 'date' }], ['timestamptz', { type: 'timestamptz' }], ['bytes', { type: 'bytes' }], ['json', { type: 'json' }]]

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.map(cell).join(' | ')} |`).join('\n')
}

const code = (text: string): string => `\`${text}\``

/** A JS value as one would write it. */
function literal(value: unknown): string {
  if (value instanceof Date) return `new Date('${value.toISOString()}')`
  if (value instanceof Uint8Array) return `Uint8Array [${value.join(', ')}]`
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) return `{ ${Object.entries(value).map(([key, inner]) => `${key}: ${literal(inner)}`).join(', ')} }`
  return Object.is(value, -0) ? '-0' : String(value)
}

/** How Parquet names a column of this type. */
function parquetType(type: ColumnType): string {
  const elements = schemaElements([{ name: 'c', type, nullable: false }])
  const leaf = elements[elements.length - 1]!
  const logical = leaf.logical_type
  const annotation = logical?.type === 'DECIMAL' ? `DECIMAL(${logical.precision},${logical.scale})`
    : logical?.type === 'TIMESTAMP' || logical?.type === 'TIME' ? `${logical.type}(µs${logical.isAdjustedToUTC ? ', UTC' : ''})`
      : logical?.type ?? leaf.converted_type
  const physical = leaf.type === 'FIXED_LEN_BYTE_ARRAY' ? `FIXED_LEN_BYTE_ARRAY(${leaf.type_length})` : leaf.type!
  const plain = `${physical}${annotation ? ` ${annotation}` : ''}`
  return listElement(type) ? `LIST of ${plain}` : plain
}

/** The class of what `column()` gives where nothing is null. */
function columnClass(vector: Vector): string {
  const column = columnOf(vector)
  return ArrayBuffer.isView(column) ? column.constructor.name : 'array'
}

function postgresTable(): string {
  const types: PgTypes = new Map()
  const rows = POSTGRES.map(([sql, type, text, modifier = -1, dimensions = 1]) => {
    const oid = typeof type === 'number' ? type : 100_000 + types.size
    if (typeof type === 'string') {
      const element = type.startsWith('_') ? [...types].find(([, known]) => known.name === type.slice(1))![0] : 0
      types.set(oid, { name: type, base: 0, baseModifier: -1, element, sendsText: false, delimiter: ',' })
    }
    const as = readAs(oid, modifier, types, dimensions)
    const vector = decodeColumn([text], as, sql)
    return [sql, `${code(as.type)}${as.origin ? `, origin ${code(as.origin)}` : ''}`, parquetType(as.type), code(literal((cellsOf(vector) as unknown[])[0])), columnClass(vector)]
  })
  return table(['PostgreSQL', 'type in `schema`', 'Parquet', 'in a row, for example', '`column()` without nulls'], rows)
}

function inferredTable(): string {
  const rows = VALUES.map(([text, value]) => {
    const { vector, wide } = vectorOf([value])
    return [code(text), `${code(vector.type)}${wide ? ' (beyond ±2^53)' : ''}`, parquetType(vector.type), code(literal((cellsOf(vector) as unknown[])[0])), columnClass(vector)]
  })
  return table(['a fetcher gives', 'type in `schema`', 'Parquet', 'in a row', '`column()` without nulls'], rows)
}

function declaredTable(): string {
  const rows = DECLARABLE.map(type => {
    const taken = VALUES.flatMap(([text, value]) => {
      let stored: unknown
      try {
        stored = storageValueAs(type, value)
      } catch {
        return []
      }
      if (stored === undefined) return []
      const { vector } = vectorOf([value], { type })
      const cell = literal((cellsOf(vector) as unknown[])[0])
      return [cell === literal(value) ? code(text) : `${code(text)} → ${code(cell)}`]
    })
    return [code(type), type === 'json' ? 'whatever has a JSON form, as it is' : taken.join(', ')]
  })
  return table(['declared', 'takes, of the values above (→ what the row then holds)'], rows)
}

function latticeTable(dotted: boolean): string {
  const shown = (a: FieldType, b: FieldType): string => {
    const wider = widenTypes(a, b, dotted)
    return wider ? `${code(wider.type)}${wider.wide ? ' (beyond)' : ''}` : '–'
  }
  return table(['', ...LATTICE.map(([name]) => name)], LATTICE.map(([name, a]) => [name, ...LATTICE.map(([, b]) => shown(a, b))]))
}

/** The page with every table made anew. */
export function renderPage(page: string): string {
  const tables: Record<string, () => string> = { postgres: postgresTable, inferred: inferredTable, declared: declaredTable, plain: () => latticeTable(false), dotted: () => latticeTable(true) }
  return Object.entries(tables).reduce((text, [name, make]) => {
    const [begin, end] = [`<!-- table: ${name} -->\n`, '\n<!-- end of table -->']
    const from = text.indexOf(begin)
    if (from === -1) throw new Error(`docs/types.md has no place for the table ${name}`)
    const to = text.indexOf(end, from)
    return text.slice(0, from + begin.length) + make() + text.slice(to)
  }, page)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = readFileSync(PAGE, 'utf8')
  const rendered = renderPage(page)
  if (process.argv.includes('--check')) process.exitCode = rendered === page ? 0 : 1
  else writeFileSync(PAGE, rendered)
}
