import type { DeviceId, TopicFilter } from '#protocol'
import type { Drops } from './drops.js'
import { BrokerError } from './errors.js'
import type { Handover, Hearing } from './handover.js'
import type { BrokerLimits } from './limits.js'
import type { Message } from './message.js'
import type { Outgoing } from './queue.js'
import type { Link, Replay, Session } from './session.js'
import type { SessionStore } from './storage/session-store.js'
import type { Reception } from './subscription.js'
import { encodeAck } from './wire/encode.js'
import type { AckPacket, Qos } from './wire/packet.js'
import { type ReasonCode, reasonCodes } from './wire/reason-codes.js'

export interface DeliveryOptions {
  readonly handover: Handover
  readonly drops: Drops
  readonly store: SessionStore
  readonly limits: BrokerLimits
  readonly now: () => number
  /** Ends a session and all its state because it cannot keep up. */
  readonly overflow: (session: Session) => void
}

/**
 * What one session is given, and when: at once or when its window and its socket have room, once or until it is
 * acknowledged. {@link Handover} decides and records each message whenever it goes out, live, queued, retained or again.
 */
export class Delivery {
  readonly #options: DeliveryOptions

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /** Hands the message on, or keeps it for the session, at the lower of the two QoS [MQTT-3.8.4-8]. */
  deliver(session: Session, message: Message, reception: Reception, retained = false): void {
    if (message.expiresAt !== undefined && message.isExpired(this.#options.now())) return // [MQTT-3.3.2-5]
    const { identifiers, retainAsPublished } = reception
    const retain = retained || (retainAsPublished && message.retain) // [MQTT-3.3.1-8], [MQTT-3.3.1-12], [MQTT-3.3.1-13]
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
      while (this.#hasRoom(session)) {
        const outgoing = session.resending.shift() ?? session.queue.shift()
        if (outgoing) this.#send(session, outgoing)
        else if (!this.#replayNext(session)) return
        else if (++replayed === replaysPerTurn) return this.#drainLater(session)
      }
    } catch (error) {
      session.link?.close('internal', String(error))
    }
  }

  /**
   * Gives a new subscription the retained messages that it matches, no faster than the client takes them. Whoever
   * subscribes anew while that goes on has it begin anew: it is owed each message once, not once per SUBSCRIBE.
   */
  replay(session: Session, name: TopicFilter, replay: Replay): void {
    session.replays.delete(name)
    session.replays.set(name, replay)
    this.drain(session)
  }

  /**
   * A connection has ended: what it would still have been given is kept for the next one, where the session lives on. Not
   * all at once: whoever subscribes to very much and goes would stop everyone else meanwhile.
   */
  endReplays(session: Session): void {
    for (const [name, { reception }] of session.replays) if (reception.qos === 0) session.replays.delete(name)
    if (session.persistent) this.#keepOwed(session)
    else session.replays.clear()
  }

  /** The service ends, and there are no later turns. */
  finishReplays(session: Session): void {
    while (this.#keepNext(session));
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
      if (isWithdrawn) this.#settle(session, outgoing)
      else if (outgoing.released) this.#sendPubrel(session, outgoing.packetId, reasonCodes.success)
      else session.resending.push(outgoing)
    }
    this.drain(session)
  }

  /** PUBACK, PUBREC or PUBCOMP from the receiver (MQTT 5.0 §4.3). @throws BrokerError PROTOCOL_VIOLATION */
  acknowledge(session: Session, { type, packetId, reasonCode }: AckPacket): void {
    const outgoing = session.inflight.get(packetId)
    if (!outgoing) {
      // Of a message that was taken back, or of none. Who holds an identifier is told that it may let it go.
      if (type === 'pubrec') this.#sendPubrel(session, packetId, reasonCodes.packetIdentifierNotFound)
      return
    }
    const expected = outgoing.qos === 1 ? 'puback' : outgoing.released ? 'pubcomp' : 'pubrec'
    if (type === 'pubrec' && outgoing.released) return // a repetition: PUBREL is on its way
    if (type !== expected) throw new BrokerError('PROTOCOL_VIOLATION', `${type} where ${expected} was due`)
    if (type === 'pubrec' && reasonCode < reasonCodes.unspecifiedError) {
      this.#release(session, outgoing)
    } else {
      this.#settle(session, outgoing)
      this.drain(session)
    }
  }

  /** Takes back all messages of a device that this session's socket has not got yet. Returns how many. */
  removeOf(session: Session, publisher: DeviceId): number {
    const { link } = session
    const unsent = link?.writer.removeOf(publisher) ?? []
    link?.aliases.forget(publisher)
    let removed = unsent.filter((packetId) => packetId === 0).length
    const unsentIds = new Set(unsent)
    for (const outgoing of [...session.queue.removeOf(publisher), ...session.inflight.of(publisher)]) {
      const isWithClient = link && outgoing.stage === 'handed' && !unsentIds.has(outgoing.packetId ?? 0)
      if (isWithClient) {
        this.#withdraw(session, outgoing)
      } else {
        this.#settle(session, outgoing)
        removed++
      }
    }
    this.#options.drops.record(session, 'revoked', removed)
    this.drain(session)
    return removed
  }

  /** Forgets what has waited too long: by its publisher's wish, or by our limit. */
  dropExpired(session: Session): void {
    const { now, limits, store } = this.#options
    const { oldest } = session.queue
    if (oldest === undefined) return
    const stale = now() - oldest > limits.maxQueuedSeconds * 1000 ? this.#takeStale(session) : []
    for (const outgoing of [...stale, ...session.queue.removeExpired(now())]) {
      session.dropped.expired++
      if (session.persistent) store.deleteMessage(session, outgoing)
    }
  }

  /** There can be very many retained messages, and the client may not hear one of them: the others have their turn. */
  #drainLater(session: Session): void {
    if (session.drainsLater) return
    session.drainsLater = true
    setImmediate(() => {
      session.drainsLater = false
      if (session.link) this.drain(session)
      else this.#keepOwed(session)
    })
  }

  #keepOwed(session: Session): void {
    for (let kept = 0; kept < replaysPerTurn; kept++) if (!this.#keepNext(session)) return
    this.#drainLater(session)
  }

  /** False when there is none. */
  #keepNext(session: Session): boolean {
    try {
      return this.#replayNext(session)
    } catch {
      return true // a refusal that the log has no room for; the message is not kept all the same
    }
  }

