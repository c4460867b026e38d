import type {
  Anchor,
  CertificateFacts,
  CertificateOfOperator,
  CertificateSerial,
  ChannelBinding,
  CloneSign,
  DeviceId,
  Fingerprint,
  InstanceId,
  Labels,
  LockId,
  LockMode,
  LockTarget,
  OperatorName,
  PcrVerdict,
  ProfileName,
  RevocationReason,
  RunName,
  TokenId,
  TpmState,
} from '#protocol'
import type { JobToken, Run } from './runs/run.js'
import { Table } from './table.js'

/** A device that the operator or a join made known; it outlives every instance and certificate. */
export type Device = DeviceFacts &
  (
    | { /** Known, and nothing has joined as it yet. */ readonly state: 'registered' }
    | { readonly state: 'active' }
    | { readonly state: 'revoked'; readonly revocation: Revocation }
  )

export interface DeviceFacts {
  readonly id: DeviceId
  readonly profile: ProfileName
  readonly labels: Labels
  /** Everything it was ever recognised by, oldest first. */
  readonly anchors: readonly Anchor[]
  /** Oldest first; of those that were never used or are over, only the last few. */
  readonly instances: readonly InstanceId[]
}

export interface Revocation {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly reason: RevocationReason
  readonly by: OperatorName
  readonly comment?: string
  readonly epoch: number
}

/** One enrollment of a device: one anchor and one line of certificates. */
export interface Instance {
  readonly id: InstanceId
  readonly device: DeviceId
  readonly profile: ProfileName
  readonly anchor: Anchor
  readonly binding: ChannelBinding
  /** The join token that let it in. */
  readonly token?: TokenId
  /** Whose certificate vouched for the hardware at the join; absent where nobody did, and in what was written before that was noted. */
  readonly maker?: string
  /** The TPM as it was last attested, at the join or a renewal; only for instances whose key lives in one. */
  readonly tpm?: AttestedTpm
  /** What the device said of itself last, at the join or a renewal: shown, never matched on. */
  readonly reported?: Labels
  /** Grows with every promotion: 0 until the first certificate was used. */
  readonly generation: number
  readonly pending?: Fingerprint
  readonly current?: Fingerprint
  readonly previous?: Fingerprint
  /** Its last superseded certificates, oldest first: remembered so that their return is named as what it is. */
  readonly superseded: readonly Fingerprint[]
  /** When a certificate that waited for its first use last had to give way to one for another key. */
  readonly displaced?: Displacement
  /** Where a second copy of it was found, until it joins anew. */
  readonly clone?: FoundClone
}

export interface Displacement {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of the instance, then: while that is the same, none of the two keys has been used. */
  readonly generation: number
}

export interface FoundClone {
  readonly sign: CloneSign
  /** That was put on the instance. */
  readonly lock: LockId
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of the certificate that was shown, and from where. */
  readonly presentedSerial: CertificateSerial
  readonly peer?: string
}

export type CertificateState = 'pending' | 'current' | 'previous' | 'superseded' | 'revoked'

export interface CertificateRecord extends CertificateFacts {
  readonly device: DeviceId
  readonly instance: InstanceId
  readonly state: CertificateState
  /** The first use of a join's certificate ends the device's other instances; that of a renewal's does not. */
  readonly origin: 'join' | 'renewal'
  /** An operator wants it replaced: its renewal window is over, and no key gets it again. */
  readonly rotate?: boolean
}

/** To whom alone a token is of use (spec §1), beside its profile and its device. */
export interface TokenBinding {
  /** SHA-256 of the SubjectPublicKeyInfo of the endorsement key that has to be proven with it. */
  readonly ekHash?: Fingerprint
  /** Addresses and networks, one of which it has to come from: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`. */
  readonly addresses?: readonly string[]
}

export interface Token extends TokenBinding {
  readonly id: TokenId
  readonly secretHash: Fingerprint
  readonly profile: ProfileName
  /** The only device it can make; without it the device is named after its key. */
  readonly device?: DeviceId
  readonly labels: Labels
  readonly uses: { readonly allowed: number; readonly spent: number }
  readonly notAfter: number
  readonly revoked: boolean
}

/** Who may become an operator, or one again, by showing a secret. */
export interface Invitation {
  readonly id: TokenId
  /** SHA-256 of the secret. */
  readonly secretHash: Fingerprint
  readonly whom: OperatorName
  /** How long certificates live that it leads to. */
  readonly ttlSeconds: number
  readonly notAfter: number
  readonly by: OperatorName
}

/** Keeps out whom it is on, until it is removed or its time is over. */
export interface Lock {
  readonly id: LockId
  readonly target: LockTarget
  readonly mode: LockMode
  readonly reason: string
  readonly by: OperatorName
  /** Milliseconds since 1970. */
  readonly at: number
  readonly notAfter?: number
  /** Its place among all changes of who is kept out. */
  readonly revision: number
}

/** What was made of a device's PCRs when they were quoted last. */
export interface Attestation extends PcrVerdict {
  readonly device: DeviceId
  readonly instance: InstanceId
  /** Of the instance, then. */
  readonly generation: number
  /** Milliseconds since 1970. */
  readonly at: number
}

/** A TPM as it was attested, and when; milliseconds since 1970, absent in what was written before that was noted. */
export interface AttestedTpm extends TpmState {
  readonly at?: number
}

/** How an anchor is found again: its kind and hash as one key. */
export type AnchorKey = `${Anchor['kind']}.${string}`

export interface OwnedAnchor extends Anchor {
  readonly device: DeviceId
  /** The TPM as it was last attested, whichever instance that was for: its history goes on from there. */
  readonly tpm?: AttestedTpm
}

export function anchorKey(anchor: Anchor): AnchorKey {
  return `${anchor.kind}.${anchor.hash}`
}

/** Everything the registry knows, in memory. It is what the log's registry events make of an empty one. */
export class RegistryState {
  readonly devices = new Table<DeviceId, Device>()
  readonly instances = new Table<InstanceId, Instance>()
  readonly certificates = new Table<Fingerprint, CertificateRecord>()
  readonly tokens = new Table<TokenId, Token>()
  /** Hardware anchors only: each belongs to one device for good. A token's or a job's anchor names no device. */
  readonly anchors = new Table<AnchorKey, OwnedAnchor>()
  readonly operators = new Table<Fingerprint, CertificateOfOperator>()
  readonly invitations = new Table<TokenId, Invitation>()
  readonly locks = new Table<LockId, Lock>()
  readonly attestations = new Table<DeviceId, Attestation>()
  readonly runs = new Table<RunName, Run>()
  readonly jobTokens = new Table<Fingerprint, JobToken>()
  /** Grows with every change of who is kept out; a message carries the epoch under which its publisher was admitted. */
  epoch = 0
}
