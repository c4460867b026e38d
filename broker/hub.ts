import type { AuditTrail, CertificateHolder, DeviceId, DeviceIdentity, TopicName } from '#protocol'
import type { Store } from '#store'
import type { Clocks } from './clocks.js'
import { decide } from './decision.js'
import { DecisionLog } from './decision-log.js'
import { Delivery } from './delivery.js'
import { Drops } from './drops.js'
import { FilterRate } from './filter-rate.js'
import { Handover } from './handover.js'
import { type BrokerLimits, defaultLimits } from './limits.js'
import { endlessLease, type LockLease } from './lock-lease.js'
import type { Message } from './message.js'
import type { Held } from './queue.js'
import { Refusals } from './refusals.js'
import type { Rights } from './rights.js'
import { RightsTerm } from './rights-term.js'
import { Retained } from './routing/retained.js'
import { Router } from './routing/router.js'
import type { Member, Readiness, ShareGroup } from './routing/share-group.js'
import { ServiceTopics } from './service-topics.js'
import type { Session } from './session.js'
import { Sessions } from './sessions.js'
import { Statistics } from './statistics.js'
import { SessionStore } from './storage/session-store.js'
import type { Speaker } from './speaker.js'
import type { Reception } from './subscription.js'
import { runAlone, Trail } from './trail.js'

/** Whether a certificate opens anything now; the registry's answer. */
export type Admission =
  | { readonly admitted: true; readonly state: 'current' | 'pending' }
  | { readonly admitted: false; readonly reason: string; readonly comment?: string }

export interface BrokerOptions {
  readonly audit: AuditTrail
  readonly store: Store
  /** Reads who a peer certificate names, or throws. */
  readonly identify: (peerDer: Uint8Array) => DeviceIdentity
  /**
   * Asked at every connection, resumed TLS sessions included, and again when another certificate is used, when a lock
   * begins, and before a will speaks: then of the certificate and the address that its client had.
   */
  readonly admit: (holder: CertificateHolder, address: string) => Admission
  /** First use of a pending certificate; durable when it resolves. */
  readonly promote: (identity: DeviceIdentity, peer: string) => Promise<void>
  /** Told of each device that connects, and again when it has gone. */
  readonly heard?: (device: DeviceId) => void
  /**
   * Undefined for a device that is not, or no longer, to be served. `from`: the address of its client, as far as it is
   * known; of a session that is away, the last one.
   */
  readonly policyFor: (device: DeviceId, from: string | undefined) => Rights | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
  /**
   * Milliseconds by a clock that nobody sets, for every time limit, see {@link Clocks}: a server that learns the right
   * time would otherwise lose all its clients at once, and what it keeps for them. Default: `now`.
   */
  readonly elapsed?: () => number
  readonly limits?: Partial<BrokerLimits>
  /** Its leave to serve, while locks reach it. Default: one that never ends. */
  readonly lease?: LockLease
  /** Of this service, for its statistics. */
  readonly version?: string
}

/** What all connections share: sessions, subscriptions, retained messages and the way of a message between them. */
export class Hub implements Clocks {
  readonly options: BrokerOptions
  readonly limits: BrokerLimits
  readonly now: () => number
  readonly elapsed: () => number
  readonly lease: LockLease
  readonly trail: Trail
  readonly decisions: DecisionLog
  readonly store: SessionStore
  readonly sessions = new Sessions()
  readonly held: Held = { bytes: 0 }
  readonly router = new Router<Session>()
  readonly retained: Retained<Message>
  readonly delivery: Delivery
  readonly services: ServiceTopics
  readonly drops: Drops
  readonly refusals: Refusals
  readonly filterRate: FilterRate
  readonly rightsTerm: RightsTerm
  readonly statistics = new Statistics()
  /** Wills on their way: by client id, the sequence number of the record that they wait for. */
  readonly speaking = new Map<string, number>()
  /** Devices that are locked or revoked: they are not let in, and no will of theirs speaks. */
  readonly keptOut = new Set<DeviceId>()
  readonly #onCrowded: () => void
  #rightsEpoch = 0

  constructor(
    options: BrokerOptions,
    on: {
      /** Nothing that a later commit would have kept can be promised any more. */
      readonly storeFailure: (error: unknown) => void
      /** More waits for the session than may. */
      readonly overflow: (session: Session) => void
      /** More waits for all sessions together than may. */
      readonly crowded: () => void
      /** The rights of some sessions are no longer what they were. */
      readonly rightsOver: () => void
    },
  ) {
    const { now } = options
    this.options = options
    this.#onCrowded = on.crowded
    this.limits = { ...defaultLimits, ...options.limits }
    this.now = now
    this.elapsed = options.elapsed ?? now
    this.lease = options.lease ?? endlessLease
    const { limits, elapsed } = this
    this.rightsTerm = new RightsTerm(now, on.rightsOver)
    this.trail = new Trail(options.audit)
    this.decisions = new DecisionLog({ trail: this.trail, statistics: this.statistics, limits, now, elapsed })
    this.store = new SessionStore(options.store, this, on.storeFailure)
    this.retained = new Retained({ store: this.store, limits, elapsed })
    const { trail, decisions, store, statistics } = this
    this.drops = new Drops(trail, statistics)
    const handover = new Handover({ decisions, statistics, elapsed })
    const tell: ServiceTopics['tell'] = (...service) => this.services.tell(...service)
    this.delivery = new Delivery({ handover, drops: this.drops, store, limits, elapsed, overflow: on.overflow, tell })
    const route = (message: Message) => void this.route(message)
    this.services = new ServiceTopics({ handover, delivery: this.delivery, retained: this.retained, route })
    this.filterRate = new FilterRate(limits, elapsed)
    this.refusals = new Refusals(trail, statistics, limits, elapsed)
  }

