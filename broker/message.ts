import type { DeviceId, OfferedService, TopicName } from '#protocol'
import type { Request } from './request.js'
import { detached, encodeMessageProperties, propertyBytes } from './wire/encode-properties.js'
import { encodePublish } from './wire/encode-publish.js'
import type { MessageProperties, ProtocolLevel, Qos } from './wire/packet.js'

export interface MessageFields {
  readonly topic: TopicName
  readonly payload: Uint8Array
  readonly qos: Qos
  /** Whether the publisher asked for it to be retained. */
  readonly retain: boolean
  /** Undefined: the service itself. */
  readonly publisher: DeviceId | undefined
  /** Of the session that published it, for subscriptions that leave out their own. */
  readonly clientId: string
  /** Sequence number of its message.publish record: names the message everywhere. The service's own have none. */
  readonly origin: number | undefined
  readonly properties: MessageProperties
  /** By the clock that nobody sets, in milliseconds: then nobody gets it any more; undefined: never (MQTT 5.0 §3.3.2.3.3). */
  readonly expiresAt: number | undefined
  /** Where whoever is given it may answer; not kept over a restart. */
  readonly request?: Request | undefined
  /** The service that the message is of: who may see it, hears it. */
  readonly offer?: OfferedService | undefined
}

/** What differs from one receiver to the next. */
export interface Handing {
  readonly level: ProtocolLevel
  readonly qos: Qos
  readonly retain: boolean
  readonly dup: boolean
  /** 0 with QoS 0, which has none. */
  readonly packetId: number
  readonly identifiers: readonly number[]
}

/** Stands for the topic, which is left out unless the alias is new to the receiver. */
export interface Alias {
  readonly number: number
  readonly isNew: boolean
}

/** One accepted message, shared by all who receive it. */
export class Message implements MessageFields {
  readonly topic: TopicName
  readonly qos: Qos
  readonly retain: boolean
  readonly publisher: DeviceId | undefined
  readonly clientId: string
  readonly origin: number | undefined
  readonly properties: MessageProperties
  readonly expiresAt: number | undefined
  readonly request: Request | undefined
  readonly offer: OfferedService | undefined
  /** Of its payload and properties: what counts where it is retained. */
  readonly keptBytes: number
  #payload: Uint8Array
  /** Then the payload has memory of its own, and what is encoded is not remembered. */
  #waits = false
  #topicBytes: Buffer | undefined
  #encodedProperties: Buffer | undefined
  /** By protocol level. */
  #plainFrames: (Buffer | undefined)[] = []

  /** Takes copies of the payload and all else that is usually a view into a larger read buffer. */
  constructor(fields: MessageFields) {
    this.topic = fields.topic
    this.#payload = Buffer.from(fields.payload)
    this.qos = fields.qos
    this.retain = fields.retain
    this.publisher = fields.publisher
    this.clientId = fields.clientId
    this.origin = fields.origin
    this.properties = detached(fields.properties)
    this.keptBytes = this.#payload.length + propertyBytes(this.properties)
    this.expiresAt = fields.expiresAt
    this.request = fields.request
    this.offer = fields.offer
  }

  get payload(): Uint8Array {
    return this.#payload
  }

  /**
   * To be called when it begins to wait. Small buffers are cut from a larger one, which lives as long as any of them: a
   * few bytes that wait for a week would hold on to thousands.
   */
  keep(): void {
    if (this.#waits) return
    this.#waits = true
    this.#payload = new Uint8Array(this.#payload)
    this.#topicBytes = this.#encodedProperties = undefined
    this.#plainFrames = []
  }

  /** What it costs to keep, roughly, with all that stands around it. */
  get bytes(): number {
    return this.topic.length + this.keptBytes + 400
  }

  isExpired(moment: number): boolean {
    return this.expiresAt !== undefined && this.expiresAt <= moment
  }

  /** The packet for one receiver. Those that differ in nothing get the same bytes, encoded once. */
  frame(handing: Handing, alias: Alias | undefined, elapsed: () => number): Buffer {
    const { level, qos, retain, identifiers } = handing
    const isPlain = qos === 0 && !retain && identifiers.length === 0 && !alias && this.expiresAt === undefined
    if (!isPlain) return this.#encode(handing, alias, elapsed)
    const frame = this.#plainFrames[level] ?? this.#encode(handing, alias, elapsed)
    if (!this.#waits) this.#plainFrames[level] = frame
    return frame
  }

  #encode(
    { level, qos, retain, dup, packetId, identifiers }: Handing,
    alias: Alias | undefined,
    elapsed: () => number,
  ): Buffer {
    const { payload } = this
    const topic = this.#topicBytes ?? Buffer.from(this.topic)
    if (!this.#waits) this.#topicBytes = topic
    if (level === 4) return encodePublish({ level, topic, payload, qos, retain, dup, packetId })
    const properties = this.#encodedProperties ?? encodeMessageProperties(this.properties)
    if (!this.#waits) this.#encodedProperties = properties
    return encodePublish({
      level,
      topic: alias && !alias.isNew ? noBytes : topic,
      payload,
      ...{ qos, retain, dup, packetId },
      properties,
      // What is left of it when it goes out [MQTT-3.3.2-6]; what has expired is never sent.
      ...(this.expiresAt !== undefined && {
        messageExpirySeconds: Math.max(0, Math.ceil((this.expiresAt - elapsed()) / 1000)),
      }),
      ...(alias && { topicAlias: alias.number }),
      ...(identifiers.length > 0 && { subscriptionIdentifiers: identifiers }),
    })
  }
}

const noBytes = Buffer.alloc(0)
