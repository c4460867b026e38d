import type { Decision } from '#protocol'
import type { Connection } from './connection.js'
import { decide, decisionFacts } from './decision.js'
import { encodePuback } from './encode.js'
import { BrokerError } from './errors.js'
import type { Hub } from './hub.js'
import { Message } from './message.js'
import type { PublishPacket, Will } from './packet.js'
import type { Session } from './session.js'

/**
 * MQTT 3.1.1 §3.3. Decided at once and from memory, recorded, and then, in the log's order and when the record is durable:
 * routed, kept where it must survive, and only then acknowledged.
 */
export function handlePublish(hub: Hub, connection: Connection, session: Session, packet: PublishPacket): void {
  if (packet.qos === 2) throw new BrokerError('UNSUPPORTED_QOS', 'QoS 2 is not spoken here')
  const decision = judge(hub, session, packet)
  const sequence = recordPublish(hub, session, 'publish', packet, decision)
  if (isReasonToEnd(session, decision)) {
    connection.close('denied', `publish to ${packet.topic}: ${decision.effect === 'deny' ? decision.reason : ''}`)
    return
  }

  const message =
    decision.effect === 'allow'
      ? new Message({ ...packet, qos: packet.qos, publisher: session.device, origin: sequence })
      : undefined
  const bytes = packet.payload.length
  connection.beginWait(bytes)
  const act = (): void => {
    const before = hub.store.changes
    if (message) routeUnlessRevoked(hub, session, message)
    acknowledge(hub, connection, packet, { stored: hub.store.changes > before, bytes })
  }
  hub.trail.after(sequence, connection.guarded(act))
}

/** Writes down that a session publishes, and what was decided. Returns the sequence number to wait for. */
export function recordPublish(
  hub: Hub,
  session: Session,
  action: 'publish' | 'will',
  packet: Will & Partial<Pick<PublishPacket, 'dup' | 'packetId'>>,
  decision: Decision,
): number {
  return hub.decisions.record(session, {
    event: 'message.publish',
    topic: packet.topic,
    ...decisionFacts(decision),
    action,
    qos: packet.qos,
    retain: packet.retain,
    dup: packet.dup ?? false,
    ...(packet.packetId && { messageId: packet.packetId }),
    size: packet.payload.length,
    // As subscribed now; who comes or goes until the record is durable shows in the message.deliver records.
    recipients: decision.effect === 'allow' ? hub.router.match(packet.topic).length : 0,
  })
}

/** Between its record and its turn the publisher can have been revoked; then the message goes nowhere. */
export function routeUnlessRevoked(hub: Hub, session: Session, message: Message): void {
  if (!hub.revoked.has(session.device)) {
    hub.route(message)
    return
  }
  hub.trail.recordIfPossible({
    event: 'message.publish',
    ...session.facts(),
    topic: message.topic,
    decision: 'deny',
    reason: 'revoked',
    rules: [],
    policyVersion: session.rights.version,
    action: 'publish',
    qos: message.qos,
    retain: message.retain,
    dup: false,
    size: message.payload.length,
    recipients: 0,
  })
}

function judge(hub: Hub, session: Session, { topic, qos, retain, payload }: PublishPacket): Decision {
  const { rights } = session
  const decision = decide(rights.version, () => rights.publish({ topic, qos, retain, size: payload.length }))
  return withinQuota(hub, session, { topic, retain, payload }, decision)
}

/** What policy allows to be retained still has to find room. */
export function withinQuota(
  hub: Hub,
  { device, rights }: Session,
  { topic, retain, payload }: Pick<Will, 'topic' | 'retain' | 'payload'>,
  decision: Decision,
): Decision {
  if (decision.effect === 'deny' || !retain || hub.retained.hasRoom(device, topic, payload.length)) return decision
  return { effect: 'deny', reason: 'quota', rules: [], policyVersion: rights.version }
}

/** MQTT 3.1.1 has no way to say no to a publish. Our own failure to decide is not the device's fault. */
function isReasonToEnd({ rights }: Session, decision: Decision): boolean {
  return decision.effect === 'deny' && decision.reason !== 'internal' && rights.onDenyPublish === 'disconnect'
}

/** In the order of the publishes [MQTT-4.6.0-2], and after what the message changed in the store is durable. */
function acknowledge(
  hub: Hub,
  connection: Connection,
  { qos, packetId }: PublishPacket,
  waits: { readonly stored: boolean; readonly bytes: number },
): void {
  const answer = (): void => {
    if (qos === 1) connection.send(encodePuback(packetId))
    connection.endWait(waits.bytes)
  }
  if (qos === 0 || (!waits.stored && connection.acksWaiting === 0)) {
    answer()
    return
  }
  connection.acksWaiting++
  const answerInTurn = (): void => {
    connection.acksWaiting--
    answer()
  }
  hub.store.afterFlush(connection.guarded(answerInTurn))
}