  /** False once the log or the store has failed: then nothing that would be promised could be kept. */
  get healthy(): boolean {
    return this.options.audit.healthy && !this.store.failed
  }

  /** Whether the certificate opens anything now; not when that cannot be told. */
  admissionOf(holder: CertificateHolder, address: string): Admission {
    try {
      return this.options.admit(holder, address)
    } catch {
      return { admitted: false, reason: 'internal' }
    }
  }

  /** The same for who is not there, or has said something before; not when it is not known who that was. */
  standingOf({ device, certificate, address }: Speaker): Admission {
    if (certificate === undefined || address === undefined) return { admitted: false, reason: 'unknown_certificate' }
    return this.admissionOf({ deviceId: device, fingerprint: certificate }, address)
  }

  /** Whether it may still be heard what they leave behind. That a certificate was renewed, or has grown old, is nothing against it. */
  hasVoice(speaker: Speaker): boolean {
    if (this.keptOut.has(speaker.device)) return false
    const standing = this.standingOf(speaker)
    return standing.admitted || standing.reason === 'previous' || standing.reason === 'expired'
  }

  /** The device's rights now, for a client at this address; none when they cannot be told. */
  rightsOf(device: DeviceId, from: string | undefined): Rights | undefined {
    try {
      const rights = this.options.policyFor(device, from)
      if (rights) this.rightsTerm.note(rights.term)
      return rights
    } catch {
      return undefined
    }
  }

  /** See {@link RightsSource}. */
  get rightsEpoch(): number {
    return this.#rightsEpoch
  }

  /** From here on nothing is decided by rights that were given before. */
  renewRights(): void {
    this.#rightsEpoch++
    this.rightsTerm.begin()
  }

  /** Sends a recorded message to everyone who subscribed to its topic. Returns how many sessions that are. */
  route(message: Message): number {
    if (message.retain) this.#retain(message)
    const { direct, groups } = this.router.match(message.topic)
    let reached = 0
    for (const { subscriber, reception, ownReception } of direct) {
      const isOwn = subscriber.clientId === message.clientId
      if (this.#deliver(subscriber, message, isOwn ? ownReception : reception)) reached++
    }
    for (const group of groups) {
      const member = group.next((session) => readinessOf(session, message.topic))
      if (!member) this.#recordDenial(group, message)
      else if (this.#deliver(member.subscriber, message, member.reception)) reached++
    }
    if (this.crowded) this.#onCrowded()
    return reached
  }

  /** Whether more waits for all sessions together than may. */
  get crowded(): boolean {
    return this.held.bytes > this.limits.maxHeldBytes
  }

  restoreRetained(message: Message): void {
    message.keep()
    this.retained.restore(message)
  }

  /** Forgets a session and all that waits for it. */
  discard(session: Session): void {
    this.decisions.flush(session)
    if (session.persistent) this.store.deleteSession(session)
    this.unsubscribe(session)
    this.sessions.remove(session)
    session.forget()
  }

  /** From everything; what is stored of it stays. */
  unsubscribe(session: Session): void {
    for (const subscription of session.subscriptions.values()) this.router.remove(subscription, session)
    session.subscriptions.clear()
  }

  #retain(message: Message): void {
    message.keep()
    this.retained.set(message)
  }

  /** Nobody of the group may hear it, and the record names one of them. */
  #recordDenial(group: ShareGroup<Session>, message: Message): void {
    const refuses = ({ subscriber, reception }: Member<Session>) =>
      !this.delivery.mayHear(subscriber, message, reception)
    runAlone({ run: () => void group.members.some(refuses) })
  }

  /** One receiver's trouble is not the others'. */
  #deliver(subscriber: Session, message: Message, reception: Reception | undefined): boolean {
    if (!reception) return false
    try {
      this.delivery.deliver(subscriber, message, reception)
    } catch (error) {
      subscriber.link?.close('internal', String(error))
    }
    return true
  }
}

/** Of a session that shares a subscription: what one may not hear goes to another, and to one that is away it can only be promised. */
function readinessOf({ link, ready, persistent, queue, rights }: Session, topic: TopicName): Readiness {
  if (decide(rights.version, () => rights.receive(topic)).effect === 'deny') return 'never'
  if (link && ready && !link.writer.full && queue.size === 0) return 'ready'
  return link || persistent ? 'later' : 'never'
}
