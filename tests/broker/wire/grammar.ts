import { isUtf8 } from 'node:buffer'
import type { TopicFilter, TopicName } from '#protocol'
import type {
  MessageProperties,
  Packet,
  ProtocolLevel,
  Qos,
  SubscriptionRequest,
  UserProperty,
} from '../../../broker/wire/packet.js'
import type { ReasonCode } from '../../../broker/wire/reason-codes.js'

/*
 * The grammar of what a client sends, a second time: written from the standards and not from the decoder, without a
 * thought for speed, so that two readings can be held against each other.
 */

export class Ungrammatical extends Error {}

/** One whole packet; `level` is undefined before CONNECT. @throws Ungrammatical */
export function readByGrammar(packet: Buffer, level: ProtocolLevel | undefined): Packet {
  const cursor = new Cursor(packet)
  const header = cursor.number(1)
  const flags = header & 0x0f
  must(cursor.variable() === packet.length - cursor.at, 'remaining length')
  const type = names[header >> 4] ?? ''
  must(type !== '' && (type === 'publish' || flags === (fixedFlags[type] ?? 0)), 'type and flags')
  must((type === 'connect') === (level === undefined), 'CONNECT comes first, and once')
  const read = bodies[type]?.(cursor, level ?? 4, flags)
  must(read !== undefined && cursor.at === packet.length, 'nothing behind the end')
  return read
}

/** The packet that begins somewhere in a stream, if it is there to its end. */
export function cutPacket(stream: Buffer, at: number): Buffer | undefined {
  const cursor = new Cursor(stream.subarray(at))
  try {
    cursor.number(1)
    const length = cursor.variable()
    cursor.take(length)
  } catch (error) {
    if (error instanceof Ungrammatical) return undefined
    throw error
  }
  return stream.subarray(at, at + cursor.at)
}

