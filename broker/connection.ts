import type { DeviceIdentity, SessionEndReason, SessionFacts } from '#protocol'
import { decodePacket } from './decode.js'
import { FrameReader } from './frame.js'
import type { BrokerLimits } from './limits.js'
import type { Transport } from './listeners/transport.js'
import type { Packet } from './packet.js'
import type { Link, Session } from './session.js'
import { Writer } from './writer.js'

/** What the broker does with a connection's life. */
export interface ConnectionEvents {
  packet(connection: Connection, packet: Packet): void
  /** Something was thrown while a packet was read or handled; the connection has to end. */
  failed(connection: Connection, error: unknown): void
  /** The socket takes messages again after it had too many waiting. */
  room(connection: Connection): void
  /** Called once, before the socket goes. */
  closed(connection: Connection, reason: SessionEndReason, comment: string | undefined): void
  /** Called once, when the socket has gone. */
  gone(connection: Connection): void
}

/** One network connection: bytes in, packets out, and how far it may go ahead of what is durable. */
export class Connection implements Link {
  readonly writer: Writer
  /** Address and port. */
  readonly peer: string
  readonly address: string
  /** Who the certificate proved; set while CONNECT is handled. */
  identity: DeviceIdentity | undefined
  clientId: string | undefined
  /** Set from the moment the session.connect record is written until the session is there. */
  opening: SessionFacts | undefined
  session: Session | undefined
  /** Why it was turned away, where a reason was given. */
  refusal: { readonly reason: string; readonly comment?: string } | undefined
  /** True once CONNACK 0 was sent. */
  accepted = false
  closed = false
  /** Acknowledgements that wait for the store; later ones stay behind them. */
  acksWaiting = 0
  readonly #transport: Transport
  readonly #reader: FrameReader
  readonly #limits: BrokerLimits
  readonly #now: () => number
  readonly #events: ConnectionEvents
  readonly #openedAt: number
  #keepAliveMilliseconds = 0
  #lastSeen: number
  #partialSince: number | undefined
  #closedAt: number | undefined
  #waiting = 0
  #waitingBytes = 0
  #backlogged = false
  #holds = 0
  #pumping = false

  constructor(transport: Transport, limits: BrokerLimits, now: () => number, events: ConnectionEvents) {
    this.#transport = transport
    this.#limits = limits
    this.#now = now
    this.#events = events
    this.#openedAt = this.#lastSeen = now()
    const { address, port } = transport.peer
    this.address = address
    this.peer = `${address.includes(':') ? `[${address}]` : address}:${port}`
    this.#reader = new FrameReader(limits.maxConnectBytes)
    const sink = {
      write: (bytes: Uint8Array) => transport.write(bytes),
      end: () => transport.end(),
      room: () => events.room(this),
    }
    this.writer = new Writer(sink, limits.maxOutputBytes, now)
    transport.begin({
      data: (chunk) => this.#read(chunk),
      drain: () => this.writer.drained(),
      failed: (error) => events.failed(this, error),
      crowdedOut: () => this.close('quota', 'too many connections before CONNACK'),
      closed: (error) => {
        this.close('lost', error?.message)
        events.gone(this)
      },
    })
  }

  /** DER of the certificate that the TLS handshake, or the one it resumes, has verified. */
  get peerCertificate(): Uint8Array | undefined {
    return this.#transport.peerCertificate
  }

  /** CONNACK 0: from now on this is a session. */
  accept(connack: Uint8Array, keepAliveSeconds: number): void {
    const { maxKeepAliveSeconds, maxPacketBytes } = this.#limits
    const seconds = keepAliveSeconds === 0 ? maxKeepAliveSeconds : Math.min(keepAliveSeconds, maxKeepAliveSeconds)
    this.#keepAliveMilliseconds = seconds * 1500 // one and a half times: MQTT 3.1.1 §3.1.2.10 [MQTT-3.1.2-24]
    this.#reader.maxBytes = maxPacketBytes
    this.accepted = true
    this.#transport.established()
    this.writer.push(connack)
  }

