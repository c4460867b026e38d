import type { Decision, DenyReason, TopicName } from '#protocol'
import type { Connection } from './connection.js'
import { decide } from './decision.js'
import { type Decided, unplaced } from './decision-log.js'
import { explainDenial } from './denial.js'
import type { Hub } from './hub.js'
import { Message } from './message.js'
import { type NamedPublish, PendingPublish } from './pending-publish.js'
import { isRepetition, repeatPubrec } from './release.js'
import { questionOf, type Request } from './request.js'
import type { Rights } from './rights.js'
import type { Session } from './session.js'
import { isOwnTopic } from './system-topics.js'
import { propertyBytes } from './wire/encode-properties.js'
import type { MessageProperties, PublishPacket, Will } from './wire/packet.js'

function isNamed(packet: PublishPacket): packet is NamedPublish {
  return packet.topicAlias === undefined && packet.topic !== undefined
}

/**
 * MQTT 5.0 §3.3, MQTT 3.1.1 §3.3. Decided at once and from memory, recorded, and then, in the log's order and when the
 * record is durable: routed, kept where it must survive, and only then acknowledged.
 */
export function handlePublish(hub: Hub, connection: Connection, session: Session, received: PublishPacket): void {
  connection.traffic.received(received.qos)
  const packet = isNamed(received) ? received : { ...received, topic: connection.incomingAliases.resolve(received) }
  if (isRepetition(session, packet)) {
    repeatPubrec(hub, connection, session, packet.packetId)
    return
  }
  if (packet.qos > 0) connection.backlog.beginReceive(session)
  const { rights } = session
  const decision = judge(hub, session, packet)
  const sequence = recordPublish(hub, session, 'publish', packet, decision)
  if (decision.effect === 'deny' && isReasonToEnd(connection, session, packet, decision)) {
    const told = explainDenial('publish', packet.topic, decision)
    connection.close('denied', told, { say: told })
    return
  }
  if (packet.qos === 2 && decision.effect === 'allow') {
    session.received.set(packet.packetId, { topic: packet.topic, sequence })
  }

  const message =
    decision.effect === 'allow'
      ? createMessage(hub, session, packet, sequence, requestOf(hub, session, packet.properties, decision))
      : undefined
  const pending = new PendingPublish({ hub, connection, session, packet, decision, rights, sequence, message })
  connection.backlog.begin(pending.bytes)
  hub.trail.await(pending)
}

/** Writes down that a session publishes, and what was decided. Returns the sequence number to wait for. */
export function recordPublish(
  hub: Hub,
  session: Session,
  action: 'publish' | 'will',
  packet: Pick<Will, 'topic' | 'payload' | 'qos' | 'retain'> & Partial<Pick<PublishPacket, 'dup' | 'packetId'>>,
  decision: Decision,
): number {
  const decided: Decided = {
    event: 'message.publish',
    device: session.device,
    session: session.name,
    sessionIndex: unplaced,
    topic: packet.topic,
    decision: decision.effect,
    reason: decision.effect === 'deny' ? decision.reason : undefined,
    rules: decision.rules,
    policyVersion: decision.policyVersion,
    action,
    qos: packet.qos,
    retain: packet.retain,
    dup: packet.dup ?? false,
    messageId: packet.packetId === 0 ? undefined : packet.packetId,
    size: packet.payload.length,
    // As subscribed now; who comes or goes until the record is durable shows in the message.deliver records.
    recipients: decision.effect === 'allow' ? recipientsOf(hub, packet.topic) : 0,
  }
  return hub.decisions.record(session, decided, packet.payload)
}

/** Sessions that subscribed to the topic, and groups that share a subscription to it. */
function recipientsOf(hub: Hub, topic: TopicName): number {
  const { direct, groups } = hub.router.match(topic)
  return direct.length + groups.length
}

/** The message that a session's packet, or its will, becomes. */
export function createMessage(
  hub: Hub,
  { device, clientId }: Session,
  packet: Pick<Will, 'payload' | 'qos' | 'retain' | 'messageExpirySeconds' | 'properties' | 'topic'>,
  origin: number,
  request?: Request,
): Message {
  const { topic, payload, qos, retain, properties, messageExpirySeconds: seconds } = packet
  const expiresAt = seconds === undefined ? undefined : hub.elapsed() + seconds * 1000
  return new Message({
    topic,
    payload,
    qos,
    retain,
    properties,
    publisher: device,
    clientId,
    origin,
    expiresAt,
    request,
  })
}

