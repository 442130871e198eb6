import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import pg from 'pg'

/** One flight of vega-datasets: minutes late, miles, hour of departure. */
interface Flight { delay: number, distance: number, time: number }

/** A real PostgreSQL inside this process, with real flights in it. */
export interface FlightsDatabase {
  /** One connection: the embedded server has one backend. */
  pool: pg.Pool
  flights: number
  /** Statements that arrived at the server so far. */
  statements(): number
  stop(): Promise<void>
}

// the wire protocol's messages that make the server run something: Query and Bind
const RUNS: ReadonlySet<number | undefined> = new Set([0x51, 0x42])

/** Start PostgreSQL (WASM, in memory), load flights into `public.flights`, and listen on loopback. */
export async function startFlightsDatabase(limit: number): Promise<FlightsDatabase> {
  const db = await PGlite.create()
  const flights = await loadFlights(db, limit)
  const statements = countStatements(db)
  const port = await freePort()
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port })
  await server.start()
  const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres', max: 1 })
  const stop = async (): Promise<void> => {
    await pool.end()
    await server.stop()
    await db.close()
  }
  return { pool, flights, statements, stop }
}

/** A table with a plain column and a JSON one, both made of the flights' own fields. */
async function loadFlights(db: PGlite, limit: number): Promise<number> {
  const file = new URL('../data/flights-200k.json', import.meta.resolve('vega-datasets'))
  const flights = (JSON.parse(await readFile(file, 'utf8')) as Flight[]).slice(0, limit)
  await db.exec('CREATE TABLE flights (id bigint PRIMARY KEY, delay integer, details jsonb)')
  const lines = flights.map(({ delay, distance, time }, i) =>
    `${i + 1}\t${delay}\t${JSON.stringify({ route: { distance }, departure: { hour: time } })}\n`)
  await db.query("COPY flights FROM '/dev/blob'", [], { blob: new Blob(lines) })
  return flights.length
}

function countStatements(db: PGlite): () => number {
  const run = db.execProtocolRawStream.bind(db)
  let count = 0
  db.execProtocolRawStream = (message, options) => {
    if (RUNS.has(message[0])) count++
    return run(message, options)
  }
  return () => count
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return port
}
