import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import type { Witness } from './witness.js'

export interface ServeOptions {
  readonly host: string
  readonly port: number
  /** PEM. Without it plain HTTP: all that is said is public, and signed. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Told of what the witness could not do: its disk. */
  readonly onError: (error: unknown) => void
}

/** What strangers can ask of the witness. A checkpoint with 16 signatures of any size that are in use fits. */
const limits = {
  bodyBytes: 128 * 1024,
  connections: 256,
  headersMilliseconds: 5_000,
  requestMilliseconds: 10_000,
  idleMilliseconds: 90_000,
  requestsPerConnection: 1_000,
}

/** HTTP for a witness, with one address for both of its prefixes. Rejects when it cannot listen there. */
export async function serveWitness(witness: Witness, options: ServeOptions) {
  const onRequest = (request: IncomingMessage, response: ServerResponse) =>
    void answer(witness, request, response).catch((error: unknown) => {
      options.onError(error)
      if (response.headersSent) response.destroy()
      else send(response, 500, 'the witness could not do it\n')
    })
  const { headersMilliseconds: headersTimeout, requestMilliseconds: requestTimeout } = limits
  const times = { headersTimeout, requestTimeout, keepAliveTimeout: limits.idleMilliseconds }
  const server = options.tls
    ? createTlsServer({ ...options.tls, ...times, handshakeTimeout: headersTimeout }, onRequest)
    : createPlainServer(times, onRequest)
  server.maxConnections = limits.connections
  server.maxRequestsPerSocket = limits.requestsPerConnection
  await listen(server, options)
  const { port } = server.address() as AddressInfo // A TCP server that listens has one.
  return {
    port,
    close: () => new Promise<void>((resolve) => void server.close(() => resolve()).closeAllConnections()),
  }
}

async function answer(witness: Witness, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url?.split('?', 1)[0] ?? ''
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return send(response, 405, 'POST only\n')
    const body = await readBody(request)
    if (body === undefined) return send(response.setHeader('connection', 'close'), 413, 'too large\n')
    const { status, body: answered } = await witness.addCheckpoint(body)
    return send(response, status, answered, status === 409 ? 'text/x.tlog.size' : undefined)
  }
  const [, originHash] = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path) ?? []
  const checkpoint = originHash === undefined ? undefined : await witness.checkpointOf(originHash)
  if (checkpoint === undefined) return send(response, 404, 'nothing here\n')
  if (request.method !== 'GET') return send(response, 405, 'GET only\n')
  send(response, 200, checkpoint)
}

/** Undefined for one that is too large, of which no more is read. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > limits.bodyBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body)
}

function listen(server: Server, { host, port }: ServeOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
