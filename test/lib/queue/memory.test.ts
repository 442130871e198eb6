import { openQueues } from '../../../lib/queue/open-queues.js'
import { queueSuite } from './queue-suite.js'

queueSuite('memory', async () => ({ isShared: false, open: (_, options) => openQueues('memory', options), end: async () => {} }))
