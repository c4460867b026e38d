import type { AckPacket, AuthPacket, DisconnectPacket, ProtocolLevel } from './packet.js'
import { decodeProperties, noProperties, type PacketLimits, places } from './properties.js'
import type { PacketReader } from './reader.js'
import { type ReasonCode, reasonCodes } from './reason-codes.js'
import { violation } from './refuse.js'

/** MQTT 5.0 §3.4 to §3.7. Without the reason code it is success; without a length there are no properties. */
export function decodeAck(
  type: AckPacket['type'],
  reader: PacketReader,
  level: ProtocolLevel,
  limits: PacketLimits,
): AckPacket {
  const packetId = reader.packetId()
  let reasonCode: ReasonCode = reasonCodes.success
  if (level === 5 && reader.left > 0) {
    reasonCode = readReason(reader, clientReasons[type])
    if (reader.left > 0) decodeProperties(reader, places.ack, limits)
  }
  reader.end()
  return { type, packetId, reasonCode }
}

/** MQTT 5.0 §3.14 */
export function decodeDisconnect(reader: PacketReader, level: ProtocolLevel, limits: PacketLimits): DisconnectPacket {
  let reasonCode: ReasonCode = reasonCodes.success
  let properties = noProperties
  if (level === 5 && reader.left > 0) {
    reasonCode = readReason(reader, clientReasons.disconnect)
    if (reader.left > 0) properties = decodeProperties(reader, places.disconnect, limits)
  }
  reader.end()
  return { type: 'disconnect', reasonCode, sessionExpirySeconds: properties.sessionExpiryInterval }
}

/** MQTT 5.0 §3.15. Success, and with it the short form, is the server's to say. */
export function decodeAuth(reader: PacketReader, level: ProtocolLevel, limits: PacketLimits): AuthPacket {
  if (level !== 5) throw violation('AUTH in MQTT 3.1.1')
  if (reader.left === 0) throw violation('AUTH without a method')
  const reasonCode = readReason(reader, clientReasons.auth)
  const properties = decodeProperties(reader, places.auth, limits)
  if (properties.authenticationMethod === undefined) throw violation('AUTH without a method') // §3.15.2.2.2
  reader.end()
  return { type: 'auth', reasonCode }
}

function readReason(reader: PacketReader, allowed: readonly ReasonCode[]): ReasonCode {
  const code = reader.byte()
  const reason = allowed.find((reason) => reason === code)
  if (reason === undefined) throw violation(`reason code ${code} from a client`) // [MQTT-3.4.2-1] and its like
  return reason
}

const publishReasons = [
  reasonCodes.success,
  reasonCodes.unspecifiedError,
  reasonCodes.implementationSpecificError,
  reasonCodes.notAuthorized,
  reasonCodes.topicNameInvalid,
  reasonCodes.packetIdentifierInUse,
  reasonCodes.quotaExceeded,
  reasonCodes.payloadFormatInvalid,
]
const releaseReasons = [reasonCodes.success, reasonCodes.packetIdentifierNotFound]

/** Which reasons a client gives: of the standard's tables 3-4 to 3-7, 3-10 and 3-11 those that are not the server's alone. */
const clientReasons = {
  puback: publishReasons,
  pubrec: publishReasons,
  pubrel: releaseReasons,
  pubcomp: releaseReasons,
  disconnect: [
    reasonCodes.success,
    reasonCodes.disconnectWithWill,
    reasonCodes.unspecifiedError,
    reasonCodes.malformedPacket,
    reasonCodes.protocolError,
    reasonCodes.implementationSpecificError,
    reasonCodes.topicNameInvalid,
    reasonCodes.receiveMaximumExceeded,
    reasonCodes.topicAliasInvalid,
    reasonCodes.packetTooLarge,
    reasonCodes.messageRateTooHigh,
    reasonCodes.quotaExceeded,
    reasonCodes.administrativeAction,
    reasonCodes.payloadFormatInvalid,
  ],
  auth: [reasonCodes.continueAuthentication, reasonCodes.reAuthenticate],
} as const
