import type { Drops } from './drops.js'
import { BrokerError } from './errors.js'
import type { Handover, Hearing } from './handover.js'
import type { BrokerLimits } from './limits.js'
import type { Message } from './message.js'
import type { Outgoing } from './queue.js'
import { Replays, replaysPerTurn } from './replays.js'
import type { Link, Replay, Session } from './session.js'
import type { SessionStore } from './storage/session-store.js'
import type { Reception, Subscription } from './subscription.js'
import { isDue, sendPubrel, Window } from './window.js'
import type { AckPacket, Qos } from './wire/packet.js'
import { reasonCodes } from './wire/reason-codes.js'
import type { Publishers, SilenceReason } from './speaker.js'

export interface DeliveryOptions {
  readonly handover: Handover
  readonly drops: Drops
  readonly store: SessionStore
  readonly limits: BrokerLimits
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
  /** Ends a session and all its state because it cannot keep up. */
  readonly overflow: (session: Session) => void
  /** Has the session hear of a service, if it may. */
  readonly tell: (session: Session, message: Message, retain: boolean, identifiers: readonly number[]) => void
}

/**
 * What one session is given, and when: at once or when its window and its socket have room, once or until it is
 * acknowledged. {@link Handover} decides and records each message whenever it goes out, live, queued, retained or again.
 */
