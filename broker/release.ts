import type { TopicName } from '#protocol'
import type { Connection } from './connection.js'
import { BrokerError } from './errors.js'
import type { Hub } from './hub.js'
import type { Session } from './session.js'
import { encodeAck } from './wire/encode.js'
import type { AckPacket } from './wire/packet.js'
import { reasonCodes } from './wire/reason-codes.js'

/*
 * The receiver's side of QoS 2 (MQTT 5.0 §4.3.3): a message is routed when its PUBLISH comes, and its packet identifier
 * is kept until PUBREL, so that the same PUBLISH once more is known as a repetition.
 */

/**
 * Whether this PUBLISH is one that was taken already. Not every client marks it with DUP; one that uses the identifier
 * for another topic, though, has lost count, and what it says goes nowhere.
 * @throws BrokerError PROTOCOL_VIOLATION
 */
export function isRepetition(
  session: Session,
  packet: { readonly qos: number; readonly packetId: number; readonly topic: TopicName },
): boolean {
  const received = packet.qos === 2 ? session.received.get(packet.packetId) : undefined
  if (!received) return false
  if (received.topic === packet.topic) return true
  throw new BrokerError('PROTOCOL_VIOLATION', `packet identifier ${packet.packetId} is in use for another message`)
}

/** Neither recorded nor routed again [MQTT-4.3.3-10], and answered only when the first one could be. */
export function repeatPubrec(hub: Hub, connection: Connection, session: Session, packetId: number): void {
  const received = session.received.get(packetId)
  const { level } = connection
  const answer = connection.guarded(() => {
    connection.send(encodeAck({ level, type: 'pubrec', packetId, reasonCode: reasonCodes.success }))
    connection.backlog.end(0)
  })
  connection.backlog.begin(0)
  hub.trail.after(received?.sequence ?? -1, () => hub.store.afterFlush(answer))
}

/** PUBREL: the identifier is free again when that is stored, and PUBCOMP says so. */
export function handlePubrel(hub: Hub, connection: Connection, session: Session, { packetId }: AckPacket): void {
  const { level } = connection
  const isKnown = session.received.delete(packetId)
  if (isKnown) {
    connection.backlog.endReceive()
    if (session.persistent) hub.store.deleteReceived(session, packetId)
  }
  const reasonCode = isKnown ? reasonCodes.success : reasonCodes.packetIdentifierNotFound
  const answer = (): void => {
    connection.send(encodeAck({ level, type: 'pubcomp', packetId, reasonCode }))
    connection.backlog.end(0)
  }
  connection.backlog.begin(0)
  hub.store.afterFlush(connection.guarded(answer))
}
