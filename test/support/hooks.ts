import { stopSharedMariaDb } from './mariadb.js'
import { stopSharedPostgres } from './postgres.js'

/** What mocha runs once around everything: `--require test/support/hooks.ts`. */
export const mochaHooks = {
  async afterAll(): Promise<void> {
    await Promise.all([stopSharedPostgres(), stopSharedMariaDb()])
  },
}
