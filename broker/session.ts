import type { DeviceId, SessionEndReason, SessionFacts, TopicFilter } from '#protocol'
import type { EffectivePolicy } from '#policy'
import { Inflight } from './inflight.js'
import type { Will } from './packet.js'
import { Queue } from './queue.js'
import type { Writer } from './writer.js'

/** What the broker asks of a device's effective policy. */
export type Rights = Pick<
  EffectivePolicy,
  'version' | 'maxSessions' | 'onDenyPublish' | 'renderErrors' | 'publish' | 'will' | 'subscribe' | 'receive'
>

/** The connection of a session. */
export interface Link {
  readonly writer: Writer
  readonly peer: string
  close(reason: SessionEndReason, comment?: string): void
}

/**
 * The state of one client id (MQTT 3.1.1 §3.1.2.4): what it subscribed to and what waits for it. With clean session 0 it
 * outlives its connections and, through the store, the process.
 */
export class Session {
  readonly clientId: string
  readonly device: DeviceId
  readonly clean: boolean
  readonly subscriptions = new Map<TopicFilter, 0 | 1>()
  readonly queue = new Queue()
  readonly inflight = new Inflight()
  /** Rendered anew at every CONNECT and on every change of policy. */
  rights: Rights
  link: Link | undefined
  /** Whether CONNACK has gone out, so that messages may follow. */
  ready = false
  will: Will | undefined
  /** Place of the next message among all that were ever meant for this session. */
  nextOrder = 0
  /** When the connection began, or ended. */
  since: number
  /** QoS 0 messages that were lost since the last message.drop record. */
  dropped = 0
  #name: string
  #index = 0

  constructor(begin: {
    readonly clientId: string
    readonly device: DeviceId
    readonly clean: boolean
    readonly rights: Rights
    readonly since: number
  }) {
    this.clientId = begin.clientId
    this.device = begin.device
    this.clean = begin.clean
    this.rights = begin.rights
    this.since = begin.since
    this.#name = `${begin.clientId}@${begin.since}`
  }

  /** What its records are filed under. */
  get name(): string {
    return this.#name
  }

  /** A connection begins; its records have a name of their own, and its session.connect was the first of them. */
  begin(connection: {
    readonly name: string
    readonly rights: Rights
    readonly since: number
    readonly link: Link
    readonly will: Will | undefined
  }): void {
    this.#name = connection.name
    this.#index = 1
    this.since = connection.since
    this.link = connection.link
    this.will = connection.will
    this.rights = connection.rights
  }

  /** The connection is gone; what is left of the session waits for the next. */
  end(now: number): void {
    this.link = undefined
    this.ready = false
    this.since = now
  }

  /** For exactly one record: the index has no gaps. */
  facts(): SessionFacts {
    return { device: this.device, session: this.#name, sessionIndex: this.#index++ }
  }

  /** Messages that wait or are not acknowledged yet. */
  get pending(): number {
    return this.queue.size + this.inflight.size
  }
}
