import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Metrics } from './metrics.js'

export interface Check {
  readonly name: 'store' | 'signer' | 'audit' | 'broker' | 'disk'
  /** Undefined when all is well, else what is not, in words. */
  readonly problem: () => Promise<string | undefined> | string | undefined
  /** What someone should look at although all is well. */
  readonly warning?: () => string | undefined
}

export interface Health {
  readonly port: number
  close(): Promise<void>
}

/** `/livez`, `/readyz` and, once there are any, `/metrics` for those who watch the machine: plain HTTP, and nothing about any device. */
export async function serveHealth(
  { host, port }: { readonly host: string; readonly port: number },
  checks: readonly Check[],
  metrics?: Metrics,
): Promise<Health> {
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    const path = request.url?.split('?', 1)[0]
    if (request.method !== 'GET') return answer(response, 405, { error: 'GET only' })
    if (path === '/livez') return answer(response, 200, { live: true })
    if (path === '/readyz') return void answerReady(response, checks)
    if (path === '/metrics' && metrics) return void answerMetrics(response, metrics)
    answer(response, 404, { error: 'only /livez, /readyz and /metrics are here' })
  })
  await listen(server, host, port)
  const { port: bound } = server.address() as AddressInfo // A TCP server that listens has one.
  return {
    port: bound,
    close: () => new Promise((resolve) => void server.close(() => resolve()).closeAllConnections()),
  }
}

async function answerReady(response: ServerResponse, checks: readonly Check[]): Promise<void> {
  const results = await Promise.all(checks.map(runCheck))
  const ready = results.every(({ ok }) => ok)
  answer(response, ready ? 200 : 503, {
    ready,
    checks: Object.fromEntries(results.map(({ name, ...result }) => [name, result])),
  })
}

interface CheckResult {
  readonly name: string
  readonly ok: boolean
  readonly problem?: string
  readonly warning?: string
}

async function runCheck({ name, problem, warning }: Check): Promise<CheckResult> {
  try {
    const found = await problem()
    const warned = warning?.()
    const said = warned === undefined ? {} : { warning: warned }
    return found === undefined ? { name, ok: true, ...said } : { name, ok: false, problem: found, ...said }
  } catch (error) {
    return { name, ok: false, problem: error instanceof Error ? error.message : 'unknown' }
  }
}

async function answerMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    const text = await metrics.text()
    response.writeHead(200, { 'content-type': metrics.contentType }).end(text)
  } catch (error) {
    answer(response, 500, { error: error instanceof Error ? error.message : 'unknown' })
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
