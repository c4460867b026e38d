import { createServer, type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import type { BrokerLimits } from '../limits.js'
import type { Arrival } from './arrival.js'
import type { Transport } from './transport.js'
import { WebSocketTransport } from './websocket-transport.js'

/** Paths that lead to MQTT: the one that clients use by custom, and the one of a client that was told none. */
const paths: readonly (string | undefined)[] = ['/mqtt', '/']

/** Why a request is turned away; all that the client learns. */
type Refusal = readonly [status: 400 | 403 | 404 | 426, why: string]

/**
 * MQTT over WebSocket (MQTT 5.0 §6) on TLS connections that are made already. Whatever is not a request for that gets a
 * short answer of plain HTTP, and the end.
 */
export function acceptWebSockets({
  limits,
  elapsed,
  welcome,
  allowedOrigins,
}: {
  readonly limits: BrokerLimits
  readonly elapsed: () => number
  readonly welcome: (transport: Transport) => void
  readonly allowedOrigins: readonly string[]
}): (socket: TLSSocket, arrival: Arrival) => void {
  const arrivals = new WeakMap<Duplex, { readonly socket: TLSSocket; readonly arrival: Arrival }>()
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false, // memory for each client, and a few bytes that unfold to many
    maxPayload: limits.maxPacketBytes,
    maxFragments: limits.maxFragments,
    handleProtocols: () => 'mqtt', // [MQTT-6.0.0-4]
  })
  const http = createServer({ maxHeaderSize: limits.maxUpgradeBytes })

  const turnAway = (stream: Duplex, [status, why]: Refusal): void => {
    const { socket, arrival } = arrivals.get(stream) ?? {}
    arrival?.record('upgrade', why)
    stream.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nUpgrade: websocket\r\n` +
        `Content-Type: text/plain\r\nContent-Length: ${why.length + 1}\r\n\r\n${why}\n`,
    )
    socket?.destroySoon()
  }
  http.on('request', ({ socket }) => turnAway(socket, [426, 'this port speaks MQTT over WebSocket']))
  http.on('clientError', (_, stream) => turnAway(stream, [400, 'not a request']))
  webSockets.on('wsClientError', ({ message }, stream) => turnAway(stream, [400, message]))
  http.on('upgrade', (request, stream, head) => {
    const { socket, arrival } = arrivals.get(stream) ?? {}
    if (!socket || !arrival) return void stream.destroy()
    const refusal = judge(request, allowedOrigins)
    if (refusal) return turnAway(stream, refusal)
    webSockets.handleUpgrade(request, stream, head, (webSocket) => {
      welcome(new WebSocketTransport(webSocket, socket, arrival, elapsed))
    })
  })
  return (socket, arrival) => {
    arrival.begin('upgrade', elapsed() + limits.upgradeSeconds * 1000)
    arrivals.set(socket, { socket, arrival })
    http.emit('connection', socket)
  }
}

/** What WebSocket itself leaves open. */
function judge({ url, headers }: IncomingMessage, allowedOrigins: readonly string[]): Refusal | undefined {
  if (!paths.includes(url?.split('?')[0])) return [404, 'nothing here; the path is /mqtt']
  if (!isOriginAllowed(headers, allowedOrigins)) return [403, 'origin not allowed']
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  return offered.includes('mqtt') ? undefined : [400, 'the subprotocol is mqtt'] // [MQTT-6.0.0-3]
}

/**
 * A browser shows the device's certificate to us on behalf of any page that asks; but it says which page that is
 * (RFC 6455 §10.2). What is no browser says nothing, or, like the clients of Eclipse Paho, that it comes from this very
 * server. No page can: there are none here, and a name that leads here by another's DNS is not in our certificate.
 */
function isOriginAllowed({ origin, host }: IncomingMessage['headers'], allowed: readonly string[]): boolean {
  return origin === undefined || (host !== undefined && origin === `https://${host}`) || allowed.includes(origin)
}
