import type {
  IAuthPacket,
  IConnectPacket,
  IDisconnectPacket,
  IPublishPacket,
  ISubscribePacket,
  IUnsubscribePacket,
  Packet as OraclePacket,
} from 'mqtt-packet'
import type { ProtocolLevel, Qos } from '../../../broker/wire/packet.js'

/** A number below a bound. */
export type Random = (below: number) => number

/** A CONNECT and what a client says after it, all valid and as mqtt-packet wants it. */
export function randomConversation(random: Random, level: ProtocolLevel, packets: number): readonly OraclePacket[] {
  const types = level === 5 ? clientTypes.length : clientTypes.length - 1
  const said = Array.from({ length: packets }, () => clientTypes[random(types)]?.(random, level))
  return [randomConnect(random, level), ...said.filter((packet) => packet !== undefined)]
}

const clientTypes: readonly ((random: Random, level: ProtocolLevel) => OraclePacket)[] = [
  randomPublish,
  randomPublish,
  (random, level) => randomAck(random, level, 'puback', publishReasons),
  (random, level) => randomAck(random, level, 'pubrec', publishReasons),
  (random, level) => randomAck(random, level, 'pubrel', [0, 0x92]),
  (random, level) => randomAck(random, level, 'pubcomp', [0, 0x92]),
  randomSubscribe,
  randomUnsubscribe,
  () => ({ cmd: 'pingreq' }),
  randomDisconnect,
  randomAuth,
]
const publishReasons = [0, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]
const disconnectReasons = [0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99]

function randomConnect(random: Random, level: ProtocolLevel): IConnectPacket {
  const username = random(2) === 0
  const withMethod = random(4) === 0
  const id = randomText(random)
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: level,
    clientId: id === '' ? 'd' : id,
    clean: random(2) === 0,
    keepalive: random(65_536),
    ...(random(2) === 0 && {
      will: {
        topic: randomTopic(random),
        payload: randomBytes(random),
        qos: randomQos(random),
        retain: random(2) === 0,
        ...(level === 5 && {
          properties: {
            ...messageProperties(random),
            ...(random(2) === 0 && { willDelayInterval: randomUint32(random) }),
          },
        }),
      },
    }),
    ...(username && { username: randomText(random) }),
    ...(username && random(2) === 0 && { password: randomBytes(random) }),
    ...(level === 5 && {
      properties: {
        ...(random(2) === 0 && { sessionExpiryInterval: randomUint32(random) }),
        ...(random(2) === 0 && { receiveMaximum: 1 + random(65_535) }),
        ...(random(2) === 0 && { maximumPacketSize: 1 + random(0xfffffffe) }),
        ...(random(2) === 0 && { topicAliasMaximum: random(65_536) }),
        ...(random(2) === 0 && { requestResponseInformation: random(2) === 0 }),
        ...(random(2) === 0 && { requestProblemInformation: random(2) === 0 }),
        ...(withMethod && { authenticationMethod: randomText(random) }),
        ...(withMethod && random(2) === 0 && { authenticationData: randomBytes(random) }),
        ...userProperties(random),
      },
    }),
  }
}

export function randomPublish(random: Random, level: ProtocolLevel): IPublishPacket {
  const qos = randomQos(random)
  const aliased = level === 5 && random(3) === 0
  return {
    cmd: 'publish',
    topic: aliased && random(2) === 0 ? '' : randomTopic(random),
    payload: randomBytes(random),
    qos,
    dup: qos > 0 && random(2) === 0,
    retain: random(2) === 0,
    ...(qos > 0 && { messageId: randomId(random) }),
    ...(level === 5 && {
      properties: { ...messageProperties(random), ...(aliased && { topicAlias: 1 + random(65_535) }) },
    }),
  }
}

function randomAck(
  random: Random,
  level: ProtocolLevel,
  cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp',
  reasons: readonly number[],
): OraclePacket {
  return {
    cmd,
    messageId: randomId(random),
    ...(level === 5 && { reasonCode: oneOf(random, reasons) }),
    ...(level === 5 && random(2) === 0 && { properties: reasonProperties(random) }),
  }
}

