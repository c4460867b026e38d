import type { Decision } from '#protocol'
import type { QosDecision } from '#policy'
import { Answers } from './answers.js'
import { decide } from './decision.js'
import { type DecisionLog, unplaced } from './decision-log.js'
import type { Handing, Message } from './message.js'
import type { Request } from './request.js'
import type { Link, Session } from './session.js'
import type { Statistics } from './statistics.js'
import type { Qos } from './wire/packet.js'

/** That a session may hear a message, and at which QoS at most. */
export type Hearing = Extract<QosDecision, { effect: 'allow' }>

interface HandoverOptions {
  readonly decisions: DecisionLog
  readonly statistics: Statistics
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
}

/**
 * The last step of a message's way, always the same: decided by the receiver's rights of this moment, recorded, and then
 * into the socket's queue. The bytes do not wait for that record to be durable: the message's own record is, and what a
 * crash can take away is only the statement that it was handed on.
 */
export class Handover {
  readonly #decisions: DecisionLog
  readonly #statistics: Statistics
  readonly #elapsed: () => number

  constructor({ decisions, statistics, elapsed }: HandoverOptions) {
    this.#decisions = decisions
    this.#statistics = statistics
    this.#elapsed = elapsed
  }

  /** By the receiver's rights of now; a refusal is recorded here. `qos`: what it would be sent with. */
  hearing(session: Session, message: Message, qos: Qos): Hearing | undefined {
    const { rights } = session
    const begun = this.#statistics.beginDecision('receive')
    const decision = decide(rights.version, () => rights.receive(message.topic))
    this.#statistics.endDecision('receive', begun)
    if (decision.effect === 'allow') return decision
    this.#record(session, message, decision, qos, false, false, 0)
    return undefined
  }

  /** QoS 0: now or never. */
  handAtMostOnce(session: Session, message: Message, retain: boolean, identifiers: readonly number[]): void {
    const { link } = session
    if (!link || !session.ready) return
    if (link.writer.full) {
      session.dropped.queue_full++
      return
    }
    const hearing = this.hearing(session, message, 0)
    if (!hearing) return
    const handing = { level: link.level, qos: 0, retain, dup: false, packetId: 0, identifiers } as const
    this.hand(session, link, message, handing, hearing)
  }

  /** False where the client does not take packets of that size [MQTT-3.1.2-24]. */
  hand(session: Session, link: Link, message: Message, handing: Handing, hearing: Hearing): boolean {
    const alias = link.aliases.for(message)
    const frame = message.frame(handing, alias, this.#elapsed)
    if (frame.length > link.maximumPacketSize) {
      session.dropped.too_large++
      return false
    }
    if (alias?.isNew) link.aliases.establish(message, alias.number)
    const { qos, retain, dup, packetId } = handing
    this.#record(session, message, hearing, qos, retain, dup, packetId)
    link.writer.pushMessage(frame, message.publisher, packetId)
    link.traffic.sent(qos)
    // Asked once: not again by what is retained, or sent again.
    if (message.request && !retain && !dup) askForAnswer(session, message.request)
    return true
  }

  #record(
    session: Session,
    message: Message,
    decision: Decision,
    qos: Qos,
    retain: boolean,
    dup: boolean,
    packetId: number,
  ): void {
    this.#decisions.record(session, {
      event: 'message.deliver',
      device: session.device,
      session: session.name,
      sessionIndex: unplaced,
      topic: message.topic,
      decision: decision.effect,
      reason: decision.effect === 'deny' ? decision.reason : undefined,
      rules: decision.rules,
      policyVersion: decision.policyVersion,
      qos,
      retain,
      dup,
      messageId: packetId === 0 ? undefined : packetId,
      size: message.payload.length,
      publisher: message.publisher,
      origin: message.origin,
    })
  }
}

/** Who is kept to repairs says nothing else, whoever asks; and nobody is given a right by its own device. */
function askForAnswer(session: Session, request: Request): void {
  if (session.rights.quarantined || request.device === session.device) return
  session.answers ??= new Answers()
  session.answers.give(request, session.rights)
}
