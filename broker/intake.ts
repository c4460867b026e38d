import type { BrokerLimits } from './limits.js'
import type { Transport } from './listeners/transport.js'
import { decodePacket } from './wire/decode.js'
import { FrameReader } from './wire/frame.js'
import type { Packet, ProtocolLevel } from './wire/packet.js'

/** The connection whose bytes are read. */
interface Speaking {
  readonly closed: boolean
  /** Undefined until CONNECT has said it, and with it the level. */
  readonly clientId: string | undefined
  readonly level: ProtocolLevel
  /** `crowded`: it leaves so many answers unread that it should not be read either. */
  readonly writer: { readonly crowded: boolean }
  handle(packet: Packet): void
  fail(error: unknown): void
  /** All that can be handled now has been. */
  caughtUp(): void
}

interface IntakeOptions {
  readonly connection: Speaking
  readonly transport: Transport
  readonly limits: BrokerLimits
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/** What one connection sends, on its way from bytes to packets: as fast as they can be handled, and no faster. */
export class Intake {
  readonly #connection: Speaking
  readonly #transport: Transport
  readonly #limits: BrokerLimits
  readonly #elapsed: () => number
  readonly #reader: FrameReader
  #lastSeen: number
  #partialSince: number | undefined
  #holds = 0
  #pumping = false
  /** Held until the client reads its answers. */
  #awaitsReader = false

  constructor({ connection, transport, limits, elapsed }: IntakeOptions) {
    this.#connection = connection
    this.#transport = transport
    this.#limits = limits
    this.#elapsed = elapsed
    this.#reader = new FrameReader(limits.maxConnectBytes)
    this.#lastSeen = elapsed()
  }

  /** CONNECT was answered: from now on packets may have their full size. */
  accepted(): void {
    this.#reader.maxBytes = this.#limits.maxPacketBytes
  }

  read(chunk: Buffer): void {
    this.#lastSeen = this.#elapsed()
    this.#reader.push(chunk)
    this.#pump()
  }

  /** Stops reading until {@link release}; calls add up. */
  hold(): void {
    this.#holds++
    this.#transport.pause()
  }

  release(): void {
    this.#holds--
    if (this.#holds > 0 || this.#connection.closed) return
    this.#lastSeen = this.#elapsed()
    this.#transport.resume()
    this.#pump()
  }

  /** The client may have read its answers. */
  goOn(): void {
    if (!this.#awaitsReader) return
    this.#awaitsReader = false
    this.release()
  }

  /** Since when nothing has come; undefined while it is we who do not read. */
  get silentSince(): number | undefined {
    return this.#holds === 0 ? this.#lastSeen : undefined
  }

  /** Since when a packet has begun and not ended. */
  get partialSince(): number | undefined {
    return this.#partialSince
  }

  /** Whether all that came has been handled, but for a packet that is not all there. */
  get isCaughtUp(): boolean {
    return this.#holds === 0 || !this.#reader.partial
  }

  /** Handles what has been received, packet by packet, until it ends, has to wait, or has had its share of this turn. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    const connection = this.#connection
    let left = this.#limits.packetsPerTurn
    const turnEnd = this.#elapsed() + this.#limits.turnMilliseconds
    try {
      while (!connection.closed && this.#holds === 0) {
        const frame = this.#reader.next()
        if (!frame) break
        this.#partialSince = undefined
        const level = connection.clientId === undefined ? undefined : connection.level
        const packet = decodePacket(frame, level, this.#limits)
        connection.handle(packet)
        left -= workOf(packet)
        if (left <= 0 || this.#elapsed() > turnEnd) this.#yieldTurn()
        if (connection.writer.crowded) this.#awaitReader()
      }
    } catch (error) {
      connection.fail(error)
    }
    this.#pumping = false
    connection.caughtUp()
    if (!this.#reader.partial || this.#holds > 0) this.#partialSince = undefined
    else this.#partialSince ??= this.#elapsed()
  }

  #yieldTurn(): void {
    this.hold()
    setImmediate(() => this.release())
  }

  #awaitReader(): void {
    if (this.#awaitsReader) return
    this.#awaitsReader = true
    this.hold()
  }
}

/** Each filter of a packet is decided and recorded by itself. */
function workOf(packet: Packet): number {
  if (packet.type === 'subscribe') return packet.requests.length
  return packet.type === 'unsubscribe' ? packet.filters.length : 1
}
