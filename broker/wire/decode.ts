import { defaultLimits } from '../limits.js'
import { decodeAck, decodeAuth, decodeDisconnect } from './decode-ack.js'
import { decodeConnect } from './decode-connect.js'
import { decodePublish } from './decode-publish.js'
import { decodeSubscribe, decodeUnsubscribe } from './decode-subscribe.js'
import type { Frame } from './frame.js'
import { type Packet, packetTypes, type ProtocolLevel } from './packet.js'
import type { PacketLimits } from './properties.js'
import { PacketReader } from './reader.js'
import { violation } from './refuse.js'

/**
 * Reads a frame to the last byte, or refuses it. The level is that of the connection's CONNECT, by whose rules all
 * later packets are read; as long as it is undefined, nothing but CONNECT is.
 * @throws BrokerError with a WireErrorCode
 */
export function decodePacket(
  frame: Frame,
  level: ProtocolLevel | undefined,
  limits: PacketLimits = defaultLimits,
): Packet {
  const reader = new PacketReader(frame)
  if (level === undefined) {
    if (frame.type !== packetTypes.connect) throw violation('a packet before CONNECT') // [MQTT-3.1.0-1]
    return decodeConnect(reader, limits)
  }
  switch (frame.type) {
    case packetTypes.publish:
      return decodePublish(frame.flags, reader, level, limits)
    case packetTypes.puback:
      return decodeAck('puback', reader, level, limits)
    case packetTypes.pubrec:
      return decodeAck('pubrec', reader, level, limits)
    case packetTypes.pubrel:
      return decodeAck('pubrel', reader, level, limits)
    case packetTypes.pubcomp:
      return decodeAck('pubcomp', reader, level, limits)
    case packetTypes.subscribe:
      return decodeSubscribe(reader, level, limits)
    case packetTypes.unsubscribe:
      return decodeUnsubscribe(reader, level, limits)
    case packetTypes.pingreq:
      reader.end()
      return { type: 'pingreq' }
    case packetTypes.disconnect:
      return decodeDisconnect(reader, level, limits)
    case packetTypes.auth:
      return decodeAuth(reader, level, limits)
    default:
      throw violation(`packet type ${frame.type} from a client that is connected`) // [MQTT-3.1.0-2] among them
  }
}
