import { memoryBackend } from '../../../../lib/partition/backends/memory.js'
import { partitionBackendSuite } from './backend-suite.js'

partitionBackendSuite('memory', async () => ({ open: async () => memoryBackend(), end: async () => {} }))