export class Delivery {
  readonly replays: Replays
  readonly #options: DeliveryOptions
  readonly #window: Window

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#window = new Window(options)
    this.replays = new Replays({
      deliver: (session, message, reception) => this.deliver(session, message, reception, true),
      drain: (session) => this.drain(session),
    })
  }

  /** Hands the message on, or keeps it for the session, at the lower of the two QoS [MQTT-3.8.4-8]. */
  deliver(session: Session, message: Message, reception: Reception, retained = false): void {
    if (message.expiresAt !== undefined && message.isExpired(this.#options.elapsed())) return // [MQTT-3.3.2-5]
    const { identifiers, retainAsPublished } = reception
    const retain = retained || (retainAsPublished && message.retain) // [MQTT-3.3.1-8], [MQTT-3.3.1-12], [MQTT-3.3.1-13]
    if (message.offer !== undefined) return this.#options.tell(session, message, retain, identifiers)
    const qos = lower(message.qos, reception.qos)
    if (qos === 0) this.#options.handover.handAtMostOnce(session, message, retain, identifiers)
    else this.#deliverAcknowledged(session, message, qos, retain, identifiers)
  }

  /** By the rights of now; a refusal is recorded here. */
  mayHear(session: Session, message: Message, { qos }: Reception): boolean {
    return this.#options.handover.hearing(session, message, lower(message.qos, qos)) !== undefined
  }

  /** Sends what waits, as far as window and socket allow. What goes wrong on the way ends this connection and no other. */
  drain(session: Session): void {
    let replayed = 0
    try {
      while (this.#window.hasRoom(session)) {
        const outgoing = session.resending.shift() ?? session.queue.shift()
        if (outgoing) this.#send(session, outgoing)
        else if (!this.replays.next(session)) return
        else if (++replayed === replaysPerTurn) return this.replays.goOnLater(session)
      }
    } catch (error) {
      session.link?.close('internal', String(error))
    }
  }

  /** Gives a subscription retained messages that it matches, no faster than the client takes them. */
  replay(session: Session, { name, qos, noLocal, identifier }: Subscription, messages: Replay['messages']): void {
    const reception = { qos, retainAsPublished: true, identifiers: identifier === undefined ? [] : [identifier] }
    this.replays.begin(session, name, { messages, reception, noLocal })
    this.drain(session)
  }

  /**
   * After a reconnect: first what was sent and not acknowledged, again, with its identifiers and in order [MQTT-4.4.0-1],
   * [MQTT-4.6.0-1]; then what waits.
   */
  resume(session: Session): void {
    session.outstanding = 0
    session.resending = []
    for (const outgoing of session.inflight) {
      const isWithdrawn = outgoing.stage === 'withdrawn'
      outgoing.stage = 'waiting'
      if (isWithdrawn) this.#window.settle(session, outgoing)
      else if (outgoing.released) sendPubrel(session, outgoing.packetId, reasonCodes.success)
      else session.resending.push(outgoing)
    }
    this.drain(session)
  }

  /** PUBACK, PUBREC or PUBCOMP from the receiver (MQTT 5.0 §4.3). @throws BrokerError PROTOCOL_VIOLATION */
  acknowledge(session: Session, { type, packetId, reasonCode }: AckPacket): void {
    const outgoing = session.inflight.get(packetId)
    if (!outgoing) {
      // Of a message that was taken back, or of none. Who holds an identifier is told that it may let it go.
      if (type === 'pubrec') sendPubrel(session, packetId, reasonCodes.packetIdentifierNotFound)
      return
    }
    const expected = outgoing.qos === 1 ? 'puback' : outgoing.released ? 'pubcomp' : 'pubrec'
    if (type === 'pubrec' && outgoing.released) return // a repetition: PUBREL is on its way
    if (type !== expected) throw new BrokerError('PROTOCOL_VIOLATION', `${type} where ${expected} was due`)
    if (type === 'pubrec' && reasonCode < reasonCodes.unspecifiedError) {
      this.#window.release(session, outgoing)
    } else {
      this.#window.settle(session, outgoing)
      this.drain(session)
    }
  }

  /** Takes back all messages of devices that this session's socket has not got yet. Returns how many. */
  removeOf(session: Session, publishers: Publishers, reason: SilenceReason): number {
    const { link } = session
    const unsent = link?.writer.removeOf(publishers) ?? []
    link?.aliases.forget(publishers)
    let removed = unsent.filter((packetId) => packetId === 0).length
    const unsentIds = new Set(unsent)
    for (const outgoing of [...session.queue.removeOf(publishers), ...session.inflight.of(publishers)]) {
      const isWithClient = link && outgoing.stage === 'handed' && !unsentIds.has(outgoing.packetId ?? 0)
      if (isWithClient) {
        this.#window.withdraw(session, outgoing)
      } else {
        this.#window.settle(session, outgoing)
        removed++
      }
    }
    this.#options.drops.record(session, reason, removed)
    this.drain(session)
    return removed
  }

  /** Forgets what has waited too long: by its publisher's wish, or by our limit. */
  dropExpired(session: Session): void {
    const { elapsed, limits, store } = this.#options
    const { oldest } = session.queue
    if (oldest === undefined) return
    const stale = elapsed() - oldest > limits.maxQueuedSeconds * 1000 ? this.#takeStale(session) : []
    for (const outgoing of [...stale, ...session.queue.removeExpired(elapsed())]) {
      session.dropped.expired++
      if (session.persistent) store.deleteMessage(session, outgoing)
    }
  }

  #deliverAcknowledged(
    session: Session,
    message: Message,
    qos: 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
  ): void {
    const { elapsed, store, limits, handover } = this.#options
    const outgoing: Outgoing = {
      message,
      order: session.nextOrder++,
      since: elapsed(),
      retain,
      identifiers,
      qos,
      packetId: undefined,
      released: false,
      stage: 'waiting',
    }
    if (session.queue.size === 0 && session.resending.length === 0 && this.#window.hasRoom(session)) {
      this.#send(session, outgoing)
      return
    }
    if (!session.link && (session.forgotten || !session.persistent)) return
    if (!handover.hearing(session, message, qos)) return
    session.queue.push(outgoing)
    if (session.persistent) store.putMessage(session, outgoing)
    const { size, bytes } = session.queue
    if (size > limits.maxQueued || bytes > limits.maxQueuedBytes) this.#options.overflow(session)
  }

  #send(session: Session, outgoing: Outgoing): void {
    const { link } = session
    if (!link) return
    const { message } = outgoing
    const dup = outgoing.packetId !== undefined // it was sent before [MQTT-3.3.1-1]
    if (dup && !isDue(session, outgoing)) return // acknowledged or taken back since [MQTT-4.3.3-6]
    if (!dup && message.isExpired(this.#options.elapsed())) {
      session.dropped.expired++
      this.#window.settle(session, outgoing)
      return
    }
    const hearing = this.#hearingOrWithhold(session, outgoing)
    if (!hearing) return
    if (!dup) {
      if (hearing.qos === 1) outgoing.qos = 1
      session.inflight.add(outgoing)
      if (session.persistent) this.#options.store.putMessage(session, outgoing)
    }
    session.outstanding++
    outgoing.stage = 'begun'
    // What is sent again is stored since CONNACK, and keeps its order [MQTT-4.6.0-1].
    if (outgoing.qos === 2 && session.persistent && !dup) this.#handWhenStored(session, link, outgoing)
    else this.#handOutgoing(session, link, outgoing, dup, hearing)
  }

  /** By the rights of now; what they no longer allow, or at QoS 0 only, is no longer due. */
  #hearingOrWithhold(session: Session, outgoing: Outgoing): Hearing | undefined {
    const { handover } = this.#options
    const { message, retain, identifiers } = outgoing
    const hearing = handover.hearing(session, message, outgoing.qos)
    if (hearing && hearing.qos > 0) return hearing
    this.#window.withhold(session, outgoing)
    if (hearing) handover.handAtMostOnce(session, message, retain, identifiers)
    return undefined
  }

  /**
   * A QoS 2 message goes out under an identifier that a restart will know again, or it could arrive twice. The others
   * do not wait: the publisher's answer does. The disk can be slow and the rights others by then, so they are asked again;
   * and where they have come down to QoS 1 that is stored first, or a restart would send it again with what they forbid.
   */
  #handWhenStored(session: Session, link: Link, outgoing: Outgoing): void {
    const { store } = this.#options
    store.afterFlush(() => {
      if (session.link !== link || !isDue(session, outgoing)) return
      const hearing = this.#hearingOrWithhold(session, outgoing)
      if (hearing && hearing.qos < outgoing.qos) {
        outgoing.qos = 1
        store.putMessage(session, outgoing)
        this.#handWhenStored(session, link, outgoing)
        return
      }
      if (hearing) this.#handOutgoing(session, link, outgoing, false, hearing)
      this.drain(session)
    })
  }

  #handOutgoing(session: Session, link: Link, outgoing: Outgoing, dup: boolean, hearing: Hearing): void {
    const { message, qos, retain, identifiers, packetId = 0 } = outgoing
    outgoing.stage = 'handed'
    const handing = { level: link.level, qos, retain, dup, packetId, identifiers }
    const fits = this.#options.handover.hand(session, link, message, handing, hearing)
    if (fits) return
    if (dup) this.#window.withhold(session, outgoing)
    else this.#window.settle(session, outgoing) // as if it had been sent [MQTT-3.1.2-25]
  }

  *#takeStale({ queue }: Session): Iterable<Outgoing> {
    const { elapsed, limits } = this.#options
    const before = elapsed() - limits.maxQueuedSeconds * 1000
    while ((queue.oldest ?? Infinity) < before) {
      const outgoing = queue.shift()
      if (outgoing) yield outgoing
    }
  }
}

function lower(one: Qos, other: Qos): Qos {
  return one < other ? one : other
}
