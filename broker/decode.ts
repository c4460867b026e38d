import { CodedError, parseTopicFilter, parseTopicName, type TopicName } from '#protocol'
import { BrokerError } from './errors.js'
import type { Frame } from './frame.js'
import {
  type ConnectPacket,
  type Packet,
  packetTypes,
  type PublishPacket,
  type Qos,
  type SubscribePacket,
  type UnsubscribePacket,
  type Will,
} from './packet.js'

/** Reads a frame to the last byte, or refuses it. @throws BrokerError */
export function decodePacket(frame: Frame): Packet {
  switch (frame.type) {
    case packetTypes.connect:
      return decodeConnect(new Reader(frame.body))
    case packetTypes.publish:
      return decodePublish(frame.flags, new Reader(frame.body))
    case packetTypes.puback:
      return decodePuback(new Reader(frame.body))
    case packetTypes.subscribe:
      return decodeSubscribe(new Reader(frame.body))
    case packetTypes.unsubscribe:
      return decodeUnsubscribe(new Reader(frame.body))
    case packetTypes.pingreq:
      new Reader(frame.body).end()
      return { type: 'pingreq' }
    case packetTypes.disconnect:
      new Reader(frame.body).end()
      return { type: 'disconnect' }
    default:
      throw new BrokerError('PROTOCOL_VIOLATION', `packet type ${frame.type} from a client`)
  }
}

/** MQTT 3.1.1 §3.1. The protocol level is looked at before anything whose layout depends on it. */
function decodeConnect(reader: Reader): ConnectPacket {
  const name = reader.text()
  if (name !== 'MQTT' && name !== 'MQIsdp') throw malformed('the protocol name is not MQTT') // [MQTT-3.1.2-1]
  const level = reader.byte()
  if (name !== 'MQTT' || level !== 4) {
    throw new BrokerError('UNSUPPORTED_PROTOCOL', `protocol ${name} level ${level}; MQTT level 4 is spoken here`) // [MQTT-3.1.2-2]
  }

  const flags = reader.byte()
  if ((flags & 0x01) !== 0) throw malformed('the reserved connect flag is set') // [MQTT-3.1.2-3]
  const hasWill = (flags & 0x04) !== 0
  const willQos = (flags >> 3) & 0x03
  const hasPassword = (flags & 0x40) !== 0
  const hasUsername = (flags & 0x80) !== 0
  if (!hasWill && (flags & 0x38) !== 0) throw malformed('will QoS or will retain without a will') // [MQTT-3.1.2-13], [MQTT-3.1.2-15]
  if (!isQos(willQos)) throw malformed('will QoS 3') // [MQTT-3.1.2-14]
  if (hasPassword && !hasUsername) throw malformed('a password without a user name') // [MQTT-3.1.2-22]
  const keepAliveSeconds = reader.integer()

  const clientId = reader.text()
  const will: Will | undefined = hasWill
    ? { topic: topicName(reader.text()), payload: reader.binary(), qos: willQos, retain: (flags & 0x20) !== 0 }
    : undefined
  const username = hasUsername ? reader.text() : undefined
  const password = hasPassword ? reader.binary() : undefined
  reader.end()
  return {
    type: 'connect',
    clientId,
    clean: (flags & 0x02) !== 0,
    keepAliveSeconds,
    ...(will && { will }),
    ...(username !== undefined && { username }),
    ...(password && { password }),
  }
}

/** MQTT 3.1.1 §3.3 */
function decodePublish(flags: number, reader: Reader): PublishPacket {
  const qos = (flags >> 1) & 0x03
  const dup = (flags & 0x08) !== 0
  if (!isQos(qos)) throw malformed('QoS 3') // [MQTT-3.3.1-4]
  if (dup && qos === 0) throw malformed('DUP with QoS 0') // [MQTT-3.3.1-2]
  const topic = topicName(reader.text())
  const packetId = qos === 0 ? 0 : reader.packetId()
  return { type: 'publish', topic, payload: reader.rest(), qos, retain: (flags & 0x01) !== 0, dup, packetId }
}

function decodePuback(reader: Reader): Packet {
  const packetId = reader.packetId()
  reader.end()
  return { type: 'puback', packetId }
}

/** MQTT 3.1.1 §3.8 */
function decodeSubscribe(reader: Reader): SubscribePacket {
  const packetId = reader.packetId()
  const requests: SubscribePacket['requests'][number][] = []
  do {
    const filter = topicFilter(reader.text()) // without a filter there is nothing to read: [MQTT-3.8.3-3]
    const qos = reader.byte()
    if (!isQos(qos)) throw malformed('requested QoS above 2 or reserved bits set') // [MQTT-3-8.3-4]
    requests.push({ filter, qos })
  } while (reader.left > 0)
  return { type: 'subscribe', packetId, requests }
}

/** MQTT 3.1.1 §3.10 */
function decodeUnsubscribe(reader: Reader): UnsubscribePacket {
  const packetId = reader.packetId()
  const filters: UnsubscribePacket['filters'][number][] = []
  do filters.push(topicFilter(reader.text()))
  while (reader.left > 0) // [MQTT-3.10.3-2]
  return { type: 'unsubscribe', packetId, filters }
}

/** Fatal, because a replaced byte could turn one topic into another; a BOM is a character like any other [MQTT-1.5.3-3]. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a packet's body from front to back; past its end everything is malformed. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) throw malformed('the packet ends too early')
    this.#at++
    return value
  }

  integer(): number {
    return this.byte() * 256 + this.byte()
  }

  packetId(): number {
    const id = this.integer()
    if (id === 0) throw malformed('packet identifier 0') // [MQTT-2.3.1-1]
    return id
  }

  /** MQTT 3.1.1 §1.5.3 */
  text(): string {
    const bytes = this.binary()
    let text: string
    try {
      text = utf8.decode(bytes)
    } catch (cause) {
      throw new BrokerError('MALFORMED_PACKET', 'text that is not UTF-8', { cause }) // [MQTT-1.5.3-1]
    }
    if (text.includes('\0')) throw malformed('text with a NUL') // [MQTT-1.5.3-2]
    return text
  }

  binary(): Buffer {
    const length = this.integer()
    if (length > this.left) throw malformed('a field reaches past the end of its packet')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at)
  }

  end(): void {
    if (this.left > 0) throw malformed('bytes behind the end of the packet')
  }
}

function isQos(value: number): value is Qos {
  return value <= 2
}

/**
 * Topic names that were checked before. Devices say the same few names again and again; the bound keeps one that does
 * not from making us hold them.
 */
const knownTopics = new Map<string, TopicName>()
const maxKnownTopics = 10_000

function topicName(text: string): TopicName {
  const known = knownTopics.get(text)
  if (known !== undefined) return known
  const topic = topicSyntax(() => parseTopicName(text))
  if (knownTopics.size >= maxKnownTopics) knownTopics.clear()
  knownTopics.set(text, topic)
  return topic
}

function topicFilter(text: string) {
  return topicSyntax(() => parseTopicFilter(text))
}

function topicSyntax<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof CodedError) throw new BrokerError('INVALID_TOPIC', error.message, { cause: error })
    throw error
  }
}

function malformed(problem: string): BrokerError {
  return new BrokerError('MALFORMED_PACKET', problem)
}
