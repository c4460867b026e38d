import type { DeviceId, TopicFilter } from '#protocol'
import type { Message, Qos } from '../policy.js'

/** A session as far as a policy has to do with it. */
export interface LiveSession {
  readonly session: string
  readonly device: DeviceId
  readonly clientId: string
  /** Where its client is, or was last. */
  readonly from: string | undefined
  /** Its place among the connected sessions of its device, from 0; undefined for one that is away. */
  readonly place: number | undefined
  readonly subscriptions: Iterable<LiveSubscription>
  readonly will: Message | undefined
}

export interface LiveSubscription {
  /** As the client named it, `$share/…` included. */
  readonly name: TopicFilter
  /** The granted one. */
  readonly qos: Qos
}
