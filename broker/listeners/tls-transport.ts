import type { TLSSocket } from 'node:tls'
import type { Arrival } from './arrival.js'
import type { Peer } from './peer.js'
import type { Transport, TransportEvents } from './transport.js'

/** MQTT straight over TLS. */
export class TlsTransport implements Transport {
  readonly kind = 'tls'
  /** Each piece is handed over as it comes. */
  readonly partialSince = undefined
  readonly peer: Peer
  readonly #socket: TLSSocket
  /** Until it is established. */
  #arrival: Arrival | undefined

  constructor(socket: TLSSocket, arrival: Arrival) {
    this.peer = arrival.peer
    this.#socket = socket
    this.#arrival = arrival
    arrival.handOver()
  }

  get peerCertificate(): Uint8Array | undefined {
    return this.#arrival?.certificate
  }

  begin(events: TransportEvents): void {
    const socket = this.#socket
    let failure: Error | undefined
    if (this.#arrival) this.#arrival.crowdedOut = events.crowdedOut
    socket.setNoDelay(true)
    socket.on('data', events.data)
    socket.on('drain', events.drain)
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => {
      // What had come while it was paused; while it flows, the rest comes piece by piece.
      for (let unread: unknown = socket.read(); Buffer.isBuffer(unread); unread = socket.read()) events.data(unread)
      events.closed(failure)
    })
  }

  established(): void {
    this.#arrival?.leave()
    this.#arrival = undefined
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.destroySoon()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  async whenGone(): Promise<void> {
    if (!this.#socket.closed) await new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
  }
}
