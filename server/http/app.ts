import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import { isIPv6 } from 'node:net'
import { type SecureContextOptions, TLSSocket } from 'node:tls'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastifySwagger from '@fastify/swagger'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyContextConfig,
  type FastifyInstance,
  type FastifyRequest,
} from 'fastify'
import { joinLimits, type Route } from '#protocol'
import { peerCertificateOf } from '#x509'
import { noteConnections } from './connected-at.js'
import { shareConnections } from './connection-shares.js'
import { answerProblem, answerUnknownRoute } from './problems.js'

/** What every face is registered on. */
export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBoxTypeProvider>

export interface HttpOptions {
  readonly version: string
  readonly tls: { readonly key: string; readonly cert: string }
  readonly log: boolean
}

/** Bounds on what a stranger can make us hold and for how long. */
const limits = {
  maxBodyBytes: 16 * 1024,
  maxHeaderBytes: 8 * 1024,
  maxConnections: 4096,
  maxConnectionsOfSource: 256,
  handshakeMilliseconds: 10_000,
  headersMilliseconds: 10_000,
  requestMilliseconds: 20_000,
  idleMilliseconds: 10_000,
  /** How often the times of headers and requests are looked at; Node's own half minute would triple them. */
  checkMilliseconds: 2_000,
} as const

/** Bodies that may be larger than an ordinary request's. */
export const bodyLimits = {
  join: joinLimits.maxRequestBytes,
  policy: 256 * 1024,
  pcrPolicy: 64 * 1024,
  devices: 1024 * 1024,
  diff: 2 * 256 * 1024,
} as const

/**
 * HTTPS with TLS 1.3 only. A client certificate is asked for and never judged here: each face looks at what came and
 * admits for itself. Nothing that a proxy might add (Forwarded, client certificate headers) is ever read.
 */
export async function createApp({ version, tls, log }: HttpOptions): Promise<App> {
  const app = Fastify({
    https: {
      ...secured(tls),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMilliseconds,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: limits.checkMilliseconds,
    },
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: limits.requestMilliseconds,
    keepAliveTimeout: limits.idleMilliseconds,
    forceCloseConnections: 'idle',
    trustProxy: false,
    exposeHeadRoutes: false,
    // A path that cannot be read, or is of no sane length, is nowhere.
    frameworkErrors: (_error, request, reply) => answerUnknownRoute(request, reply),
    logger: log && { level: 'info', stream: process.stderr },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } },
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.server.headersTimeout = limits.headersMilliseconds
  app.server.maxConnections = limits.maxConnections
  noteConnections(app.server)
  shareConnections(app.server, limits.maxConnectionsOfSource)
  // Handlers are held to their answer's schema by the compiler; at run time plain JSON is the same and starts at once.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.setErrorHandler(answerProblem)
  app.setNotFoundHandler(answerUnknownRoute)
  await app.register(fastifySwagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Touchmark', version } },
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  return app
}

/** All that a handshake goes by: a new context for the server keeps nothing of the one before. */
export function secured(tls: HttpOptions['tls']): SecureContextOptions {
  return { ...tls, minVersion: 'TLSv1.3' }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Absent where nothing of the protocol is served: nobody is admitted there as an operator. */
    readonly route?: Route
  }
}

/** Where a route of protocol/api/routes.ts is served, and who may call it. */
export function at(route: Route): { method: Route['method']; url: string; config: FastifyContextConfig } {
  return { method: route.method, url: route.path, config: { route } }
}

/** The client certificate as it came, DER, unverified; and who holds the other end, for the records. */
export interface Peer {
  readonly der?: Uint8Array
  readonly address: string
  readonly socket: TLSSocket
}

export function peerOf(request: FastifyRequest): Peer {
  const { socket } = request.raw
  if (!(socket instanceof TLSSocket)) throw new TypeError('served on TLS only')
  const der = peerCertificateOf(socket)
  return {
    ...(der !== undefined && { der }),
    address: formatAddress(socket.remoteAddress ?? '?', socket.remotePort ?? 0),
    socket,
  }
}

/** `host:port`, an IPv6 address in brackets: without them its port would read as a part of it. */
export function formatAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}
