import type { TLSSocket } from 'node:tls'
import type { Transport, TransportEvents } from './transport.js'

/** MQTT straight over TLS. */
export class TlsTransport implements Transport {
  readonly kind = 'tls'
  readonly address: string
  readonly port: number
  readonly #socket: TLSSocket

  constructor(socket: TLSSocket) {
    this.#socket = socket
    this.address = socket.remoteAddress ?? 'unknown'
    this.port = socket.remotePort ?? 0
  }

  get peerCertificate(): Uint8Array | undefined {
    return this.#socket.getPeerX509Certificate()?.raw
  }

  begin(events: TransportEvents): void {
    const socket = this.#socket
    let failure: Error | undefined
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => events.data(chunk))
    socket.on('drain', () => events.drain())
    socket.on('error', (error) => (failure = error))
    socket.on('close', () => events.closed(failure))
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
