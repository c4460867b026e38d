import type { TopicFilter, TopicName } from '#protocol'

/*
 * What a client can say in MQTT 3.1.1, after the decoder has read it. QoS 2 is decoded, so that its refusal can be told
 * apart from nonsense.
 */

export type Qos = 0 | 1 | 2

/** Control packet types (MQTT 3.1.1 §2.2.1). */
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
} as const

export interface Will {
  readonly topic: TopicName
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
}

export interface ConnectPacket {
  readonly type: 'connect'
  readonly clientId: string
  readonly clean: boolean
  readonly keepAliveSeconds: number
  readonly will?: Will
  /** Claims only: identity comes from the certificate. */
  readonly username?: string
  readonly password?: Uint8Array
}

export interface PublishPacket {
  readonly type: 'publish'
  readonly topic: TopicName
  /** A view of the bytes received; whoever keeps it makes a copy. */
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly dup: boolean
  /** 0 with QoS 0, which has none. */
  readonly packetId: number
}

export interface SubscribePacket {
  readonly type: 'subscribe'
  readonly packetId: number
  readonly requests: readonly { readonly filter: TopicFilter; readonly qos: Qos }[]
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe'
  readonly packetId: number
  readonly filters: readonly TopicFilter[]
}

export type Packet =
  | ConnectPacket
  | PublishPacket
  | { readonly type: 'puback'; readonly packetId: number }
  | SubscribePacket
  | UnsubscribePacket
  | { readonly type: 'pingreq' }
  | { readonly type: 'disconnect' }
