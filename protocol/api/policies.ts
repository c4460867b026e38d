import type { Decision, Labels, Tier, TopicAction } from '../identity.js'
import type { DeviceId, Fingerprint, OperatorName } from '../ids.js'
import type { Act } from './act.js'

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

export interface RollbackPolicyRequest extends Act {
  /** Default: the one that was in force before. */
  readonly version?: number
  readonly dryRun?: boolean
}

export interface RollbackPolicyAnswer extends ApplyPolicyAnswer {
  /** The version that says the same. */
  readonly restores: number
}

/** A policy that was in force. Of those of before such facts were kept nothing but the number is known. */
export interface PolicyVersionView {
  readonly version: number
  readonly inForce: boolean
  readonly since?: string
  readonly operator?: OperatorName
  /** Where the operator came from. */
  readonly peer?: string
  readonly comment?: string
  readonly hash?: Fingerprint
  /** How many of its own tests it passed. */
  readonly tests?: number
  /** The earlier version that it put back. */
  readonly restores?: number
  /** Place of its `policy.activate` in the audit log. */
  readonly record?: number
}

export interface KeptPolicyView extends PolicyVersionView {
  readonly source: string
}

export interface ExplainRequest {
  /** A device that is known, or one described by its attributes. */
  readonly as: { readonly id: DeviceId; readonly tier?: Tier; readonly labels?: Labels }
  readonly action: TopicAction | 'discover'
  /** To discover: `DEVICE/SERVICE`, one that is offered now. */
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
    readonly failed?: 'topic' | 'service' | 'qos' | 'retain' | 'size' | 'rate' | 'condition'
  }[]
  /** Of what nothing allows: the allow that comes closest, and what keeps it from deciding. */
  readonly nearest?: {
    readonly rule: string
    readonly at: string
    readonly failed: 'topic' | 'service' | 'qos' | 'retain' | 'size' | 'rate' | 'condition'
    /** Of its filters the one that is most like the topic, as it is for this device. */
    readonly filter?: string
  }
}
