import { type AddressInfo, createServer } from 'node:net'
import { BrokerError } from '../errors.js'
import type { BrokerLimits } from '../limits.js'
import { Arrival, type RefusedArrival } from './arrival.js'
import { untilClientHello } from './client-hello.js'
import { readFirstBytes } from './first-bytes.js'
import type { HalfOpen } from './half-open.js'
import { inNetworks } from './networks.js'
import { readProxyHeader } from './proxy.js'
import { SecureServer, type TlsCredential } from './secure-server.js'
import { TlsTransport } from './tls-transport.js'
import type { ListenerKind, Transport } from './transport.js'
import { acceptWebSockets } from './websocket.js'

export interface ListenOptions {
  /** Default: `tls`. */
  readonly kind?: ListenerKind
  readonly host: string
  readonly port: number
  readonly tls: TlsCredential
  /**
   * Networks, such as `192.0.2.0/24`, from which every connection begins with a PROXY header (version 2) that names the
   * client; from elsewhere none is understood. Default: none.
   */
  readonly proxies?: readonly string[]
  /** Origins, such as `https://console.example`, whose pages may connect over WebSocket. Default: none. */
  readonly allowedOrigins?: readonly string[]
}

export interface Listener {
  readonly port: number
  /** For every handshake from now on; connections that are there stay. */
  renewTls(tls: TlsCredential): void
  /** Takes no more connections; those that are there stay. */
  close(): void
}

/** What a listener needs of the broker. */
export interface Surroundings {
  readonly limits: BrokerLimits
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
  /** Shared by all listeners. */
  readonly halfOpen: HalfOpen
  readonly welcome: (transport: Transport) => void
  readonly refused: (refused: RefusedArrival) => void
}

/**
 * Takes connections and brings them, past a proxy's header, TLS and where it is that kind WebSocket, to the door of MQTT.
 * @throws BrokerError LISTEN_FAILED
 */
export async function listen(options: ListenOptions, surroundings: Surroundings): Promise<Listener> {
  const { limits, elapsed, halfOpen, welcome, refused } = surroundings
  const { kind = 'tls', proxies = [], allowedOrigins = [] } = options
  const isProxy = inNetworks(proxies)
  const secure = new SecureServer(
    options.tls,
    kind === 'websocket'
      ? acceptWebSockets({ limits, elapsed, welcome, allowedOrigins })
      : (socket, arrival) => welcome(new TlsTransport(socket, arrival)),
  )
  const server = createServer((socket) => {
    const { remoteAddress: address, remotePort: port } = socket
    if (address === undefined || port === undefined) return void socket.destroy() // gone already
    const arrival = new Arrival(socket, { seen: 'directly', address, port }, halfOpen, refused)
    if (!arrival.alive) return
    arrival.begin('handshake', elapsed() + limits.handshakeSeconds * 1000)
    const begin = (): void => readFirstBytes(socket, untilClientHello, () => secure.begin(arrival))
    if (isProxy(address)) readProxyHeader(arrival, limits, begin)
    else begin()
  })
  server.maxConnections = limits.maxConnections
  return {
    port: await bind(server, options),
    renewTls: (tls) => secure.renew(tls),
    close: () => server.close(),
  }
}

async function bind(server: ReturnType<typeof createServer>, { host, port }: ListenOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new BrokerError('LISTEN_FAILED', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }))
    })
    server.listen(port, host, resolve)
  })
  server.on('error', () => undefined) // of accepting a single connection; the next one is tried anyway
  return (server.address() as AddressInfo).port
}
