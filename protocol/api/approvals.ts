import type { Anchor, Labels, Tier } from '../identity.js'
import type { DeviceId, Fingerprint, ProfileName } from '../ids.js'

/** Why a genuine machine waits: nobody has registered it, or the TPM of a known one was reset. */
export const approvalReasons = ['unknown', 'tpm_reset'] as const
export type ApprovalReason = (typeof approvalReasons)[number]

/** A machine whose hardware is genuine and that is not let in without an operator's word. */
export interface ApprovalView {
  /** SHA-256 of the SubjectPublicKeyInfo of its hardware's key; by it the operator names it. */
  readonly hash: Fingerprint
  readonly anchorKind: Anchor['kind']
  readonly reason: ApprovalReason
  /** The one that it asked for. */
  readonly profile: ProfileName
  readonly tier: Tier
  /** Whose certificate vouches for the hardware. */
  readonly maker?: string
  /** As that maker certified it. */
  readonly hardwareSerial?: string
  /** Which device it is; absent for one that nobody knows. */
  readonly device?: DeviceId
  /** From where it asked last. */
  readonly peer: string
  readonly since: string
  readonly last: string
  readonly tries: number
  /** What it says of itself: nobody has looked whether it is true. */
  readonly reported?: Labels
}

export interface ApproveRequest {
  /** What the device is to be called; of one that is known already its own id, or nothing. */
  readonly device?: DeviceId
  /** Default: the one that it asked for. */
  readonly profile?: ProfileName
  readonly labels?: Labels
  readonly reason: string
}

export interface DenyRequest {
  readonly reason: string
}

export interface DenyAnswer {
  readonly hash: Fingerprint
  /** Until then it is refused; afterwards it may ask anew. */
  readonly until: string
}
