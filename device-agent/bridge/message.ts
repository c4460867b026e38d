import type { TopicName } from '#protocol'

/** What a program on the device has to say to the service. */
export interface Message {
  readonly topic: TopicName
  readonly payload: Uint8Array
  /** As its program sent it: whether it may be dropped for want of room. */
  readonly qos: 0 | 1
  readonly retain: boolean
}

/** One that waits for the service; all of a queue are ordered by their sequence. */
export interface QueuedMessage extends Message {
  readonly sequence: number
  /** The service may have it already: it was sent and no answer came (MQTT 5.0 §3.3.1.1). */
  maybeSent: boolean
  /** How often the service had no room for it, or ended the connection over it. */
  failures: number
}
