import type { Decision, DeviceId } from '#protocol'
import type { QosDecision } from '#policy'
import { decide, decisionFacts } from './decision.js'
import type { DecisionLog } from './decision-log.js'
import type { BrokerLimits } from './limits.js'
import type { Message } from './message.js'
import type { Outgoing } from './queue.js'
import type { Session } from './session.js'
import type { SessionStore } from './session-store.js'
import type { Trail } from './trail.js'

/**
 * The last step of a message's way: to one session. Every delivery, live, queued, retained or repeated, is decided by
 * the receiver's rights of this moment and recorded before its bytes go to the socket. They do not wait for that record
 * to be durable: the message's own record is, and what a crash can take away is only the statement that it was handed on.
 */
export class Delivery {
  readonly #trail: Trail
  readonly #decisions: DecisionLog
  readonly #store: SessionStore
  readonly #limits: BrokerLimits
  /** Ends a session and all its state because it cannot keep up. */
  readonly #overflow: (session: Session) => void

  constructor(
    trail: Trail,
    decisions: DecisionLog,
    store: SessionStore,
    limits: BrokerLimits,
    overflow: (session: Session) => void,
  ) {
    this.#trail = trail
    this.#decisions = decisions
    this.#store = store
    this.#limits = limits
    this.#overflow = overflow
  }

  /** Hands the message on, or keeps it for the session, at the lower of the two QoS (MQTT 3.1.1 §3.8.4). */
  deliver(session: Session, message: Message, grantedQos: 0 | 1, retained: boolean): void {
    if (message.qos === 0 || grantedQos === 0) this.#deliverOnceAtMost(session, message, retained)
    else this.#deliverOnceAtLeast(session, message, retained)
  }

  /** Sends what waits, as far as window and socket allow. What goes wrong on the way ends this connection and no other. */
  drain(session: Session): void {
    try {
      while (this.#hasRoom(session)) {
        const outgoing = session.queue.shift()
        if (!outgoing) return
        this.#send(session, outgoing)
      }
    } catch (error) {
      session.link?.close('internal', String(error))
    }
  }

  /** After a reconnect: first what was sent and not acknowledged, again and in order [MQTT-4.4.0-1]; then what waits. */
  resume(session: Session): void {
    for (const outgoing of [...session.inflight]) this.#send(session, outgoing)
    this.drain(session)
  }

  acknowledge(session: Session, packetId: number): void {
    const outgoing = session.inflight.acknowledge(packetId)
    if (!outgoing) return // of a message that was taken back, or of none: MQTT 3.1.1 knows no answer to it
    if (!session.clean) this.#store.deleteMessage(session, outgoing)
    this.drain(session)
  }

  /** Takes back all messages of a device that this session's socket has not got yet. Returns how many. */
  removeOf(session: Session, publisher: DeviceId): number {
    const unsent = session.link?.writer.removeOf(publisher) ?? 0
    const queued = session.queue.removeOf(publisher)
    const inflight = session.inflight.removeOf(publisher)
    if (!session.clean) for (const outgoing of [...queued, ...inflight]) this.#store.deleteMessage(session, outgoing)
    const removed = unsent + queued.length + (session.link ? 0 : inflight.length)
    if (removed > 0) {
      this.#trail.recordIfPossible({ event: 'message.drop', ...session.facts(), reason: 'revoked', count: removed })
    }
    this.drain(session)
    return removed
  }

  /** Writes down how many QoS 0 messages a slow session has lost since the last time. */
  recordDrops(session: Session): void {
    if (session.dropped === 0) return
    const count = session.dropped
    session.dropped = 0
    this.#trail.recordIfPossible({ event: 'message.drop', ...session.facts(), reason: 'queue_full', count })
  }

  #deliverOnceAtMost(session: Session, message: Message, retained: boolean): void {
    const { link } = session
    if (!link || !session.ready) return
    if (link.writer.full) {
      session.dropped++
      return
    }
    const allowed = this.#decide(session, message, 0)
    if (!allowed) return
    this.#record(session, message, allowed, { qos: 0, retain: retained, dup: false })
    const frame = retained ? message.frame({ qos: 0, retain: true, dup: false, packetId: 0 }) : message.liveFrame
    link.writer.push(frame, message.publisher)
  }

  #deliverOnceAtLeast(session: Session, message: Message, retained: boolean): void {
    const outgoing: Outgoing = { message, retained, order: session.nextOrder++, packetId: undefined }
    if (session.queue.size === 0 && this.#hasRoom(session)) {
      this.#send(session, outgoing)
      return
    }
    if (!session.link && session.clean) return
    if (!this.#decide(session, message, 1)) return
    session.queue.push(outgoing)
    if (!session.clean) this.#store.putMessage(session, outgoing)
    const { size, bytes } = session.queue
    if (size > this.#limits.maxQueued || bytes > this.#limits.maxQueuedBytes) this.#overflow(session)
  }

  #hasRoom({ link, ready, inflight }: Session): boolean {
    return link !== undefined && ready && !link.writer.full && inflight.size < this.#limits.maxInflight
  }

  #send(session: Session, outgoing: Outgoing): void {
    const { link } = session
    if (!link) return
    const { message, retained } = outgoing
    const allowed = this.#decide(session, message, 1)
    if (!allowed || allowed.qos === 0) {
      this.#giveUp(session, outgoing)
      if (allowed) this.#deliverOnceAtMost(session, message, retained)
      return
    }
    const dup = outgoing.packetId !== undefined // it was sent before [MQTT-3.3.1-1]
    const packetId = outgoing.packetId ?? session.inflight.add(outgoing)
    // The packet identifier is kept with the message; the publisher's answer waits for that, this delivery does not.
    if (!session.clean && !dup) this.#store.putMessage(session, outgoing)
    this.#record(session, message, allowed, { qos: 1, retain: retained, dup, messageId: packetId })
    link.writer.push(message.frame({ qos: 1, retain: retained, dup, packetId }), message.publisher)
  }

  /** The session will never be sent this one. */
  #giveUp(session: Session, outgoing: Outgoing): void {
    if (outgoing.packetId !== undefined) session.inflight.acknowledge(outgoing.packetId)
    if (!session.clean) this.#store.deleteMessage(session, outgoing)
  }

  /** By the receiver's rights of now. */
  #decide(session: Session, message: Message, qos: 0 | 1): Allowed | undefined {
    const { rights } = session
    const decision = decide(rights.version, () => rights.receive(message.topic))
    if (decision.effect === 'allow') return decision
    this.#record(session, message, decision, { qos, retain: false, dup: false })
    return undefined
  }

  #record(session: Session, message: Message, decision: Decision, how: Handed): void {
    this.#decisions.record(session, {
      event: 'message.deliver',
      topic: message.topic,
      ...decisionFacts(decision),
      ...how,
      size: message.payload.length,
      publisher: message.publisher,
      origin: message.origin,
    })
  }
}

type Allowed = Extract<QosDecision, { effect: 'allow' }>

interface Handed {
  readonly qos: 0 | 1
  readonly retain: boolean
  readonly dup: boolean
  readonly messageId?: number
}
