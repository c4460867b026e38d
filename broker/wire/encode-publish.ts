import { variableIntegerBytes, writeUint16, writeUint32, writeVariableInteger } from './bytes.js'
import { packetTypes, type ProtocolLevel, type Qos } from './packet.js'
import { propertyIds } from './properties.js'

export interface PublishFields {
  readonly level: ProtocolLevel
  /** Its UTF-8; empty where only the alias is sent. */
  readonly topic: Uint8Array
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly dup: boolean
  /** Not written with QoS 0. */
  readonly packetId: number
  /** From `encodeMessageProperties`. What follows is not written in MQTT 3.1.1 either, which has no properties. */
  readonly properties?: Uint8Array | undefined
  /** What is left of it [MQTT-3.3.2-6]. */
  readonly messageExpirySeconds?: number | undefined
  readonly topicAlias?: number | undefined
  readonly subscriptionIdentifiers?: readonly number[] | undefined
}

/** MQTT 5.0 §3.3 */
export function encodePublish(fields: PublishFields): Buffer {
  const { level, topic, payload, qos, packetId } = fields
  const propertyBytes = level === 5 ? propertyLength(fields) : 0
  const propertyPrefix = level === 5 ? variableIntegerBytes(propertyBytes) : 0
  const length = 2 + topic.length + (qos === 0 ? 0 : 2) + propertyPrefix + propertyBytes + payload.length

  const frame = Buffer.allocUnsafe(1 + variableIntegerBytes(length) + length)
  frame[0] = (packetTypes.publish << 4) | (fields.dup ? 0x08 : 0) | (qos << 1) | (fields.retain ? 0x01 : 0)
  let at = writeVariableInteger(length, frame, 1)
  at = writeUint16(topic.length, frame, at)
  frame.set(topic, at)
  at += topic.length
  if (qos !== 0) at = writeUint16(packetId, frame, at)
  if (level === 5) at = writeProperties(fields, propertyBytes, frame, at)
  frame.set(payload, at)
  return frame
}

function propertyLength({
  properties,
  messageExpirySeconds,
  topicAlias,
  subscriptionIdentifiers,
}: PublishFields): number {
  let length = properties === undefined ? 0 : properties.length
  if (messageExpirySeconds !== undefined) length += 5
  if (topicAlias !== undefined) length += 3
  if (subscriptionIdentifiers !== undefined) {
    for (const identifier of subscriptionIdentifiers) length += 1 + variableIntegerBytes(identifier)
  }
  return length
}

/** Returns where they end. */
function writeProperties(fields: PublishFields, length: number, frame: Buffer, start: number): number {
  const { properties, messageExpirySeconds, topicAlias, subscriptionIdentifiers } = fields
  let at = writeVariableInteger(length, frame, start)
  if (messageExpirySeconds !== undefined) {
    frame[at++] = propertyIds.messageExpiryInterval
    at = writeUint32(messageExpirySeconds, frame, at)
  }
  if (topicAlias !== undefined) {
    frame[at++] = propertyIds.topicAlias
    at = writeUint16(topicAlias, frame, at)
  }
  if (subscriptionIdentifiers !== undefined) {
    for (const identifier of subscriptionIdentifiers) {
      frame[at++] = propertyIds.subscriptionIdentifier
      at = writeVariableInteger(identifier, frame, at)
    }
  }
  if (properties !== undefined) {
    frame.set(properties, at)
    at += properties.length
  }
  return at
}
