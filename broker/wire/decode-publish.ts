import { BrokerError } from '../errors.js'
import type { MessageProperties, ProtocolLevel, PublishPacket, Qos } from './packet.js'
import { decodeProperties, noProperties, type PacketLimits, places, type Properties } from './properties.js'
import type { PacketReader } from './reader.js'
import { malformed, violation } from './refuse.js'

/** MQTT 5.0 §3.3. Read more often than everything else together: the packet is the only thing that is made. */
export function decodePublish(
  flags: number,
  reader: PacketReader,
  level: ProtocolLevel,
  limits: PacketLimits,
): PublishPacket {
  const qos = (flags >> 1) & 0x03
  const dup = (flags & 0x08) !== 0
  if (!isQos(qos)) throw malformed('QoS 3') // [MQTT-3.3.1-4]
  if (dup && qos === 0) throw malformed('DUP with QoS 0') // [MQTT-3.3.1-2]

  const topic = reader.topicName()
  const packetId = qos === 0 ? 0 : reader.packetId()
  const properties = level === 5 ? decodeProperties(reader, places.publish, limits) : noProperties
  const { topicAlias } = properties
  if (topicAlias === 0) throw new BrokerError('TOPIC_ALIAS_INVALID', 'topic alias 0') // [MQTT-3.3.2-8]
  if (topic === undefined && topicAlias === undefined) throw withoutTopic(level)
  if (properties.subscriptionIdentifier !== undefined) throw violation('a subscription identifier from a client') // [MQTT-3.3.4-6]
  return {
    type: 'publish',
    topic,
    topicAlias,
    payload: reader.rest(),
    qos,
    retain: (flags & 0x01) !== 0,
    dup,
    packetId,
    messageExpirySeconds: properties.messageExpiryInterval,
    properties: messageProperties(properties),
  }
}

export function isQos(value: number): value is Qos {
  return value <= 2
}

/** What nearly all messages have; one for all of them. */
const noMessageProperties: MessageProperties = Object.freeze({})

/** Of a PUBLISH or a will, that which its receivers get. */
export function messageProperties(from: Readonly<Properties>): MessageProperties {
  if (from === noProperties) return noMessageProperties
  const message: { -readonly [Name in keyof MessageProperties]: MessageProperties[Name] } = {}
  if (from.payloadFormatIndicator !== undefined) message.payloadFormatIndicator = from.payloadFormatIndicator
  if (from.contentType !== undefined) message.contentType = from.contentType
  if (from.responseTopic !== undefined) message.responseTopic = from.responseTopic
  if (from.correlationData !== undefined) message.correlationData = from.correlationData
  if (from.userProperties !== undefined) message.userProperties = from.userProperties
  return message
}

function withoutTopic(level: ProtocolLevel): BrokerError {
  // MQTT 5.0 §3.3.2.1 calls it a protocol error, MQTT 3.1.1 knows no empty topic: [MQTT-4.7.3-1].
  if (level === 5) return violation('neither a topic nor an alias')
  return new BrokerError('INVALID_TOPIC', 'the topic is empty')
}
