import type { TopicName } from '#protocol'
import { BrokerError } from '../errors.js'
import type { BrokerLimits } from '../limits.js'
import type { UserProperty } from './packet.js'
import type { PacketReader } from './reader.js'
import { malformed, violation } from './refuse.js'

/** What of the broker's limits a single packet can break. */
export type PacketLimits = Pick<BrokerLimits, 'maxFiltersPerPacket' | 'maxUserProperties' | 'maxUserPropertyBytes'>

/** MQTT 5.0 §2.2.2.2, table 2-4 */
export const propertyIds = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiryInterval: 0x11,
  assignedClientIdentifier: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblemInformation: 0x17,
  willDelayInterval: 0x18,
  requestResponseInformation: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperties: 0x26,
  maximumPacketSize: 0x27,
  wildcardSubscriptionAvailable: 0x28,
  subscriptionIdentifierAvailable: 0x29,
  sharedSubscriptionAvailable: 0x2a,
} as const

/** Where a client can send properties, as bits. */
export const places = {
  connect: 1,
  will: 2,
  publish: 4,
  ack: 8,
  subscribe: 16,
  unsubscribe: 32,
  disconnect: 64,
  auth: 128,
} as const
type Place = (typeof places)[keyof typeof places]

/** All that can be read, in one shape; what did not come is undefined. */
export class Properties {
  payloadFormatIndicator: 0 | 1 | undefined = undefined
  messageExpiryInterval: number | undefined = undefined
  contentType: string | undefined = undefined
  responseTopic: TopicName | undefined = undefined
  /** A view of the bytes received. */
  correlationData: Uint8Array | undefined = undefined
  subscriptionIdentifier: number | undefined = undefined
  sessionExpiryInterval: number | undefined = undefined
  authenticationMethod: string | undefined = undefined
  authenticationData: Uint8Array | undefined = undefined
  requestProblemInformation: 0 | 1 | undefined = undefined
  willDelayInterval: number | undefined = undefined
  requestResponseInformation: 0 | 1 | undefined = undefined
  serverReference: string | undefined = undefined
  reasonString: string | undefined = undefined
  receiveMaximum: number | undefined = undefined
  topicAliasMaximum: number | undefined = undefined
  topicAlias: number | undefined = undefined
  userProperties: UserProperty[] | undefined = undefined
  userPropertyBytes = 0
  maximumPacketSize: number | undefined = undefined
}

/** What a packet without properties has. */
export const noProperties: Readonly<Properties> = Object.freeze(new Properties())

type Name = keyof Properties & keyof typeof propertyIds
type NamesOf<Value> = { [N in Name]: Exclude<Properties[N], undefined> extends Value ? N : never }[Name]

type FlagName = NamesOf<0 | 1>

type Property = { readonly places: number } & (
  | { readonly type: 'flag'; readonly name: FlagName }
  | {
      readonly type: 'uint16' | 'uint32' | 'variableInteger'
      readonly name: Exclude<NamesOf<number>, FlagName>
      readonly nonZero?: true
    }
  | { readonly type: 'text'; readonly name: Exclude<NamesOf<string>, 'responseTopic'> }
  | { readonly type: 'topicName'; readonly name: 'responseTopic' }
  | { readonly type: 'binary'; readonly name: NamesOf<Uint8Array> }
  | { readonly type: 'pair'; readonly name: 'userProperties' }
)

const { connect, will, publish, ack, subscribe, unsubscribe, disconnect, auth } = places
const everywhere = connect | will | publish | ack | subscribe | unsubscribe | disconnect | auth

/**
 * What a client can send and where (MQTT 5.0 table 2-4). Only user properties repeat. A flag is 0 or 1. PUBLISH with a
 * subscription identifier can be read, so that its decoder can call it by its name.
 */
