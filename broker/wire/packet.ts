import type { MqttVersion, TopicFilter, TopicName } from '#protocol'
import type { ReasonCode } from './reason-codes.js'

/* What client and server can say to each other, in MQTT 3.1.1 and 5, after the decoder has read it. */

/** The protocol level of CONNECT: 4 is MQTT 3.1.1, 5 is MQTT 5.0 (§3.1.2.2). */
export type ProtocolLevel = 4 | 5

export function versionOf(level: ProtocolLevel): MqttVersion {
  return level === 5 ? '5' : '3.1.1'
}

export type Qos = 0 | 1 | 2

/** Control packet types (MQTT 5.0 §2.1.2). */
export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

/** MQTT 5.0 §1.5.7: names may repeat, and their order is kept. */
export type UserProperty = readonly [name: string, value: string]

/** What a message carries beside topic and payload, and every receiver gets unaltered (MQTT 5.0 §3.3.2.3). */
export interface MessageProperties {
  readonly payloadFormatIndicator?: 0 | 1
  readonly contentType?: string
  readonly responseTopic?: TopicName
  readonly correlationData?: Uint8Array
  readonly userProperties?: readonly UserProperty[]
}

/** Properties that are absent stand for their defaults in MQTT 3.1.1 as well. */
export interface Will {
  readonly topic: TopicName
  /** A view of the bytes received; whoever keeps it makes a copy. */
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  /** MQTT 5.0 §3.1.3.2.2; 0 without the property. */
  readonly delaySeconds: number
  /** Counts from when the will is published (MQTT 5.0 §3.1.3.2.4); undefined: it never expires. */
  readonly messageExpirySeconds: number | undefined
  readonly properties: MessageProperties
}

export interface ConnectPacket {
  readonly type: 'connect'
  readonly level: ProtocolLevel
  readonly clientId: string
  /** Clean Session in MQTT 3.1.1, Clean Start in MQTT 5. */
  readonly clean: boolean
  readonly keepAliveSeconds: number
  readonly will?: Will
  /** Claims only: identity comes from the certificate. */
  readonly username?: string
  readonly password?: Uint8Array
  /** MQTT 5.0 §3.1.2.11.2; 0 without the property, 0xffffffff never expires. In MQTT 3.1.1: 0 with clean session, else 0xffffffff. */
  readonly sessionExpirySeconds: number
  /** QoS 1 and 2 messages that the client takes at once (§3.1.2.11.3): 1 to 65,535, which is the default. */
  readonly receiveMaximum: number
  /** The largest packet that the client takes (§3.1.2.11.4). */
  readonly maximumPacketSize: number | undefined
  /** The highest alias that we may use (§3.1.2.11.5); 0 without the property. */
  readonly topicAliasMaximum: number
  readonly requestResponseInformation: boolean
  /** Whether reason strings may be sent with other packets than CONNACK and DISCONNECT (§3.1.2.11.7); true by default. */
  readonly requestProblemInformation: boolean
  readonly authenticationMethod?: string
}

export interface PublishPacket {
  readonly type: 'publish'
  /** Undefined where an alias stands for it; then `topicAlias` is set. */
  readonly topic: TopicName | undefined
  /** 1 to 65,535; 0 is refused by the decoder, the connection's own maximum by its owner. */
  readonly topicAlias: number | undefined
  /** A view of the bytes received; whoever keeps it makes a copy. */
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly dup: boolean
  /** 0 with QoS 0, which has none. */
  readonly packetId: number
  readonly messageExpirySeconds: number | undefined
  readonly properties: MessageProperties
}

/** PUBACK, PUBREC, PUBREL and PUBCOMP are built alike (MQTT 5.0 §3.4 to §3.7). */
export interface AckPacket {
  readonly type: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'
  readonly packetId: number
  /** Success in MQTT 3.1.1, which knows no other. */
  readonly reasonCode: ReasonCode
}

export interface SubscriptionRequest {
  /** As the client named it; a shared one begins with `$share/`. */
  readonly filter: TopicFilter
  readonly qos: Qos
  /** Options of MQTT 5.0 §3.8.3.1; in MQTT 3.1.1: false, false, 0. */
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** Retained messages at the time of the subscribe: 0 send, 1 only for a new subscription, 2 do not. */
  readonly retainHandling: 0 | 1 | 2
}

export interface SubscribePacket {
  readonly type: 'subscribe'
  readonly packetId: number
  /** MQTT 5.0 §3.8.2.1.2: 1 to 268,435,455. */
  readonly subscriptionIdentifier: number | undefined
  readonly requests: readonly SubscriptionRequest[]
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe'
  readonly packetId: number
  readonly filters: readonly TopicFilter[]
}

export interface DisconnectPacket {
  readonly type: 'disconnect'
  /** 0 normal, 4 with the will (MQTT 5.0 §3.14.2.1), or why the client gives up. */
  readonly reasonCode: ReasonCode
  /** A new session expiry interval (§3.14.2.2.2), where the client sent one. */
  readonly sessionExpirySeconds: number | undefined
}

/** MQTT 5.0 §3.15; read so that it can be answered. */
export interface AuthPacket {
  readonly type: 'auth'
  readonly reasonCode: ReasonCode
}

export type Packet =
  | ConnectPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | UnsubscribePacket
  | { readonly type: 'pingreq' }
  | DisconnectPacket
  | AuthPacket
