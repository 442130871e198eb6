// needs: postgres
import { openQueues } from '../../../lib/queue/open-queues.js'
import { testDatabase } from '../../support/postgres.js'
import { queueSuite } from './queue-suite.js'

queueSuite('postgresql', async () => {
  const { url, drop } = await testDatabase()
  return { isShared: true, open: (tablePrefix, options) => openQueues('postgresql', { connectionString: url, tablePrefix, ...options }), end: drop }
})
