import type { DenyReason, TopicAction } from '../identity.js'
import type { DeviceId, Fingerprint } from '../ids.js'

/**
 * Who would gain and who would lose if another policy were in force: found by asking both policies the same questions,
 * with the devices as they are now. Every total is exact for what was looked at; the list of changes is cut.
 */
export interface PolicyImpact {
  readonly inForce: PolicyMark
  readonly candidate: PolicyMark
  readonly decisions: DecisionsImpact
  /** Devices that appear in any change; one can gain and lose. */
  readonly devices: GainsAndLosses
  readonly sessions: LiveImpact & {
    /** Connections that would end, because fewer sessions are allowed or none under this client id. */
    readonly end: number
  }
  readonly subscriptions: LiveImpact
  readonly wills: LiveImpact
  /** Losses first, the most frequent first. */
  readonly changes: readonly PolicyChange[]
  /** How many there are; above the length of the list, the rest is not told. */
  readonly changesInAll: number
}

export interface PolicyMark {
  readonly version: number
  readonly hash: Fingerprint
}

export interface GainsAndLosses {
  readonly gain: number
  readonly lose: number
}

export interface LiveImpact extends GainsAndLosses {
  /** How many there are. */
  readonly live: number
}

/** What was found in the audit log: the newest decisions, with refusals as often as they are counted there. */
export interface DecisionsImpact extends GainsAndLosses {
  /** How many records were to be looked at, and how many were there. */
  readonly asked: number
  readonly read: number
  /** Of the oldest and the newest of them. */
  readonly since?: string
  readonly until?: string
  /** Decisions that both policies were asked. */
  readonly judged: number
  /** Decisions of devices that are not known any more, or kept out. */
  readonly unknownDevices: number
  /** Refused for what no policy can be asked about afterwards: a rate, a quota, a lock, a response topic. */
  readonly notByPolicy: number
  /** Refusals that are counted over many topics. */
  readonly withoutTopic: number
  /** Judged without the client's address, on which a policy makes it depend: what needs one is refused by both. */
  readonly withoutAddress: number
  /** Judged otherwise by the policy in force than is on record: that, or the device, has changed since. */
  readonly otherwise: number
}

/** Things alike that one policy allows and the other refuses. */
export interface PolicyChange {
  readonly effect: keyof GainsAndLosses
  /** `decision`: on record. The others are live; a session ends. */
  readonly of: 'decision' | 'subscription' | 'will' | 'session'
  readonly action: TopicAction | 'connect'
  /** A subscription stays, and more or less comes by it. */
  readonly partly: boolean
  /** With the device's id and labels as variables. */
  readonly topic: string
  readonly roles: readonly string[]
  readonly count: number
  readonly devices: number
  readonly example: { readonly device: DeviceId; readonly topic: string }
  readonly now: Verdict
  readonly then: Verdict
}

export interface Verdict {
  readonly effect: 'allow' | 'deny'
  readonly reason?: DenyReason
  /** The rule that decides or, where none matches, comes closest; and where it stands. */
  readonly rule?: string
  readonly at?: string
  readonly nearest: boolean
}
