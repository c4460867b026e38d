import type { Anchor, Labels, RevocationReason, Tier } from '../identity.js'
import type {
  CertificateSerial,
  DeviceId,
  Fingerprint,
  InstanceId,
  OperatorName,
  ProfileName,
  KeyIdentifier,
} from '../ids.js'
import type { LockTarget } from '../lock.js'
import type { Act } from './act.js'
import type { VerdictView } from './attest.js'
import type { Enforcement } from './enforcement.js'

export type DeviceState = 'registered' | 'active' | 'revoked'

export interface DeviceView {
  readonly id: DeviceId
  readonly state: DeviceState
  readonly profile: ProfileName
  readonly labels: Labels
  readonly anchors: readonly Anchor[]
  readonly online: boolean
  readonly instances: readonly InstanceView[]
  /** Where its PCRs were quoted. */
  readonly verdict?: VerdictView
  readonly revoked?: {
    readonly at: string
    readonly reason: RevocationReason
    readonly by: OperatorName
    readonly comment?: string
  }
}

export interface InstanceView {
  readonly id: InstanceId
  readonly certificates: readonly CertificateView[]
}

export interface CertificateView {
  readonly serial: CertificateSerial
  readonly fingerprint: Fingerprint
  readonly state: 'pending' | 'current' | 'previous' | 'superseded' | 'revoked'
  readonly tier: Tier
  /** The key that signed it, as an authority key identifier; absent where that was not kept yet. */
  readonly issuer?: KeyIdentifier
  readonly notBefore: string
  readonly notAfter: string
  /** An operator wants it replaced; only where that is so. */
  readonly rotate?: true
}

export interface RegisterDeviceRequest extends Act {
  readonly id: DeviceId
  readonly profile?: ProfileName
  readonly labels?: Labels
  /** SHA-256 of the EK's DER SubjectPublicKeyInfo. */
  readonly ekHash: Fingerprint
}

export interface RotateRequest extends Act {
  /** Anything but addresses: which device comes from one is not known before. */
  readonly target: LockTarget
  /** Only count them. */
  readonly dryRun?: boolean
}

export interface RotateAnswer {
  readonly dryRun: boolean
  /** Devices that are told to renew, when they ask next. */
  readonly devices: number
}

export interface RevokeRequest extends Act {
  readonly reason: RevocationReason
}

export interface RevokeAnswer extends Enforcement {
  readonly device: DeviceId
}
