import type { TLSSocket } from 'node:tls'
import type { RawData, WebSocket } from 'ws'
import { BrokerError } from '../errors.js'
import type { Arrival } from './arrival.js'
import type { Peer } from './peer.js'
import type { Transport, TransportEvents } from './transport.js'

/** Reasons to close, of RFC 6455 §7.4.1. */
const closeCodes = { normal: 1000, unsupportedData: 1003 } as const

/** MQTT over WebSocket over TLS: the bytes of one direction are those of its binary messages, one after the other. */
export class WebSocketTransport implements Transport {
  readonly kind = 'websocket'
  readonly #webSocket: WebSocket
  readonly #socket: TLSSocket
  readonly #arrival: Arrival
  readonly #elapsed: () => number
  #partialSince: number | undefined
  #destroyed = false

  constructor(webSocket: WebSocket, socket: TLSSocket, arrival: Arrival, elapsed: () => number) {
    this.#webSocket = webSocket
    this.#socket = socket
    this.#arrival = arrival
    this.#elapsed = elapsed
    arrival.handOver()
  }

  get peer(): Peer {
    return this.#arrival.peer
  }

  get peerCertificate(): Uint8Array | undefined {
    return this.#arrival.certificate
  }

  /** A message is handed over when it is whole. */
  get partialSince(): number | undefined {
    return this.#partialSince
  }

  begin(events: TransportEvents): void {
    const [webSocket, socket] = [this.#webSocket, this.#socket]
    this.#arrival.crowdedOut = events.crowdedOut
    socket.setNoDelay(true)
    this.#watchForPartialMessages()
    webSocket.on('message', (data, isBinary) => {
      if (isBinary) return events.data(bytesOf(data))
      webSocket.close(closeCodes.unsupportedData) // [MQTT-6.0.0-1]
      events.failed(new BrokerError('PROTOCOL_VIOLATION', 'a WebSocket message of text'))
    })
    webSocket.on('error', (error) => events.failed(faultOf(error)))
    socket.on('drain', events.drain)
    webSocket.on('close', () => events.closed())
  }

  established(): void {
    this.#arrival.leave()
  }

  write(bytes: Uint8Array): boolean {
    this.#webSocket.send(bytes) // [MQTT-6.0.0-2]: packets share messages as they like
    return !this.#socket.writableNeedDrain
  }

  pause(): void {
    this.#webSocket.pause()
  }

  resume(): void {
    this.#webSocket.resume()
  }

  /** Says goodbye, and waits for the answer as long as it is let. */
  end(): void {
    this.#webSocket.resume() // the answer stands behind what has not been read
    this.#webSocket.close(closeCodes.normal)
  }

  /** A reason to close that is under way still leaves; the second time nothing does. */
  destroy(): void {
    const { readyState, CLOSING } = this.#webSocket
    if (readyState === CLOSING && !this.#destroyed) this.#socket.destroySoon()
    else this.#socket.destroy()
    this.#destroyed = true
  }

  async whenGone(): Promise<void> {
    const { readyState, CLOSED } = this.#webSocket
    if (readyState !== CLOSED) await new Promise<void>((resolve) => this.#webSocket.once('close', () => resolve()))
  }

  /** Bytes have come and no message, ping or goodbye of them: so one has begun. Only the end of a message ends that. */
  #watchForPartialMessages(): void {
    let complete = false
    for (const event of ['ping', 'pong', 'close'] as const) this.#webSocket.on(event, () => (complete = true))
    this.#webSocket.on('message', () => {
      complete = true
      this.#partialSince = undefined
    })
    this.#socket.on('data', () => {
      if (!complete) this.#partialSince ??= this.#elapsed()
      complete = false
    })
  }
}

/** What was wrong with a frame; ws has told the peer by then. */
function faultOf(error: Error): BrokerError {
  const isTooLarge = 'code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
  return new BrokerError(isTooLarge ? 'PACKET_TOO_LARGE' : 'PROTOCOL_VIOLATION', error.message)
}

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data)
  return Buffer.isBuffer(data) ? data : Buffer.from(data)
}
