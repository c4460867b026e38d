import type { TopicFilter } from '#protocol'
import type { Qos } from './wire/packet.js'

/** What a session was granted with one filter (MQTT 5.0 §3.8.3.1). A later one of the same name takes its place. */
export interface Subscription {
  /** As the client named it, `$share/…` included: its key in the session and in the store. */
  readonly name: TopicFilter
  /** What it matches: the name without `$share/<group>/`. */
  readonly filter: TopicFilter
  /** The group that shares it (MQTT 5.0 §4.8.2); undefined where each subscriber gets every message. */
  readonly share: string | undefined
  /** The granted QoS, which can be lower than the requested one. */
  readonly qos: Qos
  /** Nothing of the session's own is sent back to it. */
  readonly noLocal: boolean
  /** RETAIN stays as the publisher set it. */
  readonly retainAsPublished: boolean
  /** Sent along with every message that it matches (MQTT 5.0 §3.8.2.1.2). */
  readonly identifier: number | undefined
  /** How many it counts for in its device's quota: one, and more where it has very many levels. */
  readonly weight: number
}

/** How one session gets one message: all its matching subscriptions together, so that it gets it once (MQTT 5.0 §3.3.4). */
export interface Reception {
  /** The highest of the granted ones [MQTT-3.3.5-1]. */
  readonly qos: Qos
  readonly retainAsPublished: boolean
  /** Of all matching subscriptions that have one [MQTT-3.3.4-4]. */
  readonly identifiers: readonly number[]
}
