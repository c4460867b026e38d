import type { Decision, TopicName } from '#protocol'
import type { Connection } from './connection.js'
import { explainDenial, reasonCodeOf } from './denial.js'
import type { Hub } from './hub.js'
import type { Message } from './message.js'
import type { Rights } from './rights.js'
import { routeUnlessSilenced } from './route.js'
import type { Session } from './session.js'
import type { Silenced, Silencing } from './speaker.js'
import type { Waiting } from './trail.js'
import { encodeAck } from './wire/encode.js'
import { propertyBytes } from './wire/encode-properties.js'
import type { PublishPacket } from './wire/packet.js'
import { type ReasonCode, reasonCodes } from './wire/reason-codes.js'

/** A PUBLISH whose topic is known, whether it was written out or an alias stood for it. */
export type NamedPublish = Omit<PublishPacket, 'topic'> & { readonly topic: TopicName }

interface Recorded {
  readonly hub: Hub
  readonly connection: Connection
  readonly session: Session
  readonly packet: NamedPublish
  readonly decision: Decision
  /** By which it was decided. */
  readonly rights: Rights
  readonly sequence: number
  /** Undefined where it was refused. */
  readonly message: Message | undefined
}

/**
 * A PUBLISH from its record until its answer. Made for every message, and so one object instead of a function within a
 * function for each step that has to wait.
 */
export class PendingPublish implements Waiting {
  /** What it takes while it waits. */
  readonly bytes: number
  readonly #recorded: Recorded
  /** Why it goes nowhere after all, as its publisher was silenced before its turn came. */
  #silenced: Silenced | undefined
  /** How many sessions it was routed to. */
  #reached = 0

  constructor(recorded: Recorded) {
    const { payload, properties } = recorded.packet
    this.bytes = payload.length + propertyBytes(properties)
    this.#recorded = recorded
  }

  get sequence(): number {
    return this.#recorded.sequence
  }

  /** Its record is answerable: routed, kept where it must survive, and only then acknowledged. */
  run(): void {
    const { hub, connection, session, packet, message } = this.#recorded
    try {
      const before = hub.store.changes
      if (message) {
        if (packet.qos === 2) keepReceived(hub, session, packet.packetId)
        this.#reached = routeUnlessSilenced(hub, session, 'publish', message, this.#silenced)
      }
      this.#answerInTurn(hub.store.changes > before)
    } catch (error) {
      connection.fail(error)
    }
  }

  silence(silencing: Silencing): void {
    const { connection, rights } = this.#recorded
    if (connection.speaker) this.#silenced ??= silencing(connection.speaker, rights)
  }

  /** In the order of the publishes [MQTT-4.6.0-2], [MQTT-4.6.0-3], and after what the message changed in the store is durable. */
  #answerInTurn(stored: boolean): void {
    const { hub, connection, packet } = this.#recorded
    if (packet.qos === 0 || (!stored && connection.acksWaiting === 0)) {
      this.#answer()
      return
    }
    connection.acksWaiting++
    const answer = (): void => {
      connection.acksWaiting--
      this.#answer()
    }
    hub.store.afterFlush(connection.guarded(answer))
  }

  #answer(): void {
    const { connection, packet, decision } = this.#recorded
    if (packet.qos > 0) sendAck(connection, packet, decision, this.#reached)
    connection.backlog.end(this.bytes)
  }
}

/** From here on a repetition is known as one, after a restart too. In the same commit as the queues that it went to. */
function keepReceived(hub: Hub, session: Session, packetId: number): void {
  const received = session.received.get(packetId)
  const isKept = session.persistent && hub.sessions.get(session.clientId) === session // it can have ended meanwhile
  if (received && isKept) hub.store.putReceived(session, packetId, received)
}

/** PUBACK or PUBREC, with the reason where there is one to give (MQTT 5.0 §3.4.2). */
function sendAck(
  connection: Connection,
  { qos, packetId, topic }: NamedPublish,
  decision: Decision,
  reached: number,
): void {
  const { level } = connection
  const type = qos === 1 ? 'puback' : 'pubrec'
  const isEnd = qos === 1 || decision.effect === 'deny'
  if (isEnd) connection.backlog.endReceive()
  const reasonCode = answerTo(decision, reached)
  const say = decision.effect === 'deny' ? explainDenial('publish', topic, decision) : undefined
  connection.sendExplained(say, (reasonString) => encodeAck({ level, type, packetId, reasonCode, reasonString }))
}

function answerTo(decision: Decision, reached: number): ReasonCode {
  if (decision.effect === 'deny') return reasonCodeOf(decision)
  return reached === 0 ? reasonCodes.noMatchingSubscribers : reasonCodes.success
}
