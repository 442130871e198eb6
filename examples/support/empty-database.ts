import { createServer, type AddressInfo } from 'node:net'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

/** Start an empty PostgreSQL (WASM, in memory) that listens on loopback. One connection at a time. */
export async function startEmptyDatabase(): Promise<{ url: string, stop(): Promise<void> }> {
  const db = await PGlite.create()
  const port = await new Promise<number>((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address() as AddressInfo
      probe.close(() => resolve(free))
    })
  })
  const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port })
  await server.start()
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    async stop() {
      await server.stop()
      await db.close()
    }
  }
}
