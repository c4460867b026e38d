import { packetTypes } from './packet.js'

/** Why a CONNECT is turned away, as far as MQTT can say it (MQTT 3.1.1 table 3.1). */
export const connectReturnCodes = {
  accepted: 0,
  unacceptableProtocol: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  notAuthorized: 5,
} as const
export type ConnectReturnCode = (typeof connectReturnCodes)[keyof typeof connectReturnCodes]

/** SUBACK return code of a refused filter; granted ones carry their QoS (MQTT 3.1.1 §3.9.3). */
export const subscriptionRefused = 0x80

export const pingresp = Buffer.from([packetTypes.pingresp << 4, 0])

export function encodeConnack(code: ConnectReturnCode, sessionPresent: boolean): Buffer {
  return Buffer.from([packetTypes.connack << 4, 2, sessionPresent ? 1 : 0, code])
}

export function encodePuback(packetId: number): Buffer {
  return Buffer.from([packetTypes.puback << 4, 2, packetId >> 8, packetId & 0xff])
}

export function encodeUnsuback(packetId: number): Buffer {
  return Buffer.from([packetTypes.unsuback << 4, 2, packetId >> 8, packetId & 0xff])
}

export function encodeSuback(packetId: number, codes: readonly number[]): Buffer {
  const { frame, at } = startFrame(packetTypes.suback << 4, 2 + codes.length)
  frame.writeUInt16BE(packetId, at)
  frame.set(codes, at + 2)
  return frame
}

export interface PublishFields {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: 0 | 1
  readonly retain: boolean
  readonly dup: boolean
  /** Not written with QoS 0. */
  readonly packetId: number
}

export function encodePublish({ topic, payload, qos, retain, dup, packetId }: PublishFields): Buffer {
  const topicBytes = Buffer.byteLength(topic)
  const header = (packetTypes.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0)
  const started = startFrame(header, 2 + topicBytes + (qos === 0 ? 0 : 2) + payload.length)
  const { frame } = started
  let at = frame.writeUInt16BE(topicBytes, started.at)
  at += frame.write(topic, at)
  if (qos !== 0) at = frame.writeUInt16BE(packetId, at)
  frame.set(payload, at)
  return frame
}

/** A buffer for the whole packet with header and remaining length (MQTT 3.1.1 §2.2.3) written; `at` is where the rest goes. */
function startFrame(header: number, length: number): { readonly frame: Buffer; readonly at: number } {
  const digits = length < 128 ? 1 : length < 16_384 ? 2 : length < 2_097_152 ? 3 : 4
  const frame = Buffer.allocUnsafe(1 + digits + length)
  frame[0] = header
  for (let at = 1, left = length; at <= digits; at++, left = left >> 7) {
    frame[at] = (left & 0x7f) | (at < digits ? 0x80 : 0)
  }
  return { frame, at: 1 + digits }
}
