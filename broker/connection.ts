import type { DeviceIdentity, SessionEndReason, SessionFacts } from '#protocol'
import { IncomingAliases, OutgoingAliases } from './aliases.js'
import { Backlog } from './backlog.js'
import { Intake } from './intake.js'
import type { BrokerLimits } from './limits.js'
import type { LockLease } from './lock-lease.js'
import type { ListenerKind, Transport } from './listeners/transport.js'
import type { Link, Session } from './session.js'
import type { Speaker } from './speaker.js'
import { disconnectReasons } from './spoken-reasons.js'
import type { Statistics } from './statistics.js'
import { TrafficMeter } from './traffic-meter.js'
import { encodeDisconnect } from './wire/encode.js'
import { type ConnectPacket, type Packet, type ProtocolLevel, versionOf } from './wire/packet.js'
import type { ReasonCode } from './wire/reason-codes.js'
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

/** What a connection needs of the broker. */
export interface Surroundings {
  readonly limits: BrokerLimits
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets: how long something has taken. */
  readonly elapsed: () => number
  readonly statistics: Statistics
  /** While it is over nothing leaves. */
  readonly lease: LockLease
}

/** How a connection is ended. */
export interface CloseOptions {
  /** What was written goes out first. */
  readonly flush?: boolean
  /** The reason that a client of MQTT 5 is given. Default: the one of the session's end. */
  readonly code?: ReasonCode
  /** In words, for a client that has proved who it is. */
  readonly say?: string
}

/** One network connection: who is at the other end, what it is told, and how it ends. {@link Intake} reads what it says. */
export class Connection implements Link {
  readonly writer: Writer
  readonly backlog: Backlog
  readonly traffic: TrafficMeter
  readonly over: ListenerKind
  /** Address and port. */
  readonly peer: string
  readonly address: string
  /** Who the certificate proved; set while CONNECT is handled. */
  identity: DeviceIdentity | undefined
  clientId: string | undefined
  /** Of the CONNECT that came, or 3.1.1 until one has. */
  level: ProtocolLevel = 4
  receiveMaximum = 0xffff
  maximumPacketSize = Infinity
  incomingAliases = noIncomingAliases
  aliases = noOutgoingAliases
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
  readonly #intake: Intake
  readonly #limits: BrokerLimits
  readonly #now: () => number
  readonly #elapsed: () => number
  readonly #events: ConnectionEvents
  readonly #openedAt: number
  #wantsReasons = false
  #keepAliveSeconds = 0
  #closedAt: number | undefined
  /** Set when the bytes have ended; a reason where that was nobody's wish. */
  #lost: { readonly comment: string | undefined } | undefined

