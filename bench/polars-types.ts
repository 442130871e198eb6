/**
 * Does Polars see the types and values of our files? Not a measurement: a second judge beside DuckDB, here because only bench/ installs
 * nodejs-polars. `node --import=tsx bench/polars-types.ts`; one line per column, exit code 1 where one differs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromColumns, getData, openCache } from '../index.js'

const UUID = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'

/** Declared type, values (then a null), Polars' name of the type, and the values as its own cast to text prints them (times without their fraction); undefined where it casts none. */
const COLUMNS: Record<string, { type: string, values: readonly unknown[], polars: RegExp, texts?: readonly string[] }> = {
  bool: { type: 'bool', values: [true, false], polars: /^Bool/, texts: ['true', 'false'] },
  int32: { type: 'int32', values: [-2147483648, 2147483647], polars: /^Int32/, texts: ['-2147483648', '2147483647'] },
  int64: { type: 'int64', values: [9007199254740993n, -(2n ** 63n)], polars: /^Int64/, texts: ['9007199254740993', '-9223372036854775808'] },
  float32: { type: 'float32', values: [0.5, Infinity], polars: /^Float32/, texts: ['0.5', 'inf'] },
  float64: { type: 'float64', values: [0.1, NaN], polars: /^Float64/, texts: ['0.1', 'NaN'] },
  text: { type: 'text', values: ['ü😀', ''], polars: /^(String|Utf8)/, texts: ['ü😀', ''] },
  json: { type: 'json', values: [{ a: 1 }, []], polars: /^(String|Utf8|Binary)/, texts: ['{"a":1}', '[]'] },
  date: { type: 'date', values: ['2024-02-29', '1969-12-31'], polars: /^Date/, texts: ['2024-02-29', '1969-12-31'] },
  time: { type: 'time', values: ['23:59:59.999999', '00:00:00'], polars: /^Time/, texts: ['23:59:59', '00:00:00'] },
  timestamp: { type: 'timestamp', values: ['2024-02-29 01:02:03.456789', '1969-12-31 23:59:59.999999'], polars: /^Datetime/, texts: ['2024-02-29 01:02:03.456789', '1969-12-31 23:59:59.999999'] },
  timestamptz: { type: 'timestamptz', values: ['2024-02-29 01:02:03.456789+00', '1969-12-31 23:59:59.999999+00'], polars: /^Datetime/, texts: ['2024-02-29 01:02:03.456789+00:00', '1969-12-31 23:59:59.999999+00:00'] },
  small: { type: 'decimal(5,2)', values: ['-999.99', '1.50'], polars: /^Decimal/, texts: ['-999.99', '1.50'] },
  large: { type: 'decimal(38,10)', values: ['9999999999999999999999999999.9999999999', '-0.0000000010'], polars: /^Decimal/, texts: ['9999999999999999999999999999.9999999999', '-0.0000000010'] },
  uuid: { type: 'uuid', values: [UUID, UUID], polars: /^(Binary|FixedSizeBinary|String)/ },
  bytes: { type: 'bytes', values: [Uint8Array.of(0, 255), new Uint8Array(0)], polars: /^Binary/ },
  list: { type: 'list<int64>', values: [[1, null, 3], []], polars: /^List/ },
  days: { type: 'list<date>', values: [['2024-02-29', null], []], polars: /^List/ },
}

interface Series { dtype: unknown, cast(type: unknown): Series, toArray(): unknown[] }
interface Polars { readParquet(path: string): { getColumn(name: string): Series }, Utf8: unknown }

/** Its types without their wrapping; those it has no JS form for it names in an error. */
function typeOf(series: Series): string {
  try {
    return JSON.stringify(series.dtype).replaceAll(/\{"DataType":|["{}]/g, '')
  } catch (error) {
    return /DataType (\w+)/.exec(String(error))?.[1] ?? String(error)
  }
}

// a variable: bench/ alone installs it, and the type check must not look for it
const polarsPackage: string = 'nodejs-polars'
const { default: polars } = await import(polarsPackage) as { default: Polars }
const dir = mkdtempSync(join(tmpdir(), 'millrace-polars-'))
let wrong = 0
try {
  const names = Object.keys(COLUMNS)
  const rows = fromColumns({ id: [1, 2, 3], ...Object.fromEntries(names.map(name => [name, [...COLUMNS[name]!.values, null]])) }, { types: Object.fromEntries(names.map(name => [name, COLUMNS[name]!.type])) })
  const cache = await openCache({ dir })
  await getData({ ids: [1, 2, 3], columns: names, table: 'public.t', cache, fetcher: async () => await Promise.resolve(rows) })
  const file = join(dir, 'exported.parquet')
  await cache.export({ table: 'public.t', file })
  await cache.close()
  const frame = polars.readParquet(file)
  for (const [name, { type, polars: expected, texts }] of Object.entries(COLUMNS)) {
    const series = frame.getColumn(name)
    const seen = typeOf(series)
    const values = texts ? series.cast(polars.Utf8).toArray() : []
    const right = expected.test(seen) && (!texts || [...texts, null].every((text, i) => text === null ? values[i] === null
      : text.includes(':') ? String(values[i]).startsWith(text) : values[i] === text))
    if (!right) wrong++
    console.log(`${right ? 'right' : 'WRONG'}  ${type.padEnd(16)} ${seen}  ${texts ? JSON.stringify(values) : ''}`)
  }
  console.log(`${names.length - wrong} of ${names.length} columns as they should be`)
} finally {
  rmSync(dir, { recursive: true, force: true })
}
process.exitCode = wrong === 0 ? 0 : 1
