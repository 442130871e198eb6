// needs: redis
import { openQueues } from '../../../lib/queue/open-queues.js'
import { startRedis, startRedisCluster } from '../../support/redis.js'
import { clientOf } from '../../support/redis-clients.js'
import { queueSuite } from './queue-suite.js'

for (const driver of ['redis', 'ioredis'] as const) {
  for (const [where, start] of [['', startRedis], [' on a cluster', startRedisCluster]] as const) {
    queueSuite(`redis by ${driver}${where}`, async () => {
      const server = await start()
      const { client, end } = await clientOf(server, driver)
      return {
        isShared: true, open: (keyPrefix, options) => openQueues('redis', { client, keyPrefix, ...options }),
        async end() {
          await end()
          await server.stop()
        }
      }
    })
  }
}
