import type { PcrOutcome, PcrPolicyMode, PcrPolicyRef } from '../attestation.js'
import type { Tier } from '../identity.js'
import type { DeviceId, Fingerprint, OperatorName, ProfileName } from '../ids.js'
import type { Act } from './act.js'

/** A manufacturer whose word about TPMs counts here. */
export interface TpmMakerView {
  /** Its id in the TCG's vendor registry; `ekRoots` for what the operator trusts beside them. */
  readonly id: string
  readonly name?: string
  readonly kind: 'chip' | 'virtual' | 'own'
  readonly roots: readonly TpmRootView[]
  /** How many certificates help to find the way to a root. */
  readonly intermediates: number
  /** What is forgiven it and nobody else. */
  readonly forgiven: readonly ('ekUsageMissing' | 'expiredAuthorities')[]
}

export interface TpmRootView {
  readonly subject: string
  /** SHA-256 of the certificate. */
  readonly fingerprint: Fingerprint
  readonly notAfter: string
}

/** A PCR policy that holds now. */
export interface PcrPolicyView {
  readonly name: string
  readonly version: number
  readonly mode: PcrPolicyMode
  readonly profiles: readonly ProfileName[]
  /** Registers that are quoted. */
  readonly pcrs: readonly number[]
  readonly hash: Fingerprint
  readonly since: string
  readonly by: OperatorName
  readonly comment?: string
}

export interface PcrPolicySourceView extends PcrPolicyView {
  /** As it was written. */
  readonly source: string
}

export interface ApplyPcrPolicyAnswer {
  readonly policy: PcrPolicyView
  readonly dryRun: boolean
  /** False where the very same holds already. */
  readonly changed: boolean
  /** Devices of its profiles whose last quoted values it finds bad, or that have quoted none. */
  readonly wouldFail: readonly DeviceId[]
}

export interface LearnPcrsRequest extends Act {
  readonly device: DeviceId
  /** Default: the one that holds for the device's profile. One that is not there is made, to observe. */
  readonly policy?: string
  /** When the values begin and cease to be good. */
  readonly from?: string
  readonly until?: string
  readonly dryRun?: boolean
}

export interface LearnPcrsAnswer {
  readonly policy: PcrPolicySourceView
  /** Registers of which a value was new to the policy. */
  readonly learned: readonly number[]
  readonly dryRun: boolean
}

/** What was made of the PCRs of a device when they were quoted last. */
export interface VerdictView {
  readonly outcome: PcrOutcome
  /** Absent where none held. */
  readonly policy?: PcrPolicyRef
  readonly reasons: readonly string[]
  readonly at: string
}

/** All that is known of what a device has proven. */
export interface AttestationView {
  readonly device: DeviceId
  readonly tier?: Tier
  /** SHA-256 of its EK's SubjectPublicKeyInfo. */
  readonly ek?: Fingerprint
  /** Whose certificate vouched for the hardware when the device joined last. */
  readonly maker?: string
  readonly tpm?: TpmFactsView
  readonly verdict?: VerdictView
  /** Quoted values of the SHA-256 bank. */
  readonly pcrs: readonly QuotedPcrView[]
  /** Of the event log that came with the quote; absent where none is kept. */
  readonly events?: readonly EventView[]
}

export interface TpmFactsView {
  readonly firmware: string
  readonly resetCount: number
  readonly restartCount: number
  readonly clock: number
  readonly safe: boolean
}

export interface QuotedPcrView {
  readonly pcr: number
  readonly value: string
  /** Whether the event log leads to this value; absent without a log. */
  readonly replays?: boolean
}

export interface EventView {
  readonly pcr: number
  readonly type: string
  /** Of the SHA-256 bank. */
  readonly digest: string
  /** In words. */
  readonly text: string
  /** Whether the digest is over what the words say. */
  readonly measured: boolean
}
