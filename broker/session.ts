import { randomBytes } from 'node:crypto'
import {
  type DeviceId,
  type Fingerprint,
  type OfferedService,
  type SessionEndReason,
  type SessionFacts,
  sessionNameBytes,
  type TopicAction,
  type TopicFilter,
  type TopicName,
} from '#protocol'
import type { QosDecision } from '#policy'
import type { OutgoingAliases } from './aliases.js'
import type { Answers } from './answers.js'
import type { Clocks } from './clocks.js'
import { Inflight } from './inflight.js'
import { LazyMap } from './lazy-map.js'
import type { ListenerKind } from './listeners/transport.js'
import { type Held, type Outgoing, Queue } from './queue.js'
import { noRights, type Rights, type RightsSource } from './rights.js'
import type { Message } from './message.js'
import type { Speaker } from './speaker.js'
import type { Reception, Subscription } from './subscription.js'
import type { TrafficMeter } from './traffic-meter.js'
import type { ProtocolLevel, Will } from './wire/packet.js'
import type { Writer } from './writer.js'

/** The connection of a session, and what the client on it has asked for. */
export interface Link {
  readonly writer: Writer
  readonly address: string
  readonly peer: string
  readonly level: ProtocolLevel
  readonly over: ListenerKind
  readonly traffic: TrafficMeter
  /** QoS 1 and 2 messages that the client takes at once. */
  readonly receiveMaximum: number
  /** In bytes; what is larger is not sent. */
  readonly maximumPacketSize: number
  readonly aliases: OutgoingAliases
  close(reason: SessionEndReason, comment?: string): void
}

export interface LastRefusal {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly action: TopicAction
  readonly topic: string
  readonly reason: string
}

/** A QoS 2 message from the client, from its PUBLISH until its PUBREL. */
export interface Received {
  readonly topic: TopicName
  /** Of its message.publish record. */
  readonly sequence: number
}

/** The retained messages that one new subscription gets, handed out as the client takes them. */
export interface Replay {
  readonly messages: Iterator<Message>
  readonly reception: Reception
  /** Those of the session itself are left out. */
  readonly noLocal: boolean
}

/** What a session was told of one service. */
export interface Told {
  readonly offer: OfferedService
  /** Undefined: it has subscribed anew, and is to be told again. */
  readonly message: Message | undefined
  /** By what it was allowed to know. */
  readonly hearing: Extract<QosDecision, { effect: 'allow' }>
  readonly identifiers: readonly number[]
}

/**
 * The state of one client id (MQTT 5.0 §4.1): what it subscribed to, what waits for it and what it has not finished
 * saying. With an expiry interval it outlives its connections and, through the store, the process.
 */
export class Session implements Speaker {
  readonly clientId: string
  readonly device: DeviceId
  /** How long it is kept without a connection; 0: it ends with its connection. */
  expirySeconds: number
  readonly subscriptions = new LazyMap<TopicFilter, Subscription>()
  readonly queue: Queue
  readonly inflight: Inflight
  /** Those in flight that this connection has not been sent again yet. */
  resending: Outgoing[] = []
  /** QoS 1 and 2 messages that were sent on this connection and are not acknowledged. */
  outstanding = 0
  /** Retained messages that new subscriptions are still to be given, by the name of the subscription. */
  readonly replays = new LazyMap<TopicFilter, Replay>()
  /** Whether a later turn goes on with these. */
  drainsLater = false
  /** Services of which it was told, by topic, on this connection or the one before. */
  readonly told = new LazyMap<TopicName, Told>()
  /** Subscriptions that were granted and begin when that is durable, with their weight: they count already. */
  readonly granted = new LazyMap<TopicFilter, number>()
  /** By packet identifier. */
  readonly received = new LazyMap<number, Received>()
  /** By which its client was let in last. */
  certificate: Fingerprint | undefined
  /** Where its client is, or was last; policy can make rights depend on it. */
  address: string | undefined
  link: Link | undefined
  /** Of this connection, once it was asked for any. */
  answers: Answers | undefined
  /** Whether CONNACK has gone out, so that messages may follow. */
  ready = false
  /** What is to be published when it has gone without a word. */
  will: Will | undefined
  /** When it is to be published, by the clock that nobody sets; set when the connection is gone and the will has to wait. */
  willDueAt: number | undefined
  /** Place of the next message among all that were ever meant for this session. */
  nextOrder = 0
  /** When the connection began, or ended, in milliseconds since 1970. */
  since: number
  /** Messages that were lost since the last message.drop record. */
  readonly dropped = { queue_full: 0, expired: 0, too_large: 0 }
  /** Whether its state is gone for good; who still knows it gives it nothing more. */
  forgotten = false
  /** What policy last kept from it. */
  lastRefusal: LastRefusal | undefined
  readonly #source: RightsSource
  #rights: Rights
  /** When these were given, by {@link RightsSource.rightsEpoch}. */
  #rightsEpoch: number
  /** Those that its subscriptions were last held to. */
  #heldTo: Rights
  #name: string
  #index = 0
  /** Without a connection: the same by the clock that nobody sets. */
  #awaySince = Infinity

