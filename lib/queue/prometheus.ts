import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { InvalidArgumentError, MissingDependencyError } from '../errors.js'
import { BUCKETS_MS, metrics, type Durations, type Metrics } from './metrics.js'
import type { Queues } from './queue.js'

/** What the endpoint shows, and where. */
export interface PrometheusOptions {
  /** Adds the depths of these queues. */
  queues?: Queues | undefined
  /** Default 127.0.0.1: whoever can reach it reads it. */
  host?: string | undefined
  /** Default 9464; 0 takes a free one. */
  port?: number | undefined
}

/** A listening endpoint. */
export interface PrometheusEndpoint {
  readonly url: string
  close(): Promise<void>
}

type Client = typeof import('prom-client')

async function loadClient(): Promise<Client> {
  try {
    return await import('prom-client')
  } catch (cause) {
    throw new MissingDependencyError({ package: 'prom-client', purpose: 'the Prometheus endpoint', cause })
  }
}

const QUEUES = ['incoming', 'outgoing'] as const

/** Text of the counters, the gauges and the histograms, under `millrace_…`; durations in seconds, as Prometheus has them. */
function textOf({ Registry, Counter, Gauge }: Client, found: Metrics): Promise<string> {
  const register = new Registry()
  const counter = (name: string, help: string, values: Readonly<Record<string, number>>, label: string): void => {
    const one = new Counter({ name: `millrace_${name}`, help, labelNames: [label, 'queue'], registers: [register] })
    for (const [value, count] of Object.entries(values)) one.inc({ [label]: value }, count)
  }
  const { lookups, queries, fragments } = found
  counter('partition_lookups_total', 'look-ups of queries in the partition cache', { known: lookups.known, unknown: lookups.count - lookups.known }, 'result')
  const jobs = new Counter({ name: 'millrace_queue_jobs_total', help: 'jobs by queue and by what happened to them', labelNames: ['queue', 'event'], registers: [register] })
  for (const queue of QUEUES) for (const [event, count] of Object.entries(found.queues[queue])) jobs.inc({ queue, event }, count)
  counter('queries_total', 'queries decomposed, or refused', { decomposed: queries.decomposed, failed: queries.failed }, 'end')
  const { durations, keys, ...ends } = fragments
  counter('fragments_total', 'fragments by how they ended', ends, 'end')
  new Counter({ name: 'millrace_fragment_keys_total', help: 'partition keys in stored sets', registers: [register] }).inc(keys)
  new Counter({ name: 'millrace_troubles_total', help: 'times a server failed a worker', registers: [register] }).inc(found.troubles)
  const rates = { hit: found.hitRate, fragment_hit: found.fragmentHitRate, error: found.errorRate }
  const rate = new Gauge({ name: 'millrace_rate', help: 'shares from 0 to 1; absent while there is nothing to divide by', labelNames: ['of'], registers: [register] })
  for (const [of, value] of Object.entries(rates)) if (value !== undefined) rate.set({ of }, value)
  if (found.depths) {
    const depth = new Gauge({ name: 'millrace_queue_depth', help: 'jobs in the queues', labelNames: ['queue', 'state'], registers: [register] })
    for (const queue of QUEUES) for (const [state, count] of Object.entries<number>({ ...found.depths[queue] })) depth.set({ queue, state }, count)
  }
  return register.metrics().then(text => text + histogram('millrace_query_seconds', queries.durations) + histogram('millrace_fragment_seconds', durations))
}

/** The buckets are counted where it happens; prom-client can only count for itself. */
function histogram(name: string, { count, totalMs, buckets }: Durations): string {
  const lines = [...buckets.map((below, i) => `${name}_bucket{le="${(BUCKETS_MS[i] ?? Infinity) / 1000}"} ${below}`), `${name}_bucket{le="+Inf"} ${count}`, `${name}_sum ${totalMs / 1000}`, `${name}_count ${count}`]
  return `\n# HELP ${name} how long they took\n# TYPE ${name} histogram\n${lines.join('\n')}\n`
}

/**
 * What this process counted, in the text format of Prometheus.
 * @throws {MissingDependencyError} prom-client is not installed
 */
export async function prometheusText({ queues }: Pick<PrometheusOptions, 'queues'> = {}): Promise<string> {
  const client = await loadClient()
  return textOf(client, await metrics({ queues }))
}

/**
 * Serve `GET /metrics`, by default to this machine only. A scrape that cannot be answered is a 503 that says why.
 *
 * @throws {MissingDependencyError} prom-client is not installed
 * @throws {InvalidArgumentError} the address cannot be listened on
 */
export async function servePrometheus({ queues, host = '127.0.0.1', port = 9464 }: PrometheusOptions = {}): Promise<PrometheusEndpoint> {
  const client = await loadClient()
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics\n')
      return
    }
    metrics({ queues }).then(found => textOf(client, found)).then(
      text => response.writeHead(200, { 'content-type': client.Registry.PROMETHEUS_CONTENT_TYPE }).end(text),
      (error: unknown) => response.writeHead(503, { 'content-type': 'text/plain' }).end(`${error instanceof Error ? error.message : String(error)}\n`))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause => { reject(new InvalidArgumentError({ argument: 'port', expected: 'an address that can be listened on', found: `${host}:${port}`, cause })) })
    server.listen(port, host, resolve)
  })
  const { address, port: actual, family } = server.address() as AddressInfo
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${actual}/metrics`,
    close: () => new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}
