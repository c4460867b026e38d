import type { DeviceId, Fingerprint } from '../ids.js'

/** What a policy is compared with another for; by default the one in force is what it is compared with. */
export interface DiffPolicyRequest {
  /** A version that was in force; default: the one that is. */
  readonly from?: number
  /** A version that was in force, or `source`; default: the one that is in force. */
  readonly to?: number
  /** A policy as it would be applied. */
  readonly source?: string
  /** How `source` is called where it is pointed into. */
  readonly file?: string
}

export interface PolicyDiff {
  readonly from: { readonly version: number; readonly hash: Fingerprint }
  readonly to: { readonly version: number; readonly hash: Fingerprint }
  readonly changes: readonly PolicyDifference[]
  readonly devices: {
    /** That could connect now, and that the operator may see. */
    readonly known: number
    readonly otherRoles: AffectedView
    /** Some gain and lose at once. */
    readonly more: AffectedView
    readonly less: AffectedView
    readonly other: AffectedView
  }
}

export interface AffectedView {
  readonly count: number
  /** A few of them. */
  readonly first: readonly DeviceId[]
}

/** One thing that two policies say differently. */
export interface PolicyDifference {
  /** What comes of it for whom it is about: more rights, fewer, or others. */
  readonly brings: 'more' | 'less' | 'other'
  readonly about: 'everyone' | 'role' | 'operators'
  readonly role?: string
  readonly effect?: 'allow' | 'deny'
  /** `role/rule`. */
  readonly rule?: string
  readonly what: PolicyPart
  /** Absent where there was nothing before; as `to`, in words for people. */
  readonly from?: string
  readonly to?: string
  /** `file:line:column`, in the newer one where it is there. */
  readonly at?: string
}

export const policyParts = [
  ...([
    'onDenyPublish',
    'onOverlap',
    'quarantine',
    'sessions',
    'rule',
    'actions',
    'topics',
    'qos',
    'retain',
    'payload',
    'rate',
    'respond',
    'services',
    'protocols',
  ] as const),
  ...(['binding', 'when', 'acts', 'labels', 'maxDevices'] as const),
] as const
export type PolicyPart = (typeof policyParts)[number]
