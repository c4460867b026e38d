import type { Anchor, ChannelBinding, CloneSign, Labels, RevocationReason, Tier } from '../identity.js'
import type {
  CertificateSerial,
  DeviceId,
  Fingerprint,
  InstanceId,
  KeyIdentifier,
  OperatorName,
  ProfileName,
  RunName,
  TokenId,
} from '../ids.js'
import type { LockId, LockMode } from '../lock.js'
import type { PcrOutcome, PcrPolicyMode } from '../attestation.js'
import type { OperatorFacts } from './operator-facts.js'

/*
 * Events that change the registry carry all that is needed to do so again: the registry's state is what they make of an
 * empty one, and after a crash it catches up by reading them.
 */

export type RegistryEvent =
  | (OperatorFacts & {
      readonly event: 'token.create'
      readonly token: TokenId
      readonly secretHash: Fingerprint
      readonly profile: ProfileName
      readonly device?: DeviceId
      readonly labels: Labels
      readonly uses: number
      readonly notAfter: number
      readonly ekHash?: Fingerprint
      readonly addresses?: readonly string[]
    })
  | (OperatorFacts & { readonly event: 'token.revoke'; readonly token: TokenId })
  | (OperatorFacts & {
      /** An EK known before its device arrives. */
      readonly event: 'device.register'
      readonly device: DeviceId
      readonly profile: ProfileName
      readonly labels: Labels
      readonly anchorKind: Anchor['kind']
      readonly anchorHash: Fingerprint
    })
  | (OperatorFacts & { readonly event: 'device.label'; readonly device: DeviceId; readonly labels: Labels })
  | (OperatorFacts & {
      /** The certificates that a device holds now are to be replaced, with their keys where those can be. */
      readonly event: 'device.rotate'
      readonly device: DeviceId
      /** What the operator asked it of, as `formatLockTarget` writes it. */
      readonly target: string
    })
  | (CertificateFacts & {
      /** A join succeeded: the device (new or known by its anchor) has a new instance with a pending certificate. */
      readonly event: 'device.enroll'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly profile: ProfileName
      readonly labels: Labels
      readonly anchorKind: Anchor['kind']
      readonly anchorHash: Fingerprint
      readonly binding: ChannelBinding
      readonly token?: TokenId
      /** Whose certificate vouches for the hardware, and the serial number that it gives it. */
      readonly maker?: string
      readonly hardwareSerial?: string
      readonly akName?: Uint8Array
      readonly resetCount?: number
      readonly restartCount?: number
      readonly clock?: number
      readonly safe?: boolean
      readonly firmware?: string
      /** When the TPM was attested; where it was. */
      readonly at?: number
      readonly reported?: Labels
      readonly peer?: string
    })
  | (CertificateFacts & {
      /** A new pending certificate for an instance that showed its current, pending or previous one. */
      readonly event: 'device.renew'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly presentedSerial: CertificateSerial
      /** The unused certificate for another key that it takes the place of; absent where there was none. */
      readonly displaces?: CertificateSerial
      /** Of what it displaces, and of the TPM's attestation: when. Absent where there is neither. */
      readonly at?: number
      /** What evidence or the request itself was bound by, and the TPM as it attested itself; absent where none came. */
      readonly binding?: Exclude<ChannelBinding, 'none'>
      readonly akName?: Uint8Array
      readonly resetCount?: number
      readonly restartCount?: number
      readonly clock?: number
      readonly safe?: boolean
      readonly firmware?: string
      readonly peer?: string
    })
  | {
      /**
       * A CI job showed a token for these keys, which is spent with this: its devices follow, each with a `device.enroll`
       * of its own. What is missing of them behind a crash, the job gets when it asks again.
       */
      readonly event: 'join.oidc'
      readonly run: RunName
      /** Of the token, as it names itself (`iss`), and whom it speaks of (`sub`). */
      readonly issuerUrl: string
      readonly subject: string
      readonly profile: ProfileName
      readonly anchorHash: Fingerprint
      /** Of the token: over its issuer and `jti`, or over all of it that is signed. */
      readonly jobToken: Fingerprint
      /** Until when it could be shown again. */
      readonly tokenNotAfter: number
      readonly keySet: Fingerprint
      /** How many keys these are. */
      readonly count: number
      /** No certificate of them lasts longer. */
      readonly notAfter: number
      readonly at: number
      readonly peer?: string
    }
  | {
      /** The certificates of a run's devices are over; of these devices nothing is kept but this log. */
      readonly event: 'run.forget'
      readonly run: RunName
      /** How many they were. */
      readonly count: number
      readonly at: number
    }
  | {
      /** First use of a pending certificate: it becomes current, the current one previous. */
      readonly event: 'device.promote'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly serial: CertificateSerial
      readonly fingerprint: Fingerprint
      readonly peer?: string
    }
  | {
      /** Two machines hold what one was given: its enrollment was locked, by the lock whose record follows. */
      readonly event: 'device.clone'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly sign: CloneSign
      readonly lock: LockId
      /** Of the certificate that was shown. */
      readonly presentedSerial: CertificateSerial
      /** The key that asked for a certificate. */
      readonly spkiHash: Fingerprint
      /** When the lock began to act; the record follows. */
      readonly at: number
      readonly peer?: string
    }
  | {
      /** At a renewal a machine says something else of itself than before. Nothing is decided by it. */
      readonly event: 'device.report'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly reported: Labels
      readonly peer?: string
    }
  | {
      /** The PCRs of a device were quoted at a join or a renewal, or should have been, and this was made of them. */
      readonly event: 'device.attest'
      readonly device: DeviceId
      readonly instance: InstanceId
      /** By which policy, and which version of it; absent where none held. */
      readonly pcrPolicy?: string
      readonly policyVersion?: number
      readonly mode?: PcrPolicyMode
      readonly outcome: PcrOutcome
      readonly reasons: readonly string[]
      /** Quoted values of the SHA-256 bank in hex, by the register's number. */
      readonly pcrs: Readonly<Record<string, string>>
      /** SHA-256 of the firmware's event log. */
      readonly eventLog?: Fingerprint
      readonly at: number
      readonly peer?: string
    }
  | (OperatorFacts & {
      readonly event: 'device.revoke'
      readonly device: DeviceId
      readonly reason: RevocationReason
      /** When it began to act; the record follows. */
      readonly at: number
      /** Grows by one with every revocation; what a message's publisher was admitted under. */
      readonly epoch: number
      /** The lock of mode `revoke` that it was hit by. */
      readonly lock?: LockId
    })
  | (OperatorFacts & {
      /** From here on, or shortly before, nobody whom it is on is let in. */
      readonly event: 'lock.add'
      readonly lock: LockId
      /** As `formatLockTarget` writes it. */
      readonly target: string
      readonly mode: LockMode
      /** Why; an act like this has a reason. */
      readonly comment: string
      /** When it began to act; the record follows. */
      readonly at: number
      /** When it ends by itself; absent for one that is to be removed. */
      readonly notAfter?: number
      /** Its place among all changes of who is kept out; the same numbers as `epoch`. */
      readonly revision: number
      /** How many known devices it was on when it was made. */
      readonly devices: number
    })
  | {
      /** The service was put back from a backup: what it did after that is known only as far as this log tells. */
      readonly event: 'service.restore'
      /** Records that the backup has, and when it was taken. */
      readonly treeSize: number
      readonly at: number
      /** No change of who is kept out, also none that is not known any more, has had a place as high as this. */
      readonly epoch: number
    }
  | (OperatorFacts & { readonly event: 'lock.remove'; readonly lock: LockId; readonly revision: number })
  | {
      /** Its time was over. */
      readonly event: 'lock.expire'
      readonly lock: LockId
      readonly revision: number
    }
  | (CertificateOfOperator & {
      /** With the invitation that it spends, or the certificate that it follows; with neither, of a new key of the service. */
      readonly event: 'operator.issue'
      readonly invitation?: TokenId
      readonly presentedSerial?: CertificateSerial
      readonly peer?: string
    })
  | (OperatorFacts & {
      /** Whoever holds the secret gets a certificate as `whom`, once. */
      readonly event: 'operator.invite'
      readonly invitation: TokenId
      readonly secretHash: Fingerprint
      readonly whom: OperatorName
      /** How long each certificate of the one invited is to live. */
      readonly ttlSeconds: number
      /** When it was made. */
      readonly at: number
      readonly notAfter: number
    })
  | (OperatorFacts & {
      readonly event: 'operator.revoke'
      readonly whom: OperatorName
      /** The one certificate that it is about; absent for all, and for what invites the operator or others by him. */
      readonly revoked?: Fingerprint
    })

/** One certificate as it was issued; with its DER, so that the log names every certificate that can open anything. */
export interface CertificateFacts {
  /** The key that signed it; absent in what was recorded before this was. */
  readonly issuer?: KeyIdentifier
  readonly fingerprint: Fingerprint
  readonly serial: CertificateSerial
  readonly spkiHash: Fingerprint
  readonly tier: Tier
  readonly notBefore: number
  readonly notAfter: number
  readonly certificate: Uint8Array
}

/** An operator's or service's own certificate; admitted by fingerprint like those of devices. */
export interface CertificateOfOperator {
  readonly operator: OperatorName
  readonly fingerprint: Fingerprint
  readonly serial: CertificateSerial
  readonly notBefore: number
  readonly notAfter: number
  readonly certificate: Uint8Array
}