  constructor(begin: {
    readonly clientId: string
    readonly device: DeviceId
    readonly expirySeconds: number
    readonly rights: Rights
    readonly certificate: Fingerprint | undefined
    readonly address: string | undefined
    readonly since: number
    /** The broker's hub. */
    readonly among: RightsSource & { readonly held: Held }
  }) {
    this.queue = new Queue(begin.among.held)
    this.inflight = new Inflight(begin.among.held)
    this.clientId = begin.clientId
    this.device = begin.device
    this.expirySeconds = begin.expirySeconds
    this.#source = begin.among
    this.#rights = this.#heldTo = begin.rights
    this.#rightsEpoch = begin.among.rightsEpoch
    this.certificate = begin.certificate
    this.address = begin.address
    this.since = begin.since
    this.#name = newSessionName()
  }

  /**
   * Those of now. They are given anew at every CONNECT, and asked for again when they are first needed after a change of
   * policy or after a condition of it has begun or ceased to hold: the moment of the change counts, for every session,
   * and not when its turn comes to be looked at.
   */
  get rights(): Rights {
    const { rightsEpoch } = this.#source
    if (this.#rightsEpoch !== rightsEpoch) {
      this.#rights = this.#source.rightsOf(this.device, this.address) ?? noRights(this.#rights)
      this.#rightsEpoch = rightsEpoch
    }
    return this.#rights
  }

  /** They are no longer what they were. */
  forgetRights(): void {
    this.#rightsEpoch = -1
  }

  /** Whether its subscriptions are such as its rights of now allow. */
  get isHeldToRights(): boolean {
    return this.#heldTo === this.rights
  }

  holdToRights(): void {
    this.#heldTo = this.rights
  }

  /** What its records are filed under: a name for each connection, and before the first one of its own. */
  get name(): string {
    return this.#name
  }

  /** Whether it outlives its connection. */
  get persistent(): boolean {
    return this.expirySeconds > 0
  }

  /** Whether it has been without a connection for longer than it is kept; `moment` by the clock that nobody sets. */
  isOver(moment: number): boolean {
    return this.link === undefined && moment - this.#awaySince > this.expirySeconds * 1000
  }

  /** Without a connection since then, by the clock that nobody sets. */
  waitFrom(moment: number): void {
    this.#awaySince = moment
  }

  /** A connection begins; its records have a name of their own, and its session.connect was the first of them. */
  begin(connection: {
    readonly name: string
    readonly rights: Rights
    readonly certificate: Fingerprint
    readonly since: number
    readonly link: Link
    readonly expirySeconds: number
  }): void {
    this.#name = connection.name
    this.#index = 1
    this.since = connection.since
    this.link = connection.link
    this.certificate = connection.certificate
    this.address = connection.link.address
    this.expirySeconds = connection.expirySeconds
    this.#rights = connection.rights
    this.#rightsEpoch = this.#source.rightsEpoch
  }

  /** The connection is gone; what is left of the session waits for the next. */
  end({ now, elapsed }: Clocks): void {
    this.link = undefined
    this.answers = undefined
    this.ready = false
    this.granted.clear()
    this.since = now()
    this.waitFrom(elapsed())
    this.inflight.keep()
  }

  /** Lets go of answers that nobody waits for any more. */
  sweepAnswers(): void {
    this.answers?.sweep()
    if (this.answers?.size === 0) this.answers = undefined
  }

  /** For exactly one record: the index has no gaps. */
  facts(): SessionFacts {
    return { device: this.device, session: this.#name, sessionIndex: this.takeIndex() }
  }

  /** The same for a record that holds the rest of the facts already. */
  takeIndex(): number {
    return this.#index++
  }

  /** Messages that wait or are not acknowledged yet. */
  get pending(): number {
    return this.queue.size + this.inflight.size
  }

  /** What these take. */
  get heldBytes(): number {
    return this.queue.bytes + this.inflight.bytes
  }

  /** Whoever holds on to it later holds on to no messages. */
  forget(): void {
    this.forgotten = true
    this.replays.clear()
    this.told.clear()
    this.resending = []
    this.queue.clear()
    this.inflight.clear()
  }
}

/** Of a connection, or of a session that has none yet. Never the same twice: payloads are committed to by it. */
export function newSessionName(): string {
  return randomBytes(sessionNameBytes).toString('hex')
}