  constructor(
    transport: Transport,
    { limits, now, elapsed, statistics, lease }: Surroundings,
    events: ConnectionEvents,
  ) {
    this.#transport = transport
    this.over = transport.kind
    this.#limits = limits
    this.#now = now
    this.#elapsed = elapsed
    this.#events = events
    this.#openedAt = elapsed()
    this.traffic = new TrafficMeter(statistics, this.#openedAt)
    const { address, port } = transport.peer
    this.address = address
    this.peer = `${address.includes(':') ? `[${address}]` : address}:${port}`
    this.#intake = new Intake({ connection: this, transport, limits, elapsed })
    this.backlog = new Backlog(limits, this.#intake)
    this.writer = new Writer({
      ...{ sink: transport, traffic: this.traffic, limits, now: elapsed },
      mayWrite: () => lease.holds,
      room: () => this.#goOn(),
    })
    transport.begin({
      data: (chunk) => this.#read(chunk),
      drain: () => this.writer.drained(),
      failed: (error) => events.failed(this, error),
      crowdedOut: () => this.close('quota', 'too many connections before CONNACK'),
      closed: (error) => this.#outlive(error?.message),
    })
  }

  /** DER of the certificate that the TLS handshake, or the one it resumes, has verified. */
  get peerCertificate(): Uint8Array | undefined {
    return this.#transport.peerCertificate
  }

  /** Undefined until its certificate is known. */
  get speaker(): Speaker | undefined {
    const { identity, address } = this
    return identity && { device: identity.deviceId, certificate: identity.fingerprint, address }
  }

  /** The client has said who it claims to be and what it can do. */
  introduce(packet: ConnectPacket): void {
    this.clientId = packet.clientId
    this.level = packet.level
    this.receiveMaximum = packet.level === 5 ? packet.receiveMaximum : this.#limits.maxInflightUnasked
    this.maximumPacketSize = packet.maximumPacketSize ?? Infinity
    this.#wantsReasons = packet.level === 5 && packet.requestProblemInformation
    if (packet.level < 5) return
    this.incomingAliases = new IncomingAliases(this.#limits.maxTopicAliases)
    this.aliases = new OutgoingAliases(Math.min(packet.topicAliasMaximum, this.#limits.maxTopicAliases))
  }

  /** CONNACK 0: from now on this is a session. */
  accept(connack: Uint8Array, keepAliveSeconds: number): void {
    this.#keepAliveSeconds = keepAliveSeconds * 1.5 // [MQTT-3.1.2-22]
    this.#intake.accepted()
    this.accepted = true
    this.#transport.established()
    this.traffic.accepted(versionOf(this.level), this.over)
    this.send(connack)
  }

  /** A packet larger than the client takes is not sent at all [MQTT-3.1.2-24]. */
  send(bytes: Uint8Array): void {
    if (!this.closed && bytes.length <= this.maximumPacketSize) this.writer.push(bytes)
  }

  /** Sends an answer with its reason in words, if there are any and the client takes a packet of that size. */
  sendExplained(say: string | undefined, encode: (reasonString: string | undefined) => Uint8Array): void {
    this.send(this.#fitting(say, encode))
  }

  /** For what runs later on this connection's behalf: an error in it ends this connection and nothing else. */
  guarded(action: () => void): () => void {
    return () => {
      try {
        action()
      } catch (error) {
        this.fail(error)
      }
    }
  }

  /** Something went wrong on this connection's behalf, and ends it. */
  fail(error: unknown): void {
    this.#events.failed(this, error)
  }

  /** Stops reading until {@link release}; calls add up. */
  hold(): void {
    this.#intake.hold()
  }

  release(): void {
    this.#intake.release()
  }

  /** Goes on with the packet at hand in another turn; what stands behind it waits. */
  goOnLater(action: () => void): void {
    this.hold()
    setImmediate(() => {
      if (!this.closed) this.guarded(action)()
      this.release()
    })
  }

  /** Ends the connection: at once, or with `flush` after what was written has gone. */
  close(reason: SessionEndReason, comment?: string, { flush = false, code, say }: CloseOptions = {}): void {
    if (this.closed) return
    this.closed = true
    this.#closedAt = this.#elapsed()
    this.#events.closed(this, reason, comment)
    if (!flush) this.writer.discard()
    this.#sayWhy(code ?? disconnectReasons[reason], say)
    // One that does not read what it has been sent gets nothing more, and would keep us waiting.
    if (reason === 'lost' || (!flush && this.writer.stalledSince !== undefined)) this.#transport.destroy()
    else this.writer.end()
    if (this.#lost) this.#events.gone(this)
  }

  /** Ends the connection when one of its time limits has passed. */
  sweep(): void {
    const now = this.#elapsed()
    this.traffic.mark(now)
    const passed = (since: number | undefined, seconds: number) => since !== undefined && now - since > seconds * 1000
    if (this.closed) {
      if (passed(this.#closedAt, this.#limits.drainSeconds)) this.#transport.destroy()
    } else if (!this.accepted) {
      if (passed(this.#openedAt, this.#limits.connectSeconds)) this.#giveUpConnecting()
    } else if (this.identity && this.identity.notAfter.getTime() <= this.#now()) {
      this.close('expired')
    } else if (passed(this.#intake.partialSince ?? this.#transport.partialSince, this.#limits.packetSeconds)) {
      this.close('protocol_error', 'packet_timeout')
    } else if (passed(this.writer.stalledSince, this.#limits.stallSeconds)) {
      this.close('slow')
    } else if (passed(this.#intake.silentSince, this.#keepAliveSeconds)) {
      this.close('keep_alive')
    }
  }

  handle(packet: Packet): void {
    this.#events.packet(this, packet)
  }

  /** All that can be handled now has been: if the bytes have ended, so does the connection. */
  caughtUp(): void {
    if (this.#lost && this.#intake.isCaughtUp) this.close('lost', this.#lost.comment)
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

  /** DISCONNECT, which a server has in MQTT 5 only, and never before CONNACK [MQTT-3.14.0-1]. */
  #sayWhy(code: ReasonCode | undefined, say: string | undefined): void {
    if (this.level < 5 || !this.accepted || code === undefined) return
    const packet = this.#fitting(say, (reasonString) => encodeDisconnect({ reasonCode: code, reasonString }))
    if (packet.length <= this.maximumPacketSize) this.writer.push(packet)
  }

  /** Words are left out that the client did not ask for (§3.1.2.11.7) or that make a packet too large for it [MQTT-3.4.2-2]. */
  #fitting(say: string | undefined, encode: (reasonString: string | undefined) => Uint8Array): Uint8Array {
    const explained = encode(this.#wantsReasons ? say : undefined)
    return explained.length <= this.maximumPacketSize ? explained : encode(undefined)
  }

  #read(chunk: Buffer): void {
    if (this.closed) return
    this.traffic.read(chunk.length)
    this.#intake.read(chunk)
  }

  /**
   * The bytes have ended, and nobody reads answers any more. What came before that is still handled: a client may
   * connect, publish, say goodbye and close in one breath.
   */
  #outlive(comment: string | undefined): void {
    this.#lost = { comment }
    if (this.closed) return this.#events.gone(this)
    this.writer.abandon()
    this.#goOn()
    this.caughtUp()
  }

  /** The socket takes more again. */
  #goOn(): void {
    this.#events.room(this)
    this.#intake.goOn()
  }
}

const noIncomingAliases = new IncomingAliases(0)
const noOutgoingAliases = new OutgoingAliases(0)
