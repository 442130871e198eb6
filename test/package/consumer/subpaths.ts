import { applyCache, createCache, openQueues, type PartitionCache } from 'millrace/partition'
import { mysqlSource } from 'millrace/sources/mysql'
import { sqliteSource } from 'millrace/sources/sqlite'

// what needs no driver works without any; what needs one says which
const cache: PartitionCache = await createCache('memory', 'region', 'integer')
await cache.setSet('h', new Set([1, 2]))
const { stats } = await applyCache('SELECT * FROM poi WHERE kind = 1', { cache })
const queues = await openQueues('memory')
await queues.close()
if (stats.narrowed || ![mysqlSource, sqliteSource].every(source => typeof source === 'function')) throw new Error('not what was installed')
