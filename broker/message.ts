import type { DeviceId, TopicName } from '#protocol'
import { encodePublish } from './encode.js'

export interface MessageFields {
  readonly topic: TopicName
  readonly payload: Uint8Array
  readonly qos: 0 | 1
  /** Whether the publisher asked for it to be retained. */
  readonly retain: boolean
  readonly publisher: DeviceId
  /** Sequence number of its message.publish record: names the message everywhere. */
  readonly origin: number
}

/** One accepted message, shared by all who receive it. */
export class Message implements MessageFields {
  readonly topic: TopicName
  readonly payload: Uint8Array
  readonly qos: 0 | 1
  readonly retain: boolean
  readonly publisher: DeviceId
  readonly origin: number
  #liveFrame: Buffer | undefined

  /** Takes a copy of the payload, which is usually a view into a larger read buffer. */
  constructor(fields: MessageFields) {
    this.topic = fields.topic
    this.payload = Buffer.from(fields.payload)
    this.qos = fields.qos
    this.retain = fields.retain
    this.publisher = fields.publisher
    this.origin = fields.origin
  }

  /** What it costs to keep, roughly. */
  get bytes(): number {
    return this.topic.length + this.payload.length + 100
  }

  /** The QoS 0 packet for subscribers that were there when it came: encoded once, written to all of them. */
  get liveFrame(): Buffer {
    return (this.#liveFrame ??= encodePublish({ ...this.#shared, qos: 0, retain: false, dup: false, packetId: 0 }))
  }

  frame(how: {
    readonly qos: 0 | 1
    readonly retain: boolean
    readonly dup: boolean
    readonly packetId: number
  }): Buffer {
    return encodePublish({ ...this.#shared, ...how })
  }

  get #shared() {
    return { topic: this.topic, payload: this.payload }
  }
}
