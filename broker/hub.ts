import type { AuditTrail, DeviceId, DeviceIdentity, SessionEndReason } from '#protocol'
import type { Store } from '#store'
import { DecisionLog } from './decision-log.js'
import { Delivery } from './delivery.js'
import { type BrokerLimits, defaultLimits } from './limits.js'
import type { Message } from './message.js'
import { Refusals } from './refusals.js'
import { Retained } from './retained.js'
import { Router } from './router.js'
import { type Rights, Session } from './session.js'
import { SessionStore, type StoredSession } from './session-store.js'
import { Sessions } from './sessions.js'
import { Trail } from './trail.js'

/** Whether a certificate opens anything now; the registry's answer. */
export type Admission =
  | { readonly admitted: true; readonly state: 'current' | 'pending' }
  | { readonly admitted: false; readonly reason: string }

export interface BrokerOptions {
  readonly audit: AuditTrail
  readonly store: Store
  /** Reads who a peer certificate names, or throws. */
  readonly identify: (peerDer: Uint8Array) => DeviceIdentity
  /** Asked at every connection, resumed TLS sessions included, and again when another certificate is used. */
  readonly admit: (identity: DeviceIdentity) => Admission
  /** First use of a pending certificate; durable when it resolves. */
  readonly promote: (identity: DeviceIdentity, peer: string) => Promise<void>
  /** Undefined for a device that is not, or no longer, to be served. */
  readonly policyFor: (device: DeviceId) => Rights | undefined
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly limits?: Partial<BrokerLimits>
}

/** What all connections share: sessions, subscriptions, retained messages and the way of a message between them. */
export class Hub {
  readonly options: BrokerOptions
  readonly limits: BrokerLimits
  readonly now: () => number
  readonly trail: Trail
  readonly decisions: DecisionLog
  readonly store: SessionStore
  readonly sessions = new Sessions()
  readonly router = new Router<Session>()
  readonly retained: Retained
  readonly delivery: Delivery
  readonly refusals: Refusals
  /** Devices that were ended for good since the start: what they published and what is not routed yet goes nowhere. */
  readonly revoked = new Set<DeviceId>()

  constructor(options: BrokerOptions, onStoreFailure: (error: unknown) => void) {
    this.options = options
    this.limits = { ...defaultLimits, ...options.limits }
    this.now = options.now
    this.trail = new Trail(options.audit)
    this.decisions = new DecisionLog(this.trail, this.limits, this.now)
    this.store = new SessionStore(options.store, onStoreFailure)
    this.retained = new Retained(this.store, this.limits)
    this.delivery = new Delivery(this.trail, this.decisions, this.store, this.limits, (session) =>
      this.overflow(session),
    )
    this.refusals = new Refusals(this.trail, this.limits, this.now)
  }

  /** Sessions and retained messages of the process before; those of devices that are not served any more stay behind. */
  async restore(): Promise<void> {
    const isServed = (device: DeviceId) => this.options.policyFor(device) !== undefined
    for (const stored of await this.store.loadSessions()) {
      const rights = this.options.policyFor(stored.device)
      if (rights) this.#restoreSession(stored, rights, isServed)
      else this.store.deleteStored(stored)
    }
    for (const message of await this.store.loadRetained()) {
      if (isServed(message.publisher)) this.retained.restore(message)
      else this.store.deleteRetained(message.topic)
    }
  }

  /** False once the log or the store has failed: then nothing that would be promised could be kept. */
  get healthy(): boolean {
    return this.options.audit.healthy && !this.store.failed
  }

  /** Whether the certificate opens anything now; not when that cannot be told. */
  admissionOf(identity: DeviceIdentity): Admission {
    try {
      return this.options.admit(identity)
    } catch {
      return { admitted: false, reason: 'internal' }
    }
  }

  /** The device's rights now; none when they cannot be told. */
  rightsOf(device: DeviceId): Rights | undefined {
    try {
      return this.options.policyFor(device)
    } catch {
      return undefined
    }
  }

  /** Sends a recorded message to everyone who subscribed to its topic. One receiver's trouble is not the others'. */
  route(message: Message): void {
    if (message.retain) this.retained.set(message)
    for (const { subscriber, qos } of this.router.match(message.topic)) {
      try {
        this.delivery.deliver(subscriber, message, qos, false)
      } catch (error) {
        subscriber.link?.close('internal', String(error))
      }
    }
  }

  /** Forgets a session and all that waits for it. */
  discard(session: Session): void {
    this.decisions.flush(session)
    for (const filter of session.subscriptions.keys()) this.router.remove(filter, session)
    this.sessions.remove(session)
    if (!session.clean) this.store.deleteSession(session)
  }

  /** A session that cannot keep up loses itself, never the others: what waited for it, and then its place. */
  overflow(session: Session): void {
    const count = session.pending
    this.trail.recordIfPossible({ event: 'message.drop', ...session.facts(), reason: 'queue_full', count })
    this.expire(session, session.link ? 'slow' : 'quota')
  }

  /** Ends a session together with its state. */
  expire(session: Session, reason: SessionEndReason): void {
    if (session.link) session.link.close(reason)
    else this.#recordEnd(session, reason)
    if (this.sessions.get(session.clientId) === session) this.discard(session)
  }

  #recordEnd(session: Session, reason: SessionEndReason): void {
    this.decisions.flush(session)
    this.trail.recordIfPossible({ event: 'session.end', ...session.facts(), reason })
  }

  #restoreSession(stored: StoredSession, rights: Rights, isServed: (device: DeviceId) => boolean): void {
    const { clientId, device, since } = stored
    const session = new Session({ clientId, device, clean: false, rights, since })
    for (const [filter, qos] of stored.subscriptions) {
      session.subscriptions.set(filter, qos)
      this.router.add(filter, session, qos)
    }
    for (const outgoing of stored.messages) {
      session.nextOrder = outgoing.order + 1
      if (!isServed(outgoing.message.publisher)) this.store.deleteMessage(session, outgoing)
      else if (outgoing.packetId !== undefined) session.inflight.restore(outgoing, outgoing.packetId)
      else session.queue.push(outgoing)
    }
    this.sessions.add(session)
  }
}
