import { expect } from 'chai'
import { emit, resetMetrics } from '../../../lib/queue/metrics.js'
import { openQueues } from '../../../lib/queue/open-queues.js'
import { prometheusText, servePrometheus } from '../../../lib/queue/prometheus.js'

describe('the Prometheus endpoint', () => {
  beforeEach(() => { resetMetrics() })

  it('shows what was counted, the depths of the queues and how long fragments took', async () => {
    const queues = await openQueues('memory')
    await queues.outgoing.push({ sql: 'SELECT 1', partitionKey: 'k' })
    emit('millrace:queue:fragment', { hash: 'h', partitionKey: 'k', end: 'stored', keys: 7, ms: 30 })
    emit('millrace:partition:lookup', { partitionKey: 'k', fragments: 2, hits: 1 })
    const endpoint = await servePrometheus({ queues, port: 0 })
    expect(endpoint.url).to.match(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    const answer = await fetch(endpoint.url)
    expect(answer.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/)
    const lines = (await answer.text()).split('\n')
    for (const line of ['millrace_fragments_total{end="stored"} 1', 'millrace_fragment_keys_total 7', 'millrace_partition_lookups_total{result="known"} 1', 'millrace_rate{of="hit"} 1',
      'millrace_queue_jobs_total{queue="outgoing",event="pushed"} 1', 'millrace_queue_depth{queue="outgoing",state="waiting"} 1', '# TYPE millrace_fragment_seconds histogram',
      'millrace_fragment_seconds_bucket{le="0.025"} 0', 'millrace_fragment_seconds_bucket{le="0.05"} 1', 'millrace_fragment_seconds_bucket{le="+Inf"} 1', 'millrace_fragment_seconds_sum 0.03']) {
      expect(lines).to.include(line)
    }
    expect((await fetch(endpoint.url.replace('/metrics', '/other'))).status).to.equal(404)
    await endpoint.close()
    await queues.close()
  })

  it('answers a scrape that it cannot serve with 503, and an address that is taken with a typed error', async () => {
    const queues = await openQueues('memory')
    const endpoint = await servePrometheus({ queues: { ...queues, incoming: { ...queues.incoming, counts: () => Promise.reject(new Error('the server is down')) } }, port: 0 })
    const answer = await fetch(endpoint.url)
    expect([answer.status, await answer.text()]).to.deep.equal([503, 'the server is down\n'])
    expect(await servePrometheus({ port: Number(new URL(endpoint.url).port) }).catch((error: unknown) => error)).to.include({ code: 'ERR_INVALID_ARGUMENT', argument: 'port' })
    await endpoint.close()
    expect(await prometheusText()).to.match(/millrace_troubles_total 0/)
    await queues.close()
  })
})
