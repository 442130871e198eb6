import { stopSharedMariaDb } from './mariadb.js'
import { stopSharedPostgres } from './postgres.js'

// a process that a test starts loads other texts of the same files: merged with this process's, its counts would be wrong
delete process.env['NODE_V8_COVERAGE']

/** What mocha runs once around everything: `--require test/support/hooks.ts`. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    await Promise.all([stopSharedPostgres(), stopSharedMariaDb()])
  },
}
