import type { ApprovalReason } from '../api/approvals.js'
import type { PcrPolicyMode } from '../attestation.js'
import type { Anchor, Tier } from '../identity.js'
import type { CertificateSerial, DeviceId, Fingerprint, OperatorName, ProfileName, TokenId } from '../ids.js'
import type { LockId } from '../lock.js'
import type { OperatorFacts } from './operator-facts.js'

/* What the service did or found, and whom it turned away; nothing here changes the registry. */

/** All of them were older than is kept, or records took more room than they may. */
export type RetentionReason = 'age' | 'size'

export type ServiceEvent =
  | {
      readonly event: 'server.start'
      /** Host name of the server. Other records do not say it: a log is written by one, and its origin names the log. */
      readonly node: string
      readonly version: string
      readonly runtime: string
      /** The newest of the keys that sign checkpoints from here on. */
      readonly verifierKey?: string
    }
  | { readonly event: 'server.stop' }
  | {
      /** A broker has ended what a change of who is kept out is on: nothing of it is delivered behind this record. */
      readonly event: 'lock.applied'
      readonly node: string
      readonly revision: number
      /** Connections that were ended. */
      readonly sessions: number
      /** Queued and retained messages that were removed. */
      readonly purged: number
    }
  | {
      /** From here on a device has no role but the one for quarantine, because of a lock; its sessions go on. */
      readonly event: 'device.quarantine'
      readonly device: DeviceId
      readonly lock: LockId
      readonly revision: number
    }
  | {
      /** A device is no longer in quarantine, and has its own roles again. */
      readonly event: 'device.release'
      readonly device: DeviceId
      readonly revision: number
    }
  | {
      /** Stored rows of a session, or a retained message, that could not be read and were put aside. */
      readonly event: 'store.quarantine'
      readonly clientId?: string
      readonly comment: string
      readonly count: number
    }
  | { readonly event: 'log.recovery'; readonly comment: string; readonly cutBytes: number }
  | { readonly event: 'log.failover'; readonly comment: string }
  | (OperatorFacts & {
      /** A new key signs checkpoints from here on, and until `notAfter` the one before it as well. */
      readonly event: 'log.key_rotate'
      readonly verifierKey: string
      readonly previousVerifierKey: string
      readonly notAfter: number
    })
  | { /** A key signs no checkpoint any more. */ readonly event: 'log.key_retire'; readonly verifierKey: string }
  | {
      /** Records that could not be written, in the mode `bestEffort` only: how many, and when the first and the last. */
      readonly event: 'audit.gap'
      readonly from: number
      readonly to: number
      readonly count: number
    }
  | {
      /** A witness does not cosign this log: `rolled_back` when it shows a checkpoint of ours that the log does not contain. */
      readonly event: 'witness.refuse'
      readonly witness: string
      readonly reason: 'rolled_back' | 'refused'
      readonly comment: string
      /** What it had cosigned before, as far as is known here. */
      readonly treeSize?: number
    }
  | {
      /** Records from the former minimum index up to, and not with, the new one are about to be removed; their hashes stay. */
      readonly event: 'log.retention'
      readonly formerMinimumIndex: number
      readonly minimumIndex: number
      readonly reason: RetentionReason
    }
  | {
      readonly event: 'ca.create'
      readonly subject: string
      readonly fingerprint: Fingerprint
      readonly certificate: Uint8Array
    }
  | {
      /** A join or renewal that was turned away; counted per source, reason and 10 s. */
      readonly event: 'join.refuse'
      readonly method: 'token' | 'tpm' | 'idevid' | 'oidc' | 'renew'
      readonly reason: string
      readonly comment?: string
      readonly device?: DeviceId
      readonly token?: TokenId
      readonly anchorHash?: Fingerprint
      readonly serial?: CertificateSerial
      /** Of the reason `LOCKED`: by which. Whom it keeps out is not told. */
      readonly lock?: LockId
      readonly peer: string
      readonly count: number
    }
  | {
      /** A genuine machine waits for an operator's word: once, and not at each of its tries. */
      readonly event: 'join.pending'
      readonly method: 'tpm' | 'idevid'
      readonly reason: ApprovalReason
      readonly profile: ProfileName
      readonly anchorKind: Anchor['kind']
      readonly anchorHash: Fingerprint
      readonly tier: Tier
      readonly maker?: string
      readonly hardwareSerial?: string
      readonly device?: DeviceId
      readonly peer: string
    }
  | (OperatorFacts & {
      /** An operator lets a known device go on after its TPM was reset, with the key that it asked with. */
      readonly event: 'join.approve'
      readonly reason: 'tpm_reset'
      readonly device: DeviceId
      readonly anchorKind: Anchor['kind']
      readonly anchorHash: Fingerprint
      readonly spkiHash: Fingerprint
    })
  | (OperatorFacts & {
      /** An operator has a machine refused that waits; it may ask anew from `notAfter` on. */
      readonly event: 'join.deny'
      readonly reason: ApprovalReason
      readonly anchorKind: Anchor['kind']
      readonly anchorHash: Fingerprint
      readonly device?: DeviceId
      readonly notAfter: number
    })
  | (OperatorFacts & {
      readonly event: 'policy.activate'
      readonly policyVersion: number
      readonly policyHash: Fingerprint
      /** The earlier version that says the same and is put back. */
      readonly restores?: number
    })
  | (OperatorFacts & {
      readonly event: 'policy.refuse'
      /** The code of what is wrong with the policy, and the same in words. */
      readonly reason: string
      readonly problem: string
    })
  | (OperatorFacts & {
      /** From here on devices are judged by this version of a PCR policy. */
      readonly event: 'pcr_policy.apply'
      readonly pcrPolicy: string
      readonly policyVersion: number
      /** SHA-256 of its text. */
      readonly policyHash: Fingerprint
      readonly mode: PcrPolicyMode
      /** From whose quoted values it learned something. */
      readonly device?: DeviceId
    })
  | (OperatorFacts & {
      /** No device is judged by it any more. */
      readonly event: 'pcr_policy.remove'
      readonly pcrPolicy: string
      readonly policyVersion: number
    })
  | {
      readonly event: 'policy.render_error'
      readonly device: DeviceId
      readonly policyVersion: number
      readonly comment: string
    }
  | (OperatorFacts & {
      /** Counted per operator, source and question, wherever in time that begins, within 10 s. */
      readonly event: 'audit.read'
      readonly query: string
      /** Default: 1 */
      readonly count?: number
    })
  | {
      /** A device asked which services of others it may see; what it asks again within 10 s is counted. */
      readonly event: 'services.discover'
      readonly device: DeviceId
      readonly peer: string
      /** As it was asked; absent where several questions are counted, or nothing was answered. */
      readonly query?: string
      /** Why it was refused; absent where it was answered. */
      readonly reason?: string
      readonly policyVersion?: number
      /** Default: 1 */
      readonly count?: number
    }
  | (OperatorFacts & {
      /** An operator is about to destroy the keys of a day's payloads, of one device or of all. */
      readonly event: 'payload.erase'
      /** In UTC, as `2026-11-23`. */
      readonly day: string
      readonly device?: DeviceId
      readonly comment: string
    })
  | (OperatorFacts & {
      /** An operator is about to get a backup: this record, and what was durable before it, is in it. */
      readonly event: 'backup.take'
    })
  | {
      /** Nobody was admitted, or somebody was and may not do what was asked: then `operator` and `act` say who and what. */
      readonly event: 'operator.refuse'
      readonly reason: string
      readonly method: string
      readonly peer: string
      readonly fingerprint?: Fingerprint
      readonly operator?: OperatorName
      readonly act?: string
      /** On which device, where it was about one. */
      readonly device?: DeviceId
      readonly count: number
    }
