import type { Anchor, ChannelBinding, DenyReason, Labels, RevocationReason, Tier, TopicAction } from './identity.js'
import type { CertificateSerial, DeviceId, Fingerprint, InstanceId, OperatorName, ProfileName, TokenId } from './ids.js'
import type { LockId, LockMode } from './lock.js'

/*
 * What the audit log says. Every event names its kind in `event`; values are text, whole numbers, bytes, booleans,
 * lists of text and maps of text, so that one table encodes them all. Times inside events are milliseconds since 1970.
 *
 * Events of the first group change the registry and carry all that is needed to do so again: the registry's state is
 * what these events make of an empty one, and after a crash it catches up by reading them.
 */

/** One certificate as it was issued; with its DER, so that the log names every certificate that can open anything. */
export interface CertificateFacts {
  readonly fingerprint: Fingerprint
  readonly serial: CertificateSerial
  readonly spkiHash: Fingerprint
  readonly tier: Tier
  readonly notBefore: number
  readonly notAfter: number
  readonly certificate: Uint8Array
}

/** What an operator did carries who, from where, and why. */
export interface OperatorFacts {
  readonly operator: OperatorName
  /** Of the certificate that was shown; absent for what the service does by itself. */
  readonly fingerprint?: Fingerprint
  readonly peer?: string
  /** The operator's own words. */
  readonly comment?: string
}

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
      readonly akName?: Uint8Array
      readonly resetCount?: number
      readonly restartCount?: number
      readonly clock?: number
      readonly safe?: boolean
      readonly firmware?: string
      readonly reported?: Labels
      readonly peer?: string
    })
  | (CertificateFacts & {
      /** A new pending certificate for an instance that showed its current, pending or previous one. */
      readonly event: 'device.renew'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly presentedSerial: CertificateSerial
      readonly peer?: string
    })
  | {
      /** First use of a pending certificate: it becomes current, the current one previous. */
      readonly event: 'device.promote'
      readonly device: DeviceId
      readonly instance: InstanceId
      readonly serial: CertificateSerial
      readonly fingerprint: Fingerprint
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
  | (OperatorFacts & { readonly event: 'lock.remove'; readonly lock: LockId; readonly revision: number })
  | {
      /** Its time was over. */
      readonly event: 'lock.expire'
      readonly lock: LockId
      readonly revision: number
    }
  | (CertificateOfOperator & { readonly event: 'operator.issue' })

/** An operator's or service's own certificate; admitted by fingerprint like those of devices. */
export interface CertificateOfOperator {
  readonly operator: OperatorName
  readonly fingerprint: Fingerprint
  readonly serial: CertificateSerial
  readonly notBefore: number
  readonly notAfter: number
  readonly certificate: Uint8Array
}

/** A session's name is so many random bytes: it stands in each of its records, and yet it never comes twice. */
export const sessionNameBytes = 10

/** What every record of an MQTT session says about where it belongs. */
export interface SessionFacts {
  readonly device: DeviceId
  /** Of {@link sessionNameBytes}, as lowercase hex. */
  readonly session: string
  /** Position within the session, from 0, without gaps. */
  readonly sessionIndex: number
}

export type SessionEndReason =
  | 'client' //         DISCONNECT
  | 'lost' //           the socket closed without one
  | 'protocol_error'
  | 'keep_alive'
  | 'taken_over'
  | 'denied' //         onDenyPublish: disconnect
  | 'revoked'
  | 'locked' //         kept out until an operator lets it in again
  | 'superseded' //     the device has joined anew, and used what it got
  | 'kicked' //         by an operator; the device may come back
  | 'expired' //        the certificate's notAfter
  | 'quota'
  | 'slow'
  | 'shutdown'
  | 'internal'

/** Why a message that was accepted does not reach a session. */
export type DropReason =
  | 'queue_full'
  | 'expired' //    by the publisher's message expiry interval, or because it waited longer than anything may
  | 'too_large' //  for the maximum packet size that the client has asked for
  | 'revoked' //    its publisher was
  | 'locked' //     its publisher was
  | 'forgotten' //  an operator ended the session
  | 'policy'

export type SessionEvent =
  | (SessionFacts & {
      readonly event: 'session.connect'
      readonly clientId: string
      readonly serial: CertificateSerial
      readonly clean: boolean
      readonly sessionPresent: boolean
      readonly keepAliveSeconds: number
      readonly policyVersion: number
      readonly peer: string
      /** 4 for MQTT 3.1.1, 5 for MQTT 5. */
      readonly protocolLevel: number
    })
  | (SessionFacts & { readonly event: 'session.end'; readonly reason: SessionEndReason; readonly comment?: string })
  | {
      /** A connection that never became a session; `device` only where a certificate proved it. One record per source, reason and 10 s. */
      readonly event: 'session.refuse'
      readonly device?: DeviceId
      readonly clientId?: string
      readonly serial?: CertificateSerial
      readonly reason: string
      readonly comment?: string
      readonly peer: string
      readonly count: number
    }
  | (SessionFacts &
      TopicDecisionFacts & {
        readonly event: 'message.subscribe'
        /** The granted QoS; absent when refused. */
        readonly qos?: number | undefined
      })
  | (SessionFacts & { readonly event: 'message.unsubscribe'; readonly topic: string })
  | (SessionFacts &
      TopicDecisionFacts & {
        readonly event: 'message.publish'
        readonly action: Extract<TopicAction, 'publish' | 'will'>
        readonly qos: number
        readonly retain: boolean
        readonly dup: boolean
        readonly messageId?: number | undefined
        readonly size: number
        /** How many sessions the message was routed to. */
        readonly recipients: number
        /**
         * The log's own work, see `AuditTrail.append`: SHA-256 by which anyone who is shown the payload and one
         * blinding value can tell that it is this one.
         */
        readonly payloadCommitment?: Uint8Array
      })
  | (SessionFacts &
      TopicDecisionFacts & {
        /**
         * A message handed to a session's socket, or withheld there by policy; `publisher` and `origin` name its
         * message.publish record. Both are absent for statistics, which the service itself publishes.
         */
        readonly event: 'message.deliver'
        readonly qos: number
        readonly retain: boolean
        readonly dup: boolean
        readonly messageId?: number | undefined
        readonly size: number
        readonly publisher?: DeviceId | undefined
        readonly origin?: number | undefined
      })
  | (SessionFacts & {
      /** Messages that a session's full queue, its age limit or its end cost it. */
      readonly event: 'message.drop'
      readonly reason: DropReason
      readonly count: number
    })
  | (OperatorFacts & {
      /** An operator is about to end a session's connection, or with `forget` the session with all that waits for it. */
      readonly event: 'session.kick'
      readonly device: DeviceId
      readonly session: string
      readonly clientId: string
      readonly forget: boolean
    })

/**
 * Refusals alike are counted: the first is a record of its own, the others of the same session, reason, topic and 10 s
 * are one more with their number in `count`, and all else as in the first.
 */
export interface TopicDecisionFacts {
  /** Empty where refusals of a device are counted over many topics, because there are too many to be told apart. */
  readonly topic: string
  readonly decision: 'allow' | 'deny'
  /** Why not; only with `deny`. */
  readonly reason?: DenyReason | 'revoked' | 'locked' | undefined
  readonly rules: readonly string[]
  readonly policyVersion: number
  /** Only with `deny`. Default: 1 */
  readonly count?: number
}

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
      readonly method: 'token' | 'tpm' | 'renew'
      readonly reason: string
      readonly comment?: string
      readonly device?: DeviceId
      readonly token?: TokenId
      readonly anchorHash?: Fingerprint
      readonly serial?: CertificateSerial
      readonly peer: string
      readonly count: number
    }
  | (OperatorFacts & {
      readonly event: 'policy.activate'
      readonly policyVersion: number
      readonly policyHash: Fingerprint
    })
  | (OperatorFacts & {
      readonly event: 'policy.refuse'
      /** The code of what is wrong with the policy, and the same in words. */
      readonly reason: string
      readonly problem: string
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
  | (OperatorFacts & {
      /** An operator is about to destroy the keys of a day's payloads, of one device or of all. */
      readonly event: 'payload.erase'
      /** In UTC, as `2026-11-23`. */
      readonly day: string
      readonly device?: DeviceId
      readonly comment: string
    })
  | {
      readonly event: 'operator.refuse'
      readonly reason: string
      readonly method: string
      readonly peer: string
      readonly fingerprint?: Fingerprint
      readonly count: number
    }

export type AuditEvent = RegistryEvent | SessionEvent | ServiceEvent
export type AuditEventName = AuditEvent['event']

/** An event with its place in the log. */
export type AuditRecord = AuditEvent & {
  /** Position in the log: from 0, without gaps. */
  readonly sequence: number
  /** Milliseconds since 1970 by the server's clock; order is by `sequence`, never by time. */
  readonly time: number
}
