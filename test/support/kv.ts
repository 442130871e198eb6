import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder for an embedded database, not made yet, and a way to be rid of it. */
export function databaseFolder(): { path: string, remove(): void } {
  const home = mkdtempSync(join(tmpdir(), 'millrace-kv-'))
  return { path: join(home, 'nested', 'db'), remove: () => { rmSync(home, { recursive: true, force: true }) } }
}