const names = [
  ['', 'connect', '', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp'],
  ['subscribe', '', 'unsubscribe', '', 'pingreq', '', 'disconnect', 'auth'],
].flat()
const fixedFlags: Readonly<Record<string, number>> = { pubrel: 2, subscribe: 2, unsubscribe: 2 }

type Body = (cursor: Cursor, level: ProtocolLevel, flags: number) => Packet

const bodies: Readonly<Record<string, Body>> = {
  connect: readConnect,
  publish: readPublish,
  puback: (cursor, level) => readAck('puback', '0 128 131 135 144 145 151 153', cursor, level),
  pubrec: (cursor, level) => readAck('pubrec', '0 128 131 135 144 145 151 153', cursor, level),
  pubrel: (cursor, level) => readAck('pubrel', '0 146', cursor, level),
  pubcomp: (cursor, level) => readAck('pubcomp', '0 146', cursor, level),
  subscribe: readSubscribe,
  unsubscribe: readUnsubscribe,
  pingreq: () => ({ type: 'pingreq' }),
  disconnect: readDisconnect,
  auth: readAuth,
}

function readConnect(cursor: Cursor): Packet {
  must(cursor.text() === 'MQTT', 'protocol name')
  const level = cursor.number(1)
  must(level === 4 || level === 5, 'protocol level')
  const flags = cursor.number(1).toString(2).padStart(8, '0')
  const [username, password, retain, qosHigh, qosLow, will, clean, reserved] = [...flags].map(Number)
  const willQos = qosOf(Number(qosHigh) * 2 + Number(qosLow))
  must(reserved === 0, 'reserved flag')
  must(will === 1 || (willQos === 0 && retain === 0), 'will flags')
  must(level === 5 || username === 1 || password === 0, 'password without user name')
  const keepAliveSeconds = cursor.number(2)
  const properties = level === 5 ? cursor.properties('connect') : {}
  const clientId = cursor.text()
  const willProperties = will === 1 && level === 5 ? cursor.properties('will') : {}
  const willTopic = will === 1 ? topicName(cursor.text()) : undefined
  const willPayload = will === 1 ? cursor.binary() : undefined
  const method = properties['authentication method']
  must(method !== undefined || properties['authentication data'] === undefined, 'data without method')
  return {
    type: 'connect',
    level,
    clientId,
    clean: clean === 1,
    keepAliveSeconds,
    ...(willTopic !== undefined &&
      willPayload !== undefined && {
        will: {
          topic: willTopic,
          payload: willPayload,
          qos: willQos,
          retain: retain === 1,
          delaySeconds: numberOr(0, willProperties['will delay interval']),
          messageExpirySeconds: numberOr(undefined, willProperties['message expiry interval']),
          properties: ofMessage(willProperties),
        },
      }),
    ...(username === 1 && { username: cursor.text() }),
    ...(password === 1 && { password: cursor.binary() }),
    sessionExpirySeconds:
      level === 5 ? numberOr(0, properties['session expiry interval']) : clean === 1 ? 0 : 0xffffffff,
    receiveMaximum: numberOr(65_535, properties['receive maximum']),
    maximumPacketSize: numberOr(undefined, properties['maximum packet size']),
    topicAliasMaximum: numberOr(0, properties['topic alias maximum']),
    requestResponseInformation: properties['request response information'] === 1,
    requestProblemInformation: properties['request problem information'] !== 0,
    ...(typeof method === 'string' && { authenticationMethod: method }),
  }
}

function readPublish(cursor: Cursor, level: ProtocolLevel, flags: number): Packet {
  const qos = qosOf((flags & 6) / 2)
  must(flags < 8 || qos > 0, 'DUP with QoS 0')
  const text = cursor.text()
  const packetId = qos > 0 ? cursor.packetId() : 0
  const properties = level === 5 ? cursor.properties('publish') : {}
  const topicAlias = numberOr(undefined, properties['topic alias'])
  must(topicAlias !== 0 && (text !== '' || topicAlias !== undefined), 'topic or alias')
  return {
    type: 'publish',
    topic: text === '' ? undefined : topicName(text),
    topicAlias,
    payload: cursor.rest(),
    qos,
    retain: flags % 2 === 1,
    dup: flags >= 8,
    packetId,
    messageExpirySeconds: numberOr(undefined, properties['message expiry interval']),
    properties: ofMessage(properties),
  }
}

type AckType = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'

function readAck(type: AckType, reasons: string, cursor: Cursor, level: ProtocolLevel): Packet {
  const packetId = cursor.packetId()
  const reasonCode = level === 5 && cursor.left > 0 ? cursor.reason(reasons) : 0
  if (level === 5 && cursor.left > 0) cursor.properties('ack')
  return { type, packetId, reasonCode }
}

function readSubscribe(cursor: Cursor, level: ProtocolLevel): Packet {
  const packetId = cursor.packetId()
  const properties = level === 5 ? cursor.properties('subscribe') : {}
  const requests = cursor.many((): SubscriptionRequest => {
    const filter = topicFilter(cursor.text())
    const options = cursor.number(1)
    const qos = qosOf(options & 3)
    const retainHandling = (options >> 4) & 3
    must(options < (level === 5 ? 0x40 : 3), 'reserved options')
    must(retainHandling === 0 || retainHandling === 1 || retainHandling === 2, 'retain handling')
    const noLocal = (options & 4) > 0
    must(!noLocal || !/^\$share\//.test(filter), 'no local on a shared subscription')
    return { filter, qos, noLocal, retainAsPublished: (options & 8) > 0, retainHandling }
  })
  const subscriptionIdentifier = numberOr(undefined, properties['subscription identifier'])
  return { type: 'subscribe', packetId, subscriptionIdentifier, requests }
}

function readUnsubscribe(cursor: Cursor, level: ProtocolLevel): Packet {
  const packetId = cursor.packetId()
  if (level === 5) cursor.properties('unsubscribe')
  return { type: 'unsubscribe', packetId, filters: cursor.many(() => topicFilter(cursor.text())) }
}

function readDisconnect(cursor: Cursor, level: ProtocolLevel): Packet {
  const reasons = '0 4 128 129 130 131 144 147 148 149 150 151 152 153'
  const reasonCode = level === 5 && cursor.left > 0 ? cursor.reason(reasons) : 0
  const properties = level === 5 && cursor.left > 0 ? cursor.properties('disconnect') : {}
  const sessionExpirySeconds = numberOr(undefined, properties['session expiry interval'])
  return { type: 'disconnect', reasonCode, sessionExpirySeconds }
}

function readAuth(cursor: Cursor, level: ProtocolLevel): Packet {
  must(level === 5, 'AUTH is of MQTT 5')
  const reasonCode = cursor.reason('24 25')
  must(cursor.properties('auth')['authentication method'] !== undefined, 'authentication method')
  return { type: 'auth', reasonCode }
}

type Value = number | string | Buffer | readonly UserProperty[]
type Values = Readonly<Record<string, Value>>

/** MQTT 5.0 table 2-4, less what only a server sends. */
const propertyTable: ReadonlyMap<number, { name: string; type: string; places: readonly string[]; least: number }> =
  new Map(
    [
      '1 byte: payload format indicator: publish will',
      '2 four: message expiry interval: publish will',
      '3 text: content type: publish will',
      '8 topic: response topic: publish will',
      '9 binary: correlation data: publish will',
      '11 variable 1: subscription identifier: subscribe',
      '17 four: session expiry interval: connect disconnect',
      '21 text: authentication method: connect auth',
      '22 binary: authentication data: connect auth',
      '23 byte: request problem information: connect',
      '24 four: will delay interval: will',
      '25 byte: request response information: connect',
      '28 text: server reference: disconnect',
      '31 text: reason string: ack disconnect auth',
      '33 two 1: receive maximum: connect',
      '34 two: topic alias maximum: connect',
      '35 two 1: topic alias: publish',
      '38 pair: user property: connect will publish ack subscribe unsubscribe disconnect auth',
      '39 four 1: maximum packet size: connect',
    ].map((line) => {
      const [first = '', name = '', places = ''] = line.split(': ')
      const [id, type = '', least] = first.split(' ')
      return [Number(id), { name, type, places: places.split(' '), least: Number(least ?? 0) }]
    }),
  )

class Cursor {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.at
  }

  take(length: number): Buffer {
    must(length <= this.left, 'enough bytes')
    this.at += length
    return this.#bytes.subarray(this.at - length, this.at)
  }

  rest(): Buffer {
    return this.take(this.left)
  }

  number(bytes: 1 | 2 | 4): number {
    return this.take(bytes).readUIntBE(0, bytes)
  }

  /** By trying the encodings of one to four bytes; the shortest that fits is the one. */
  variable(): number {
    for (const size of [1, 2, 3, 4]) {
      if (size > this.left) break
      const digits = [...this.#bytes.subarray(this.at, this.at + size)]
      if (!digits.every((digit, at) => digit >= 0x80 === at < size - 1)) continue
      const value = digits.reduceRight((sum, digit) => sum * 128 + (digit % 128), 0)
      must(size === 1 || value >= 128 ** (size - 1), 'the minimum number of bytes')
      this.at += size
      return value
    }
    throw new Ungrammatical('variable byte integer')
  }

  packetId(): number {
    const id = this.number(2)
    must(id > 0, 'packet identifier')
    return id
  }

  binary(): Buffer {
    return this.take(this.number(2))
  }

  text(): string {
    const bytes = this.binary()
    must(isUtf8(bytes) && !bytes.includes(0), 'UTF-8 without NUL')
    return bytes.toString()
  }

  reason(allowed: string): ReasonCode {
    const code = this.number(1)
    must(isReason(code, allowed), 'reason code')
    return code
  }

  many<T>(one: () => T): readonly T[] {
    const all: T[] = []
    while (this.left > 0) all.push(one())
    must(all.length >= 1 && all.length <= 1000, 'one to 1,000 entries')
    return all
  }

  properties(place: string): Values {
    const inside = new Cursor(this.take(this.variable()))
    const values: Record<string, Value> = {}
    const pairs: UserProperty[] = []
    let pairBytes = 0
    while (inside.left > 0) {
      const before = inside.at
      const property = propertyTable.get(inside.number(1))
      must(property !== undefined && property.places.includes(place), 'a property that belongs here')
      if (property.type === 'pair') {
        pairs.push([inside.text(), inside.text()])
        pairBytes += inside.at - before
        continue
      }
      must(!(property.name in values), 'once')
      const value = inside.value(property.type)
      must(typeof value !== 'number' || value >= property.least, 'not 0')
      values[property.name] = value
    }
    must(pairs.length <= 100 && pairBytes <= 16_384, 'a bounded number of user properties')
    return pairs.length > 0 ? { ...values, 'user property': pairs } : values
  }

  value(type: string): number | string | Buffer {
    switch (type) {
      case 'byte': {
        const flag = this.number(1)
        must(flag <= 1, '0 or 1')
        return flag
      }
      case 'two':
        return this.number(2)
      case 'four':
        return this.number(4)
      case 'variable':
        return this.variable()
      case 'topic':
        return topicName(this.text())
      case 'binary':
        return this.binary()
      default:
        return this.text()
    }
  }
}

function ofMessage(values: Values): MessageProperties {
  const read: Readonly<Record<keyof MessageProperties, Value | undefined>> = {
    payloadFormatIndicator: values['payload format indicator'],
    contentType: values['content type'],
    responseTopic: values['response topic'],
    correlationData: values['correlation data'],
    userProperties: values['user property'],
  }
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined))
}

function numberOr<T extends number | undefined>(otherwise: T, value: Value | undefined): number | T {
  return typeof value === 'number' ? value : otherwise
}

function topicName(text: string): TopicName {
  must(isTopicName(text), 'topic name')
  return text
}

function topicFilter(text: string): TopicFilter {
  must(isTopicFilter(text), 'topic filter')
  return text
}

function isTopicName(text: string): text is TopicName {
  return isShort(text) && !/[#+]/.test(text)
}

function isTopicFilter(text: string): text is TopicFilter {
  return isShort(text) && /^(?:(?:\+|[^/#+]*)\/)*(?:\+|#|[^/#+]*)$/.test(text)
}

/** Our own bounds on topics. */
function isShort(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= 1024 && text.split('/').length <= 128
}

function qosOf(number: number): Qos {
  must(number === 0 || number === 1 || number === 2, 'QoS')
  return number
}

function isReason(code: number, allowed: string): code is ReasonCode {
  return allowed.split(' ').includes(String(code))
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Ungrammatical(what)
}
