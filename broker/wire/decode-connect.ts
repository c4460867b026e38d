import { BrokerError } from '../errors.js'
import { isQos, messageProperties } from './decode-publish.js'
import type { ConnectPacket, ProtocolLevel, Qos, Will } from './packet.js'
import { decodeProperties, noProperties, type PacketLimits, places } from './properties.js'
import type { PacketReader } from './reader.js'
import { malformed, violation } from './refuse.js'

/** MQTT 5.0 §3.1. The level is looked at before anything whose layout depends on it. */
export function decodeConnect(reader: PacketReader, limits: PacketLimits): ConnectPacket {
  const level = readLevel(reader)
  const flags = readFlags(reader.byte(), level)
  const keepAliveSeconds = reader.uint16()
  const properties = level === 5 ? decodeProperties(reader, places.connect, limits) : noProperties
  if (properties.authenticationData && properties.authenticationMethod === undefined) {
    throw violation('authentication data without a method') // §3.1.2.11.10
  }

  const clientId = reader.text()
  const will = flags.will && readWill(reader, level, flags.will, limits)
  const username = flags.hasUsername ? reader.text() : undefined
  const password = flags.hasPassword ? reader.binary() : undefined
  reader.end()
  return {
    type: 'connect',
    level,
    clientId,
    clean: flags.clean,
    keepAliveSeconds,
    ...(will && { will }),
    ...(username !== undefined && { username }),
    ...(password && { password }),
    sessionExpirySeconds: level === 4 && !flags.clean ? neverExpires : (properties.sessionExpiryInterval ?? 0),
    receiveMaximum: properties.receiveMaximum ?? 0xffff,
    maximumPacketSize: properties.maximumPacketSize,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    requestResponseInformation: properties.requestResponseInformation === 1,
    requestProblemInformation: properties.requestProblemInformation !== 0,
    ...(properties.authenticationMethod !== undefined && { authenticationMethod: properties.authenticationMethod }),
  }
}

const neverExpires = 0xffffffff

function readLevel(reader: PacketReader): ProtocolLevel {
  const name = reader.text()
  if (name !== 'MQTT' && name !== 'MQIsdp') throw malformed('the protocol name is not MQTT') // [MQTT-3.1.2-1]
  const level = reader.byte()
  if (name === 'MQTT' && (level === 4 || level === 5)) return level
  throw new BrokerError('UNSUPPORTED_PROTOCOL', `protocol ${name} level ${level}; MQTT levels 4 and 5 are spoken here`) // [MQTT-3.1.2-2]
}

interface ConnectFlags {
  readonly clean: boolean
  readonly will: { readonly qos: Qos; readonly retain: boolean } | undefined
  readonly hasPassword: boolean
  readonly hasUsername: boolean
}

/** MQTT 5.0 §3.1.2.3 to §3.1.2.9 */
function readFlags(flags: number, level: ProtocolLevel): ConnectFlags {
  const hasWill = (flags & 0x04) !== 0
  const qos = (flags >> 3) & 0x03
  const retain = (flags & 0x20) !== 0
  const hasPassword = (flags & 0x40) !== 0
  const hasUsername = (flags & 0x80) !== 0
  if ((flags & 0x01) !== 0) throw malformed('the reserved connect flag is set') // [MQTT-3.1.2-3]
  if (!isQos(qos)) throw malformed('will QoS 3') // [MQTT-3.1.2-12]
  if (!hasWill && (qos > 0 || retain)) throw malformed('will QoS or will retain without a will') // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
  // MQTT 3.1.1 [MQTT-3.1.2-22]; MQTT 5 allows it (§3.1.2.9).
  if (level === 4 && hasPassword && !hasUsername) throw malformed('a password without a user name')
  return { clean: (flags & 0x02) !== 0, will: hasWill ? { qos, retain } : undefined, hasPassword, hasUsername }
}

/** MQTT 5.0 §3.1.3.2 to §3.1.3.4 */
function readWill(
  reader: PacketReader,
  level: ProtocolLevel,
  how: { readonly qos: Qos; readonly retain: boolean },
  limits: PacketLimits,
): Will {
  const properties = level === 5 ? decodeProperties(reader, places.will, limits) : noProperties
  const topic = reader.topicName()
  if (topic === undefined) throw new BrokerError('INVALID_TOPIC', 'the topic of the will is empty') // [MQTT-4.7.3-1]
  return {
    topic,
    payload: reader.binary(),
    qos: how.qos,
    retain: how.retain,
    delaySeconds: properties.willDelayInterval ?? 0,
    messageExpirySeconds: properties.messageExpiryInterval,
    properties: messageProperties(properties),
  }
}
