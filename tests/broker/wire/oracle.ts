import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { generate, type Packet as OraclePacket, parser } from 'mqtt-packet'
import { parseTopicFilter, parseTopicName } from '#protocol'
import type {
  ConnectPacket,
  MessageProperties,
  Packet,
  ProtocolLevel,
  UserProperty,
} from '../../../broker/wire/packet.js'
import { type ReasonCode, reasonCodes } from '../../../broker/wire/reason-codes.js'

/* mqtt-packet, which we have not written, and how its packets correspond to ours. */

export function generateByOracle(packet: OraclePacket, level: ProtocolLevel): Buffer {
  return generate(packet, { protocolVersion: level })
}

/** A parser of mqtt-packet that is fed one whole packet at a time, because it reads past the end of some. */
export function oracleParser(level: ProtocolLevel): (packet: Buffer) => OraclePacket {
  let parsed: OraclePacket | undefined
  const reading = parser({ protocolVersion: level })
  reading.on('packet', (packet) => (parsed = packet))
  reading.on('error', (error: unknown) => {
    throw error
  })
  return (packet) => {
    parsed = undefined
    reading.parse(packet)
    assert.ok(parsed, 'mqtt-packet reads no packet')
    return parsed
  }
}

/** What we make of the same bytes. */
export function fromOracle(packet: OraclePacket, level: ProtocolLevel): Packet {
  switch (packet.cmd) {
    case 'connect':
      return fromConnect(packet, level)
    case 'publish': {
      const { properties = {} } = packet
      return {
        type: 'publish',
        topic: packet.topic === '' ? undefined : parseTopicName(packet.topic),
        topicAlias: properties.topicAlias,
        payload: Buffer.from(packet.payload),
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
        packetId: packet.messageId ?? 0,
        messageExpirySeconds: properties.messageExpiryInterval,
        properties: fromMessageProperties(properties),
      }
    }
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return { type: packet.cmd, packetId: packet.messageId ?? 0, reasonCode: reason(packet.reasonCode) }
    case 'subscribe':
      return {
        type: 'subscribe',
        packetId: packet.messageId ?? 0,
        subscriptionIdentifier: single(packet.properties?.subscriptionIdentifier),
        requests: packet.subscriptions.map(({ topic, qos, nl = false, rap = false, rh = 0 }) => ({
          filter: parseTopicFilter(topic),
          qos,
          noLocal: nl,
          retainAsPublished: rap,
          retainHandling: rh === 1 ? 1 : rh === 2 ? 2 : 0,
        })),
      }
    case 'unsubscribe':
      return {
        type: 'unsubscribe',
        packetId: packet.messageId ?? 0,
        filters: packet.unsubscriptions.map((filter) => parseTopicFilter(filter)),
      }
    case 'pingreq':
      return { type: 'pingreq' }
    case 'disconnect':
      return {
        type: 'disconnect',
        reasonCode: reason(packet.reasonCode),
        sessionExpirySeconds: packet.properties?.sessionExpiryInterval,
      }
    case 'auth':
      return { type: 'auth', reasonCode: reason(packet.reasonCode) }
    case 'connack':
    case 'suback':
    case 'unsuback':
    case 'pingresp':
      throw new TypeError(`${packet.cmd} is not sent by clients`)
  }
}

/**
 * Whether both mean the same. mqtt-packet keeps user properties in a map, where their order is lost and an empty value
 * can be overwritten; so these are compared by what of them a map can say.
 */
export function means(ours: Packet, theirs: OraclePacket, level: ProtocolLevel): boolean {
  return isDeepStrictEqual(withoutUserProperties(ours), withoutUserProperties(fromOracle(theirs, level)))
}

function withoutUserProperties(packet: Packet): Packet {
  if (packet.type === 'publish') return { ...packet, properties: less(packet.properties) }
  if (packet.type !== 'connect' || !packet.will) return packet
  return { ...packet, will: { ...packet.will, properties: less(packet.will.properties) } }
}

function less({ userProperties: _, ...properties }: MessageProperties): MessageProperties {
  return properties
}

function fromConnect(packet: OraclePacket & { cmd: 'connect' }, level: ProtocolLevel): ConnectPacket {
  const { properties = {}, will, clean = true } = packet
  return {
    type: 'connect',
    level,
    clientId: packet.clientId,
    clean,
    keepAliveSeconds: packet.keepalive ?? 0,
    ...(will && {
      will: {
        topic: parseTopicName(will.topic),
        payload: Buffer.from(will.payload),
        qos: will.qos ?? 0,
        retain: will.retain ?? false,
        delaySeconds: will.properties?.willDelayInterval ?? 0,
        messageExpirySeconds: will.properties?.messageExpiryInterval,
        properties: fromMessageProperties(will.properties ?? {}),
      },
    }),
    ...(packet.username !== undefined && { username: packet.username }),
    ...(packet.password !== undefined && { password: packet.password }),
    sessionExpirySeconds: level === 4 && !clean ? 0xffffffff : (properties.sessionExpiryInterval ?? 0),
    receiveMaximum: properties.receiveMaximum ?? 65_535,
    maximumPacketSize: properties.maximumPacketSize,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    requestResponseInformation: properties.requestResponseInformation ?? false,
    requestProblemInformation: properties.requestProblemInformation ?? true,
    ...(properties.authenticationMethod !== undefined && { authenticationMethod: properties.authenticationMethod }),
  }
}

interface OracleMessageProperties {
  readonly payloadFormatIndicator?: boolean
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Buffer
  readonly userProperties?: Readonly<Record<string, string | string[]>>
}

function fromMessageProperties(properties: OracleMessageProperties): MessageProperties {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, userProperties } = properties
  return {
    ...(payloadFormatIndicator !== undefined && { payloadFormatIndicator: payloadFormatIndicator ? 1 : 0 }),
    ...(contentType !== undefined && { contentType }),
    ...(responseTopic !== undefined && { responseTopic: parseTopicName(responseTopic) }),
    ...(correlationData !== undefined && { correlationData }),
    ...(userProperties !== undefined && { userProperties: pairs(userProperties) }),
  }
}

function pairs(userProperties: Readonly<Record<string, string | string[]>>): readonly UserProperty[] {
  return Object.entries(userProperties).flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map((one): UserProperty => [name, one]),
  )
}

const reasonOf: ReadonlyMap<number, ReasonCode> = new Map(Object.values(reasonCodes).map((code) => [code, code]))

function reason(code = 0): ReasonCode {
  const known = reasonOf.get(code)
  assert.ok(known !== undefined)
  return known
}

function single(value: number | number[] | undefined): number | undefined {
  return typeof value === 'object' ? value[0] : value
}