  send(bytes: Uint8Array): void {
    if (!this.closed) this.writer.push(bytes)
  }

  /** For what runs later on this connection's behalf: an error in it ends this connection and nothing else. */
  guarded(action: () => void): () => void {
    return () => {
      try {
        action()
      } catch (error) {
        this.#events.failed(this, error)
      }
    }
  }

  /** Stops reading until {@link release}; calls add up. */
  hold(): void {
    this.#holds++
    this.#transport.pause()
  }

  release(): void {
    this.#holds--
    if (this.#holds > 0 || this.closed) return
    this.#lastSeen = this.#now()
    this.#transport.resume()
    this.#pump()
  }

  /** Publishes that were taken and are not answered. */
  get waiting(): number {
    return this.#waiting
  }

  /** A packet waits for what it promises to be durable. Too many of them, and the socket waits too. */
  beginWait(bytes: number): void {
    this.#waiting++
    this.#waitingBytes += bytes
    const { maxWaiting, maxWaitingBytes } = this.#limits
    if (this.#backlogged || (this.#waiting < maxWaiting && this.#waitingBytes < maxWaitingBytes)) return
    this.#backlogged = true
    this.hold()
  }

  endWait(bytes: number): void {
    this.#waiting--
    this.#waitingBytes -= bytes
    const { maxWaiting, maxWaitingBytes } = this.#limits
    if (!this.#backlogged || this.#waiting > maxWaiting / 2 || this.#waitingBytes > maxWaitingBytes / 2) return
    this.#backlogged = false
    this.release()
  }

  /** Ends the connection: at once, or with `flush` after what was written has gone. */
  close(reason: SessionEndReason, comment?: string, { flush = false } = {}): void {
    if (this.closed) return
    this.closed = true
    this.#closedAt = this.#now()
    this.#events.closed(this, reason, comment)
    if (flush) {
      this.writer.end()
      return
    }
    this.writer.discard()
    this.#transport.destroy()
  }

  /** Ends the connection when one of its time limits has passed. */
  sweep(): void {
    const now = this.#now()
    const passed = (since: number | undefined, seconds: number) => since !== undefined && now - since > seconds * 1000
    if (this.closed) {
      if (passed(this.#closedAt, this.#limits.drainSeconds)) this.#transport.destroy()
    } else if (!this.accepted) {
      if (passed(this.#openedAt, this.#limits.connectSeconds)) this.#giveUpConnecting()
    } else if (this.identity && this.identity.notAfter.getTime() <= now) {
      this.close('expired')
    } else if (passed(this.#partialSince ?? this.#transport.partialSince, this.#limits.packetSeconds)) {
      this.close('protocol_error', 'packet_timeout')
    } else if (passed(this.writer.stalledSince, this.#limits.stallSeconds)) {
      this.close('slow')
    } else if (this.#holds === 0 && now - this.#lastSeen > this.#keepAliveMilliseconds) {
      this.close('keep_alive')
    }
  }

  /** Resolves when the socket is closed. */
  async whenGone(): Promise<void> {
    await this.#transport.whenGone()
  }

  /** Lets go of the socket whatever state it is in. */
  destroy(): void {
    this.#transport.destroy()
  }

  #giveUpConnecting(): void {
    this.refusal = { reason: 'connect_timeout' }
    this.close('protocol_error')
  }

  #read(chunk: Buffer): void {
    if (this.closed) return
    this.#lastSeen = this.#now()
    this.#reader.push(chunk)
    this.#pump()
  }

  /** Handles what has been received, packet by packet, until it ends or has to wait. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (!this.closed && this.#holds === 0) {
        const frame = this.#reader.next()
        if (!frame) break
        this.#partialSince = undefined
        this.#events.packet(this, decodePacket(frame))
      }
    } catch (error) {
      this.#events.failed(this, error)
    }
    this.#pumping = false
    if (!this.#reader.partial || this.#holds > 0) this.#partialSince = undefined
    else this.#partialSince ??= this.#now()
  }
}
