import type { AuditQuery } from '#audit'
import type { DeviceId, PolicyView } from '#protocol'
import type { DeviceAttributes, LiveSession, TopicPolicy } from '#policy'

/** What is known of policy and devices, and what they did; for one who asks, and as long as that one waits. */
export interface PolicyStudy {
  readonly inForce: () => PolicyView
  /** Any policy. @throws PolicyError */
  readonly read: (source: string, file: string) => Promise<TopicPolicy>
  readonly devices: () => Iterable<DeviceId>
  /** Undefined for a device that is not known, or kept out. */
  readonly attributesOf: (device: DeviceId) => DeviceAttributes | undefined
  readonly liveSessions: () => Iterable<LiveSession>
  /** NDJSON, in pieces of whole lines. */
  readonly search: (query: AuditQuery) => AsyncIterable<Uint8Array | string>
  readonly now: () => number
  /** Milliseconds by a clock that nobody sets. */
  readonly elapsed: () => number
  /** Aborted when nobody waits for the result any more. */
  readonly signal: AbortSignal
}