function randomSubscribe(random: Random, level: ProtocolLevel): ISubscribePacket {
  return {
    cmd: 'subscribe',
    messageId: randomId(random),
    subscriptions: Array.from({ length: 1 + random(4) }, () => {
      const topic = randomFilter(random)
      const options = { nl: random(2) === 0 && !topic.startsWith('$share/'), rap: random(2) === 0, rh: random(3) }
      return { topic, qos: randomQos(random), ...(level === 5 && options) }
    }),
    ...(level === 5 && {
      properties: {
        ...(random(2) === 0 && { subscriptionIdentifier: 1 + random(268_435_455) }),
        ...userProperties(random),
      },
    }),
  }
}

function randomUnsubscribe(random: Random, level: ProtocolLevel): IUnsubscribePacket {
  return {
    cmd: 'unsubscribe',
    messageId: randomId(random),
    unsubscriptions: Array.from({ length: 1 + random(4) }, () => randomFilter(random)),
    ...(level === 5 && { properties: userProperties(random) }),
  }
}

function randomDisconnect(random: Random, level: ProtocolLevel): IDisconnectPacket {
  if (level === 4) return { cmd: 'disconnect' }
  const expiry = random(2) === 0 && { sessionExpiryInterval: randomUint32(random) }
  const properties = { ...expiry, ...reasonProperties(random) }
  return { cmd: 'disconnect', reasonCode: oneOf(random, disconnectReasons), properties }
}

function randomAuth(random: Random): IAuthPacket {
  return {
    cmd: 'auth',
    reasonCode: oneOf(random, [0x18, 0x19]),
    properties: {
      authenticationMethod: randomText(random),
      ...(random(2) === 0 && { authenticationData: randomBytes(random) }),
      ...reasonProperties(random),
    },
  }
}

function messageProperties(random: Random) {
  return {
    ...(random(3) === 0 && { payloadFormatIndicator: random(2) === 0 }),
    ...(random(3) === 0 && { messageExpiryInterval: randomUint32(random) }),
    ...(random(3) === 0 && { contentType: randomText(random) }),
    ...(random(3) === 0 && { responseTopic: randomTopic(random) }),
    ...(random(3) === 0 && { correlationData: randomBytes(random) }),
    ...userProperties(random),
  }
}

function reasonProperties(random: Random) {
  return { ...(random(2) === 0 && { reasonString: randomText(random) }), ...userProperties(random) }
}

function userProperties(random: Random): { userProperties?: Record<string, string | string[]> } {
  if (random(3) > 0) return {}
  const entries = Array.from({ length: 1 + random(3) }, () => {
    const value = random(4) === 0 ? ['1', randomText(random)] : randomText(random)
    return [`n${randomText(random)}`, value] as const
  })
  return { userProperties: Object.fromEntries(entries) }
}

/** Some of each length of UTF-8, with a BOM, a control character and a non-character among them. */
const characters = [...'abcXYZ019 ._-~$', 'é', '\u0301', '語', '\ufeff', '\uffff', '😀', '\u0001']

export function randomText(random: Random): string {
  return textOf(random, random(20) === 0 ? 200 + random(200) : random(8))
}

function textOf(random: Random, length: number): string {
  return Array.from({ length }, () => oneOf(random, characters)).join('')
}

function randomTopic(random: Random): string {
  const topic = Array.from({ length: 1 + random(4) }, () => textOf(random, random(8))).join('/')
  return topic === '' ? '/' : topic
}

function randomFilter(random: Random): string {
  const levels = randomTopic(random).split('/')
  const wild = levels.map((level) => (random(4) === 0 ? '+' : level))
  const filter = [...wild, ...(random(4) === 0 ? ['#'] : [])].join('/')
  return random(8) === 0 ? `$share/g/${filter}` : filter
}

function randomBytes(random: Random): Buffer {
  return Buffer.from(Array.from({ length: random(100) === 0 ? 10_000 : random(20) }, () => random(256)))
}

function randomQos(random: Random): Qos {
  return oneOf(random, [0, 1, 2] as const)
}

export function randomId(random: Random): number {
  return 1 + random(65_535)
}

export function randomUint32(random: Random): number {
  return oneOf(random, [0, 1, 65_536, 0x80000000, 0xfffffffe, random(0xffffffff)])
}

export function oneOf<T>(random: Random, list: readonly T[]): T {
  const chosen = list[random(list.length)]
  if (chosen === undefined) throw new RangeError('nothing to choose from')
  return chosen
}
