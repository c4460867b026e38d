import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { Credentials } from '../fleet.js'
import {
  connectFrame,
  type ConnectTerms,
  disconnectFrame,
  FrameScanner,
  packetTypes,
  type ProtocolLevel,
  subscribeFrame,
} from './frames.js'

export type OnFrame = (header: number, bytes: Buffer, start: number, end: number) => void

const contexts = new WeakMap<Credentials, Map<string, SecureContext>>()

/** Reading a key and a certificate costs more than a handshake: once for each client. */
function contextOf(fleet: Credentials, name: string): SecureContext {
  const own = contexts.get(fleet) ?? new Map<string, SecureContext>()
  contexts.set(fleet, own)
  const known = own.get(name)
  if (known) return known
  const context = createSecureContext({ ca: fleet.ca, ...fleet.clients[name], minVersion: 'TLSv1.3' })
  own.set(name, context)
  return context
}

/** One MQTT client over mutual TLS 1.3. */
export class Client {
  readonly socket: TLSSocket
  readonly level: ProtocolLevel
  /** Resolves when the connection is gone, whoever has ended it. */
  readonly gone: Promise<void>
  /** Told of every packet but the answers that this class waits for. */
  onFrame: OnFrame = () => undefined
  /** Told when the connection ends although nobody here has ended it. */
  onEnd: (error: Error) => void = () => undefined
  #awaited: { readonly type: number; readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined
  #leaving = false
  /** From the broker's DISCONNECT, which MQTT 5 has. */
  #reason: number | undefined

  private constructor(socket: TLSSocket, name: string, level: ProtocolLevel) {
    this.socket = socket
    this.level = level
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()))
    const scanner = new FrameScanner((header, bytes, start, end) => this.#receive(header, bytes, start, end))
    socket.on('data', (chunk: Buffer) => scanner.push(chunk))
    let cause: Error | undefined
    socket.on('error', (error) => (cause = error))
    socket.on('close', () => {
      if (this.#leaving) return
      const reason = this.#reason === undefined ? '' : ` with reason ${this.#reason}`
      const error = new Error(`the broker has closed the connection of ${name}${reason}`, { cause })
      this.#awaited?.reject(error)
      this.onEnd(error)
    })
  }

  /**
   * With the CONNACK that accepts it. What was kept for the client comes right behind: whoever wants to hear of it says
   * so in `prepare`.
   */
  static async connect(
    fleet: Credentials,
    port: number,
    name: string,
    { prepare, ...terms }: ConnectTerms & { readonly prepare?: (client: Client) => void } = {},
  ): Promise<Client> {
    const socket = connect({ host: '127.0.0.1', port, secureContext: contextOf(fleet, name) })
    socket.setNoDelay(true)
    const client = new Client(socket, name, terms.level ?? 4)
    prepare?.(client)
    await client.#exchange(connectFrame(name, terms), packetTypes.connack)
    return client
  }

  async subscribe(filter: string, qos: 0 | 1 | 2): Promise<void> {
    await this.#exchange(subscribeFrame(filter, qos, this.level), packetTypes.suback)
  }

  /** Says goodbye; resolves when the connection is gone. */
  async leave(): Promise<void> {
    this.expectEnd()
    this.socket.end(disconnectFrame)
    await this.gone
  }

  /** Goes without a word, as a device does that has lost its power. */
  async vanish(): Promise<void> {
    this.expectEnd()
    this.socket.destroy()
    await this.gone
  }

  /** From now on it is no surprise when the broker ends the connection. */
  expectEnd(): void {
    this.#leaving = true
  }

  #receive(header: number, bytes: Buffer, start: number, end: number): void {
    if (header >> 4 === packetTypes.disconnect) {
      this.#reason = end > start ? (bytes[start] ?? 0) : 0
      return
    }
    const awaited = this.#awaited
    if (!awaited || header >> 4 !== awaited.type) {
      this.onFrame(header, bytes, start, end)
      return
    }
    this.#awaited = undefined
    const code = bytes[awaited.type === packetTypes.connack ? start + 1 : end - 1] ?? 0x80
    if (code <= 2) awaited.resolve()
    else awaited.reject(new Error(`the broker has answered with ${code}`))
  }

  async #exchange(packet: Buffer, type: number): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => (this.#awaited = { type, resolve, reject }))
    this.socket.write(packet)
    await answered
  }
}