function judge(hub: Hub, session: Session, packet: NamedPublish): Decision {
  const { rights } = session
  const { topic, qos, retain, payload } = packet
  if (isOwnTopic(topic)) return reserved(rights)
  if (!mayHearAnswers(rights, packet.properties)) return unanswerable(rights)
  const begun = hub.statistics.beginDecision('publish')
  const decision = decide(rights.version, () => rights.publish({ topic, qos, retain, size: payload.length }))
  hub.statistics.endDecision('publish', begun)
  return withinQuota(hub, session, packet, answering(session, packet, decision))
}

/** What no rule of its own lets a device say it may say once where it was asked to; a deny, a limit and `$` stand. */
function answering({ answers, rights }: Session, packet: NamedPublish, decision: Decision): Decision {
  if (!answers || packet.retain || decision.effect === 'allow' || !unruled.has(decision.reason)) return decision
  const rule = answers.take(questionOf(packet.topic, packet.properties.correlationData), rights)
  return rule === undefined ? decision : { effect: 'allow', rules: [rule], policyVersion: rights.version }
}

const unruled: ReadonlySet<DenyReason> = new Set(['no_rule', 'no_rights', 'condition'])

/**
 * Of a message whose rule lets it be answered: for so long, and while who asks is there with the rights by which it did.
 * It can wait in queues for days, so it holds on to no connection.
 */
function requestOf(
  hub: Hub,
  session: Session,
  { responseTopic, correlationData }: MessageProperties,
  { answerMs, rules }: Allowed,
): Request | undefined {
  if (answerMs === undefined || responseTopic === undefined) return undefined
  const question = questionOf(responseTopic, correlationData)
  const [rule] = rules
  if (question === undefined || rule === undefined) return undefined
  const { device, clientId, name, rights } = session
  const until = hub.elapsed() + answerMs
  const isThere = (asker: Session | undefined) => asker?.link && asker.name === name && asker.rights === rights
  const stands = () => hub.elapsed() < until && isThere(hub.sessions.get(clientId)) === true
  return { device, question, rule, stands }
}

/** Whatever a policy may grant: what the service says of itself can be trusted to come from it. */
export function reserved(rights: Rights): Decision {
  return { effect: 'deny', reason: 'reserved', rules: [], policyVersion: rights.version }
}

/** Nobody is asked to answer to a topic that the asker may not hear: answers would be a way to speak there. */
export function mayHearAnswers(rights: Rights, { responseTopic }: MessageProperties): boolean {
  if (responseTopic === undefined) return true
  return decide(rights.version, () => rights.receive(responseTopic)).effect === 'allow'
}

export function unanswerable(rights: Rights): Decision {
  return { effect: 'deny', reason: 'response_topic', rules: [], policyVersion: rights.version }
}

/** What policy allows to be retained still has to find room. */
export function withinQuota(
  hub: Hub,
  { device, rights }: Session,
  { topic, retain, payload, properties }: Pick<Will, 'topic' | 'retain' | 'payload' | 'properties'>,
  decision: Decision,
): Decision {
  if (decision.effect === 'deny' || !retain || payload.length === 0) return decision
  if (hub.retained.hasRoom(device, topic, payload.length + propertyBytes(properties))) return decision
  return { effect: 'deny', reason: 'quota', rules: [], policyVersion: rights.version }
}

/**
 * A client of MQTT 5 learns of a refusal by the answer to its QoS 1 or 2 publish. To all others only the end of the
 * connection says no. Our own failure to decide is not the device's fault.
 */
function isReasonToEnd({ level }: Connection, { rights }: Session, { qos }: NamedPublish, { reason }: Denied): boolean {
  const isAnswered = level === 5 && qos > 0
  return !isAnswered && reason !== 'internal' && rights.onDenyPublish === 'disconnect'
}

type Allowed = Extract<Decision, { effect: 'allow' }>
type Denied = Extract<Decision, { effect: 'deny' }>
