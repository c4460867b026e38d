import type { BrokerLimits } from './limits.js'
import type { Outgoing } from './queue.js'
import type { Session } from './session.js'
import type { SessionStore } from './storage/session-store.js'
import { encodeAck } from './wire/encode.js'
import { type ReasonCode, reasonCodes } from './wire/reason-codes.js'

export interface WindowOptions {
  readonly store: SessionStore
  readonly limits: BrokerLimits
}

/** Packet identifiers that may be in use at once, with some left to find a free one quickly. */
const maxPacketIds = 60_000

/**
 * What one client may be sent before it acknowledges more, and what becomes of each message that was sent: when it is
 * settled, and when its packet identifier is free for another.
 */
export class Window {
  readonly #options: WindowOptions

  constructor(options: WindowOptions) {
    this.#options = options
  }

  hasRoom({ link, ready, inflight, outstanding }: Session): boolean {
    if (!link || !ready || link.writer.full) return false
    const window = Math.min(this.#options.limits.maxInflight, link.receiveMaximum) // [MQTT-3.3.4-9]
    return outstanding < window && inflight.size < maxPacketIds
  }

  /** The client has the message; what is left is to agree that its identifier is free (MQTT 5.0 §4.3.3). */
  release(session: Session, outgoing: Outgoing): void {
    outgoing.released = true
    // It is a promise again: PUBREL is repeated until PUBCOMP.
    if (outgoing.stage === 'withdrawn') outgoing.stage = 'handed'
    else if (outgoing.stage === 'withheld') outgoing.stage = 'waiting'
    const { link } = session
    const { store } = this.#options
    if (session.persistent) store.putMessage(session, outgoing)
    // Only when this is stored: after PUBREL the client takes the same identifier for another message.
    store.afterFlush(() => {
      if (session.link === link) sendPubrel(session, outgoing.packetId, reasonCodes.success)
    })
  }

  /** The session is done with this one, or will never be sent it. What waits behind it may take its place. */
  settle(session: Session, outgoing: Outgoing): void {
    if (outgoing.packetId !== undefined) session.inflight.remove(outgoing.packetId)
    leave(session, outgoing, 'waiting')
    if (session.persistent) this.#options.store.deleteMessage(session, outgoing)
  }

  /**
   * This connection does not get it. Was it sent on an earlier one, though, with QoS 2, then the client can hold its
   * identifier until it has seen PUBREL, and would take another message under it for a repetition (MQTT 5.0 §4.3.3). So
   * the identifier stays in use until the client speaks of it, or the session ends.
   */
  withhold(session: Session, outgoing: Outgoing): void {
    const canBeWithClient = outgoing.packetId !== undefined && outgoing.stage !== 'begun'
    if (outgoing.qos === 2 && canBeWithClient) leave(session, outgoing, 'withheld')
    else this.settle(session, outgoing)
  }

  /** The client has it and will acknowledge it: until then its identifier is given to no other message. */
  withdraw(session: Session, outgoing: Outgoing): void {
    outgoing.stage = 'withdrawn'
    if (session.persistent) this.#options.store.deleteMessage(session, outgoing)
  }
}

/** Whether the client is still to get it, under the identifier that it has. */
export function isDue({ inflight }: Session, outgoing: Outgoing): boolean {
  return inflight.get(outgoing.packetId ?? 0) === outgoing && !outgoing.released
}

export function sendPubrel({ link }: Session, packetId = 0, reasonCode: ReasonCode): void {
  link?.writer.push(encodeAck({ level: link.level, type: 'pubrel', packetId, reasonCode }))
}

function leave(session: Session, outgoing: Outgoing, stage: 'waiting' | 'withheld'): void {
  const wasWithin = outgoing.stage !== 'waiting' && outgoing.stage !== 'withheld'
  if (wasWithin) session.outstanding = Math.max(0, session.outstanding - 1)
  outgoing.stage = stage
}
