import type { Decision, Labels, Tier, TopicAction } from '../identity.js'
import type { DeviceId, Fingerprint } from '../ids.js'

export interface PolicyView {
  readonly version: number
  readonly hash: Fingerprint
  readonly source: string
}

export interface ApplyPolicyAnswer {
  readonly version: number
  readonly hash: Fingerprint
  readonly tests: { readonly passed: number }
  readonly dryRun: boolean
  /** Live sessions whose rights were computed anew. */
  readonly sessions: number
}

export interface ExplainRequest {
  /** A device that is known, or one described by its attributes. */
  readonly as: { readonly id: DeviceId; readonly tier?: Tier; readonly labels?: Labels }
  readonly action: TopicAction
  readonly topic: string
  readonly qos?: 0 | 1 | 2
  readonly retain?: boolean
  readonly size?: number
  /** The address of a client; without one, what depends on it is not granted. */
  readonly from?: string
  /** Another moment than now (RFC 3339). */
  readonly at?: string
}

export interface Explanation {
  readonly decision: Decision
  /** Every rule that was looked at for this action, and what kept it from deciding. */
  readonly considered: readonly {
    readonly rule: string
    readonly effect: 'allow' | 'deny'
    readonly at: string
    readonly failed?: 'topic' | 'qos' | 'retain' | 'size' | 'rate' | 'condition'
  }[]
  /** Of what nothing allows: the allow that comes closest, and what keeps it from deciding. */
  readonly nearest?: {
    readonly rule: string
    readonly at: string
    readonly failed: 'topic' | 'qos' | 'retain' | 'size' | 'rate' | 'condition'
    /** Of its filters the one that is most like the topic, as it is for this device. */
    readonly filter?: string
  }
}
