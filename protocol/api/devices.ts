import type { Anchor, CloneSign, Labels, RevocationReason, Tier } from '../identity.js'
import type {
  CertificateSerial,
  DeviceId,
  Fingerprint,
  InstanceId,
  OperatorName,
  ProfileName,
  KeyIdentifier,
} from '../ids.js'
import type { LockId, LockTarget } from '../lock.js'
import type { Act } from './act.js'
import type { VerdictView } from './attest.js'
import type { Enforcement } from './enforcement.js'

export type DeviceState = 'registered' | 'active' | 'revoked'

/** By what a list of devices goes: ids, or the least first of how long certificates last and when devices were seen; with `-` the most. */
export const deviceOrders = ['id', 'cert', '-cert', 'seen', '-seen'] as const
export type DeviceOrder = (typeof deviceOrders)[number]

/** A part of the devices that a query matches. */
export interface DevicePage {
  readonly devices: readonly DeviceView[]
  /** How many match, on all pages together. */
  readonly count: number
  /** To be given as `after` for the next page; absent on the last one. */
  readonly next?: string
}

export interface DeviceView {
  readonly id: DeviceId
  readonly state: DeviceState
  readonly profile: ProfileName
  readonly labels: Labels
  readonly anchors: readonly Anchor[]
  readonly online: boolean
  /** When there was last a sign of it; now, while it is connected. Absent for one that never came. */
  readonly seen?: string
  /** Kept out for now, or with next to no rights, by a lock. */
  readonly standing?: 'locked' | 'quarantined'
  /** What the machine in use says of itself: model, OS and so on. For people; nothing is decided by it. */
  readonly reported?: Labels
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
  /** Where a second copy of it was found, until the device joins anew. */
  readonly clone?: CloneView
}

export interface CloneView {
  readonly at: string
  readonly sign: CloneSign
  /** Of the certificate that was shown. */
  readonly presentedSerial: CertificateSerial
  readonly peer?: string
  /** That was put on this enrollment then. */
  readonly lock: LockId
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
  /* By what it is to be recognised, one of these: */
  /** SHA-256 of the EK's DER SubjectPublicKeyInfo. */
  readonly ekHash?: Fingerprint
  /** The same of the key in its maker's certificate. */
  readonly idevidSpki?: Fingerprint
  readonly idevidSerial?: IdevidSerial
}

/** By what a maker names a machine of its own: as the server's configuration calls the maker, and as the certificate says. */
export interface IdevidSerial {
  readonly maker: string
  readonly serial: string
}

/** A device whose hardware is known before it arrives, as one of many. */
export interface ExpectedDevice {
  readonly id: DeviceId
  readonly profile?: ProfileName
  readonly labels?: Labels
  readonly anchor: { readonly kind: 'ek' | 'idevid'; readonly hash: Fingerprint }
}

export interface ImportDevicesRequest extends Act {
  readonly devices: readonly ExpectedDevice[]
  /** Only say what it would come to. */
  readonly dryRun?: boolean
  /** Register the others where some cannot be; else none is. */
  readonly skipInvalid?: boolean
}

export interface ImportDevicesAnswer {
  readonly dryRun: boolean
  /** New ones: with `dryRun`, or where one is refused and nothing skipped, those that would be registered. */
  readonly registered: number
  /** Known already, just so. */
  readonly unchanged: number
  readonly refused: readonly RefusedDevice[]
}

export interface RefusedDevice {
  /** Its place in the request, from 0. */
  readonly at: number
  /** What of it. */
  readonly field: 'id' | 'profile' | 'labels' | 'anchor'
  readonly code: string
  readonly problem: string
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