const clientProperties: readonly Property[] = [
  { name: 'payloadFormatIndicator', type: 'flag', places: publish | will },
  { name: 'messageExpiryInterval', type: 'uint32', places: publish | will },
  { name: 'contentType', type: 'text', places: publish | will },
  { name: 'responseTopic', type: 'topicName', places: publish | will },
  { name: 'correlationData', type: 'binary', places: publish | will },
  { name: 'subscriptionIdentifier', type: 'variableInteger', places: publish | subscribe, nonZero: true },
  { name: 'sessionExpiryInterval', type: 'uint32', places: connect | disconnect },
  { name: 'authenticationMethod', type: 'text', places: connect | auth },
  { name: 'authenticationData', type: 'binary', places: connect | auth },
  { name: 'requestProblemInformation', type: 'flag', places: connect },
  { name: 'willDelayInterval', type: 'uint32', places: will },
  { name: 'requestResponseInformation', type: 'flag', places: connect },
  { name: 'serverReference', type: 'text', places: disconnect },
  { name: 'reasonString', type: 'text', places: ack | disconnect | auth },
  { name: 'receiveMaximum', type: 'uint16', places: connect, nonZero: true },
  { name: 'topicAliasMaximum', type: 'uint16', places: connect },
  { name: 'topicAlias', type: 'uint16', places: publish },
  { name: 'userProperties', type: 'pair', places: everywhere },
  { name: 'maximumPacketSize', type: 'uint32', places: connect, nonZero: true },
]

const propertyOfId: readonly (Property | undefined)[] = (() => {
  const byId: (Property | undefined)[] = new Array<Property | undefined>(0x80).fill(undefined)
  for (const property of clientProperties) byId[propertyIds[property.name]] = property
  return byId
})()

/** @throws BrokerError MALFORMED_PACKET | PROTOCOL_VIOLATION | QUOTA_EXCEEDED */
export function decodeProperties(reader: PacketReader, place: Place, limits: PacketLimits): Readonly<Properties> {
  const length = reader.variableInteger()
  if (length === 0) return noProperties
  const leftBehind = reader.left - length
  if (leftBehind < 0) throw malformed('properties reach past the end of their packet')
  const found = new Properties()
  while (reader.left > leftBehind) readProperty(reader, place, found, limits)
  if (reader.left < leftBehind) throw malformed('a property reaches past the end of the properties')
  return found
}

function readProperty(reader: PacketReader, place: Place, found: Properties, limits: PacketLimits): void {
  const id = reader.byte() // All identifiers have one byte; the first of a longer one is above them.
  const property = propertyOfId[id]
  if (property === undefined || (property.places & place) === 0) throw malformed(`property ${id} has no place here`) // §2.2.2.2
  if (property.type !== 'pair' && found[property.name] !== undefined) throw violation(`${property.name} comes twice`)
  switch (property.type) {
    case 'flag':
      found[property.name] = readFlag(reader, property.name)
      return
    case 'uint16':
    case 'uint32':
    case 'variableInteger': {
      const value = reader[property.type]()
      if (value === 0 && property.nonZero) throw violation(`${property.name} is 0`)
      found[property.name] = value
      return
    }
    case 'text':
      found[property.name] = reader.text()
      return
    case 'topicName':
      found[property.name] = readResponseTopic(reader)
      return
    case 'binary':
      found[property.name] = reader.binary()
      return
    case 'pair':
      readUserProperty(reader, found, limits)
  }
}

function readFlag(reader: PacketReader, name: string): 0 | 1 {
  const value = reader.byte()
  if (value !== 0 && value !== 1) throw violation(`${name} is neither 0 nor 1`)
  return value
}

/** What a request asks to be answered to must be a topic name [MQTT-3.3.2-14]. */
function readResponseTopic(reader: PacketReader): TopicName {
  try {
    const topic = reader.topicName()
    if (topic !== undefined) return topic
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'INVALID_TOPIC') throw error
    throw new BrokerError('PROTOCOL_VIOLATION', `response topic: ${error.message}`, { cause: error })
  }
  throw violation('an empty response topic')
}

/** MQTT 5.0 §1.5.7; they may repeat without end, so both their number and their bytes have a bound. */
function readUserProperty(reader: PacketReader, found: Properties, limits: PacketLimits): void {
  const { left } = reader
  const list = (found.userProperties ??= [])
  list.push([reader.text(), reader.text()])
  found.userPropertyBytes += 1 + left - reader.left
  if (list.length > limits.maxUserProperties || found.userPropertyBytes > limits.maxUserPropertyBytes) {
    throw new BrokerError(
      'QUOTA_EXCEEDED',
      `over ${limits.maxUserProperties} user properties or ${limits.maxUserPropertyBytes} bytes of them`,
    )
  }
}