  /** False when there is none. */
  #replayNext(session: Session): boolean {
    const [next] = session.replays
    if (!next) return false
    const [name, replay] = next
    const { done, value: message } = replay.messages.next()
    if (done === true) session.replays.delete(name)
    else if (!(replay.noLocal && message.clientId === session.clientId)) {
      this.deliver(session, message, replay.reception, true)
    }
    return true
  }

  #deliverAcknowledged(
    session: Session,
    message: Message,
    qos: 1 | 2,
    retain: boolean,
    identifiers: readonly number[],
  ): void {
    const { now, store, limits, handover } = this.#options
    const outgoing: Outgoing = {
      message,
      order: session.nextOrder++,
      since: now(),
      retain,
      identifiers,
      qos,
      packetId: undefined,
      released: false,
      stage: 'waiting',
    }
    if (session.queue.size === 0 && session.resending.length === 0 && this.#hasRoom(session)) {
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

  #hasRoom({ link, ready, inflight, outstanding }: Session): boolean {
    if (!link || !ready || link.writer.full) return false
    const window = Math.min(this.#options.limits.maxInflight, link.receiveMaximum) // [MQTT-3.3.4-9]
    return outstanding < window && inflight.size < maxPacketIds
  }

  #send(session: Session, outgoing: Outgoing): void {
    const { link } = session
    if (!link) return
    const { handover } = this.#options
    const { message } = outgoing
    const dup = outgoing.packetId !== undefined // it was sent before [MQTT-3.3.1-1]
    if (dup && !isDue(session, outgoing)) return // acknowledged or taken back since [MQTT-4.3.3-6]
    if (!dup && message.isExpired(this.#options.now())) {
      session.dropped.expired++
      this.#settle(session, outgoing)
      return
    }
    const hearing = handover.hearing(session, message, outgoing.qos)
    if (!hearing || hearing.qos === 0) {
      this.#withhold(session, outgoing)
      if (hearing) handover.handAtMostOnce(session, message, outgoing.retain, outgoing.identifiers)
      return
    }
    if (!dup) {
      if (hearing.qos === 1) outgoing.qos = 1
      session.inflight.add(outgoing)
      if (session.persistent) this.#options.store.putMessage(session, outgoing)
    }
    session.outstanding++
    outgoing.stage = 'begun'
    // What is sent again is stored since CONNACK, and keeps its order [MQTT-4.6.0-1].
    if (outgoing.qos === 2 && session.persistent && !dup) this.#handWhenStored(session, link, outgoing, hearing)
    else this.#handOutgoing(session, link, outgoing, dup, hearing)
  }

  /**
   * A QoS 2 message goes out under an identifier that a restart will know again, or it could arrive twice. The others
   * do not wait: the publisher's answer does.
   */
  #handWhenStored(session: Session, link: Link, outgoing: Outgoing, hearing: Hearing): void {
    this.#options.store.afterFlush(() => {
      if (session.link !== link || !isDue(session, outgoing)) return
      this.#handOutgoing(session, link, outgoing, false, hearing)
      this.drain(session)
    })
  }

  #handOutgoing(session: Session, link: Link, outgoing: Outgoing, dup: boolean, hearing: Hearing): void {
    const { message, qos, retain, identifiers, packetId = 0 } = outgoing
    outgoing.stage = 'handed'
    const handing = { level: link.level, qos, retain, dup, packetId, identifiers }
    const fits = this.#options.handover.hand(session, link, message, handing, hearing)
    if (fits) return
    if (dup) this.#withhold(session, outgoing)
    else this.#settle(session, outgoing) // as if it had been sent [MQTT-3.1.2-25]
  }

  /** The client has the message; what is left is to agree that its identifier is free (MQTT 5.0 §4.3.3). */
  #release(session: Session, outgoing: Outgoing): void {
    outgoing.released = true
    // It is a promise again: PUBREL is repeated until PUBCOMP.
    if (outgoing.stage === 'withdrawn') outgoing.stage = 'handed'
    else if (outgoing.stage === 'withheld') outgoing.stage = 'waiting'
    const { link } = session
    const { store } = this.#options
    if (session.persistent) store.putMessage(session, outgoing)
    // Only when this is stored: after PUBREL the client takes the same identifier for another message.
    store.afterFlush(() => {
      if (session.link === link) this.#sendPubrel(session, outgoing.packetId, reasonCodes.success)
    })
  }

  #sendPubrel({ link }: Session, packetId = 0, reasonCode: ReasonCode): void {
    link?.writer.push(encodeAck({ level: link.level, type: 'pubrel', packetId, reasonCode }))
  }

  /** The session is done with this one, or will never be sent it. What waits behind it may take its place: {@link drain}. */
  #settle(session: Session, outgoing: Outgoing): void {
    if (outgoing.packetId !== undefined) session.inflight.remove(outgoing.packetId)
    leaveWindow(session, outgoing, 'waiting')
    if (session.persistent) this.#options.store.deleteMessage(session, outgoing)
  }

  /**
   * This connection does not get it. Was it sent on an earlier one, though, with QoS 2, then the client can hold its
   * identifier until it has seen PUBREL, and would take another message under it for a repetition (MQTT 5.0 §4.3.3). So
   * the identifier stays in use until the client speaks of it, or the session ends.
   */
  #withhold(session: Session, outgoing: Outgoing): void {
    if (outgoing.qos === 2 && outgoing.packetId !== undefined) leaveWindow(session, outgoing, 'withheld')
    else this.#settle(session, outgoing)
  }

  /** The client has it and will acknowledge it: until then its identifier is given to no other message. */
  #withdraw(session: Session, outgoing: Outgoing): void {
    outgoing.stage = 'withdrawn'
    if (session.persistent) this.#options.store.deleteMessage(session, outgoing)
  }

  *#takeStale({ queue }: Session): Iterable<Outgoing> {
    const { now, limits } = this.#options
    const before = now() - limits.maxQueuedSeconds * 1000
    while ((queue.oldest ?? Infinity) < before) {
      const outgoing = queue.shift()
      if (outgoing) yield outgoing
    }
  }
}

function leaveWindow(session: Session, outgoing: Outgoing, stage: 'waiting' | 'withheld'): void {
  const wasWithin = outgoing.stage !== 'waiting' && outgoing.stage !== 'withheld'
  if (wasWithin) session.outstanding = Math.max(0, session.outstanding - 1)
  outgoing.stage = stage
}

/** Whether the client is still to get it, under the identifier that it has. */
function isDue({ inflight }: Session, outgoing: Outgoing): boolean {
  return inflight.get(outgoing.packetId ?? 0) === outgoing && !outgoing.released
}

/** Retained messages that one session is given, or not given, in one turn of the event loop. */
const replaysPerTurn = 250

/** Packet identifiers that may be in use at once, with some left to find a free one quickly. */
const maxPacketIds = 60_000

function lower(one: Qos, other: Qos): Qos {
  return one < other ? one : other
}
