import { variableIntegerBytes, writeVariableInteger } from './bytes.js'
import {
  propertySection,
  reasonProperty,
  textProperty,
  uint16Property,
  uint32Property,
  userProperty,
} from './encode-properties.js'
import { type AckPacket, packetTypes, type ProtocolLevel, type UserProperty } from './packet.js'
import { propertyIds } from './properties.js'
import { connectReturnCode, type ReasonCode, reasonCodes } from './reason-codes.js'

/*
 * What a server says beside PUBLISH, in both versions. Reason strings are written in MQTT 5 only, and cut where they are
 * long. Whoever sends checks the length of the result against the client's maximum packet size, and leaves the reason
 * away where it does not fit [MQTT-3.4.2-2] or the client asked for none (§3.1.2.11.7).
 */

/** What CONNACK tells a client of MQTT 5 (§3.2.2.3); absent ones have the standard's defaults. */
export interface ConnackProperties {
  readonly sessionExpirySeconds?: number | undefined
  readonly receiveMaximum?: number | undefined
  readonly maximumPacketSize?: number | undefined
  readonly topicAliasMaximum?: number | undefined
  readonly serverKeepAliveSeconds?: number | undefined
  readonly reasonString?: string | undefined
  readonly responseInformation?: string | undefined
  readonly userProperties?: readonly UserProperty[] | undefined
}

export interface ConnackFields {
  readonly level: ProtocolLevel
  /** Not said with a refusal [MQTT-3.2.2-6]. */
  readonly sessionPresent: boolean
  readonly reasonCode: ReasonCode
  /** Not written in MQTT 3.1.1, which has none. */
  readonly properties?: ConnackProperties | undefined
}

export function encodeConnack({ level, sessionPresent, reasonCode, properties = {} }: ConnackFields): Buffer {
  const flags = sessionPresent && reasonCode === reasonCodes.success ? 1 : 0
  if (level === 4) return packet(packetTypes.connack, Uint8Array.of(flags, connectReturnCode(reasonCode)))
  const { userProperties = [] } = properties
  const section = propertySection([
    uint32Property(propertyIds.sessionExpiryInterval, properties.sessionExpirySeconds),
    uint16Property(propertyIds.receiveMaximum, properties.receiveMaximum),
    uint32Property(propertyIds.maximumPacketSize, properties.maximumPacketSize),
    uint16Property(propertyIds.topicAliasMaximum, properties.topicAliasMaximum),
    uint16Property(propertyIds.serverKeepAlive, properties.serverKeepAliveSeconds),
    reasonProperty(properties.reasonString),
    textProperty(propertyIds.responseInformation, properties.responseInformation),
    ...userProperties.map(userProperty),
  ])
  return packet(packetTypes.connack, Uint8Array.of(flags, reasonCode), section)
}

export interface AckFields {
  readonly level: ProtocolLevel
  readonly type: AckPacket['type']
  readonly packetId: number
  /** Not written in MQTT 3.1.1: it knows success only. */
  readonly reasonCode: ReasonCode
  readonly reasonString?: string | undefined
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP in their shortest form (MQTT 5.0 §3.4.2.1, §3.4.2.2.1). */
export function encodeAck({ level, type, packetId, reasonCode, reasonString }: AckFields): Buffer {
  const withReason = level === 5 && reasonCode !== reasonCodes.success
  if (level === 5 && reasonString !== undefined) {
    const section = propertySection([reasonProperty(reasonString)])
    return packet(packetTypes[type], Uint8Array.of(packetId >> 8, packetId, reasonCode), section)
  }
  const frame = Buffer.allocUnsafe(withReason ? 5 : 4)
  frame[0] = header(packetTypes[type])
  frame[1] = withReason ? 3 : 2
  frame[2] = packetId >> 8
  frame[3] = packetId
  if (withReason) frame[4] = reasonCode
  return frame
}

export interface SubscriptionAckFields {
  readonly level: ProtocolLevel
  readonly packetId: number
  /** One for each topic filter, in their order [MQTT-3.9.3-1], [MQTT-3.11.3-1]. */
  readonly reasonCodes: readonly ReasonCode[]
  readonly reasonString?: string | undefined
}

export function encodeSuback({ level, packetId, reasonCodes, reasonString }: SubscriptionAckFields): Buffer {
  const id = Uint8Array.of(packetId >> 8, packetId)
  const codes = Uint8Array.from(reasonCodes)
  // MQTT 3.1.1 §3.9.3 knows one failure [MQTT-3.9.3-2].
  if (level === 4)
    return packet(
      packetTypes.suback,
      id,
      codes.map((code) => Math.min(code, 0x80)),
    )
  return packet(packetTypes.suback, id, propertySection([reasonProperty(reasonString)]), codes)
}

export function encodeUnsuback({ level, packetId, reasonCodes, reasonString }: SubscriptionAckFields): Buffer {
  const id = Uint8Array.of(packetId >> 8, packetId)
  if (level === 4) return packet(packetTypes.unsuback, id)
  return packet(packetTypes.unsuback, id, propertySection([reasonProperty(reasonString)]), Uint8Array.from(reasonCodes))
}

export interface DisconnectFields {
  readonly reasonCode: ReasonCode
  readonly reasonString?: string | undefined
}

/** Of MQTT 5 only: in MQTT 3.1.1 a server has no way to say why it closes. */
export function encodeDisconnect({ reasonCode, reasonString }: DisconnectFields): Buffer {
  const code = Uint8Array.of(reasonCode)
  if (reasonString === undefined) return packet(packetTypes.disconnect, code) // §3.14.2.2.1
  return packet(packetTypes.disconnect, code, propertySection([reasonProperty(reasonString)]))
}

export const pingresp = packet(packetTypes.pingresp)

function packet(type: number, ...body: readonly Uint8Array[]): Buffer {
  const length = body.reduce((sum, { length }) => sum + length, 0)
  const start = new Uint8Array(1 + variableIntegerBytes(length))
  start[0] = header(type)
  writeVariableInteger(length, start, 1)
  return Buffer.concat([start, ...body])
}

/** PUBREL is the only packet from a server, beside PUBLISH, with a flag (MQTT 5.0 table 2-2). */
function header(type: number): number {
  return (type << 4) | (type === packetTypes.pubrel ? 0x02 : 0)
}
