import type { AuditMode } from './audit-trail.js'
import type { Anchor, Decision, Labels, RevocationReason, Tier, TopicAction } from './identity.js'
import type { LockId, LockMode, LockTarget } from './lock.js'
import type { CertificateSerial, DeviceId, Fingerprint, InstanceId, OperatorName, ProfileName, TokenId } from './ids.js'

/*
 * The operators' API: paths, and the JSON that travels on them. The server's schemas and the CLI's calls are both
 * held to these types. Times are ISO 8601 text in UTC.
 */

export const routes = {
  joinNonce: { method: 'POST', path: '/v1/join/nonce' },
  joinToken: { method: 'POST', path: '/v1/join/token' },
  joinTpm: { method: 'POST', path: '/v1/join/tpm' },
  joinTpmActivate: { method: 'POST', path: '/v1/join/tpm/activate' },
  renew: { method: 'POST', path: '/v1/renew' },
  status: { method: 'GET', path: '/v1/status' },
  listDevices: { method: 'GET', path: '/v1/devices' },
  getDevice: { method: 'GET', path: '/v1/devices/:id' },
  registerDevice: { method: 'POST', path: '/v1/devices' },
  labelDevice: { method: 'PUT', path: '/v1/devices/:id/labels' },
  revokeDevice: { method: 'POST', path: '/v1/devices/:id/revoke' },
  listLocks: { method: 'GET', path: '/v1/locks' },
  addLock: { method: 'POST', path: '/v1/locks' },
  removeLock: { method: 'DELETE', path: '/v1/locks/:id' },
  listTokens: { method: 'GET', path: '/v1/tokens' },
  createToken: { method: 'POST', path: '/v1/tokens' },
  revokeToken: { method: 'DELETE', path: '/v1/tokens/:id' },
  listSessions: { method: 'GET', path: '/v1/sessions' },
  kickSession: { method: 'POST', path: '/v1/sessions/:id/kick' },
  getPolicy: { method: 'GET', path: '/v1/policy' },
  applyPolicy: { method: 'PUT', path: '/v1/policy' },
  getPolicySchema: { method: 'GET', path: '/v1/policy/schema' },
  explainPolicy: { method: 'POST', path: '/v1/policy/can' },
  searchAudit: { method: 'GET', path: '/v1/audit' },
  getPayload: { method: 'GET', path: '/v1/audit/payloads/:id' },
  disclosePayload: { method: 'GET', path: '/v1/audit/payloads/:id/disclosure' },
  erasePayloads: { method: 'POST', path: '/v1/audit/payloads/erase' },
  auditCheckpoint: { method: 'GET', path: '/v1/audit/checkpoint' },
  rotateAuditKey: { method: 'POST', path: '/v1/audit/key' },
  auditProof: { method: 'GET', path: '/v1/audit/records/:id/proof' },
} as const satisfies Record<
  string,
  { readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'; readonly path: `/v1/${string}` }
>

export type RouteName = keyof typeof routes

export type DeviceState = 'registered' | 'active' | 'revoked'

export interface DeviceView {
  readonly id: DeviceId
  readonly state: DeviceState
  readonly profile: ProfileName
  readonly labels: Labels
  readonly anchors: readonly Anchor[]
  readonly online: boolean
  readonly instances: readonly InstanceView[]
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
  readonly notBefore: string
  readonly notAfter: string
}

/** An operator's act. */
export interface Act {
  /** Why, for the audit log. */
  readonly comment?: string
}

export interface RegisterDeviceRequest extends Act {
  readonly id: DeviceId
  readonly profile?: ProfileName
  readonly labels?: Labels
  /** SHA-256 of the EK's DER SubjectPublicKeyInfo. */
  readonly ekHash: Fingerprint
}

export interface RevokeRequest extends Act {
  readonly reason: RevocationReason
}

export interface RevokeAnswer {
  readonly device: DeviceId
  /** Sessions that were ended. */
  readonly sessions: number
  /** Queued and retained messages that were removed. */
  readonly purged: number
  /** False when the revocation acts already but the audit log could not record it yet. */
  readonly recorded: boolean
}

/** A lock that acts. */
export interface LockView {
  readonly id: LockId
  readonly target: LockTarget
  readonly mode: LockMode
  readonly reason: string
  readonly by: OperatorName
  readonly at: string
  /** When it ends by itself; absent for one that is to be removed. */
  readonly notAfter?: string
  readonly revision: number
  /** Known devices that it is on now. */
  readonly devices: number
}

export interface LockRequest {
  readonly target: LockTarget
  /** Default: lock */
  readonly mode?: LockMode
  /** At most a year. Default: until it is removed */
  readonly ttlSeconds?: number
  /** Why, for the audit log and for whoever finds the lock. */
  readonly reason: string
  /** Only count what it would be on. */
  readonly dryRun?: boolean
}

export interface LockAnswer {
  /** Absent after a dry run. */
  readonly lock?: LockView
  readonly dryRun: boolean
  /** Known devices that it is on. */
  readonly devices: number
  /** Connections that were ended, or would be. */
  readonly sessions: number
  /** Queued and retained messages that were removed. */
  readonly purged: number
  /** False when the lock acts already but the audit log could not record it yet. */
  readonly recorded: boolean
  /** Brokers that have not reported yet that it acts. */
  readonly outstanding: readonly string[]
}

export interface TokenView {
  readonly id: TokenId
  readonly profile: ProfileName
  readonly state: 'usable' | 'spent' | 'expired' | 'revoked'
  readonly device?: DeviceId
  readonly labels: Labels
  readonly uses: { readonly allowed: number; readonly spent: number }
  readonly notAfter: string
}

export interface CreateTokenRequest extends Act {
  readonly profile?: ProfileName
  /** The only device id that the token can make; without it the server names the device. */
  readonly device?: DeviceId
  readonly labels?: Labels
  /** Default 1. */
  readonly uses?: number
  /** Default 3600, at most 7 days. */
  readonly ttlSeconds?: number
}

export interface CreateTokenAnswer extends TokenView {
  /** `tm1.<id>.<secret>`: shown once, never stored. */
  readonly token: string
  /** Where to join with it. */
  readonly joinUri: string
}

/** One client id: connected, or kept for a client that will come back. */
export interface SessionView {
  readonly session: string
  readonly device: DeviceId
  readonly clientId: string
  readonly connected: boolean
  /** When the connection began, or ended. */
  readonly since: string
  /** Empty for one that is away. */
  readonly peer: string
  /** How it is spoken with; absent for one that is away. */
  readonly protocol?: MqttVersion
  readonly transport?: Transport
  readonly subscriptions: readonly { readonly filter: string; readonly qos: number }[]
  /** Messages a second, over the last seconds. */
  readonly rates: Traffic
  /** Since the connection began: what the device published, and what was handed to it. */
  readonly messages: Traffic
  /** The same in bytes, everything that is said included. */
  readonly bytes: Traffic
  /** Messages that wait or are not acknowledged yet. */
  readonly queued: number
  /** What the waiting ones take to keep. */
  readonly queuedBytes: number
  /** What the device was last not allowed to do, as long as its session is kept. */
  readonly lastRefusal?: Refusal
}

export type MqttVersion = '3.1.1' | '5'
export type Transport = 'tls' | 'websocket'

/** From the device and to it. */
export interface Traffic {
  readonly in: number
  readonly out: number
}

export interface Refusal {
  readonly at: string
  readonly action: TopicAction
  readonly topic: string
  readonly reason: string
}

export interface KickRequest extends Act {
  /** Also what is kept for the session: subscriptions and waiting messages. Default: false */
  readonly forget?: boolean
}

export interface KickAnswer {
  readonly clientId: string
  readonly device: DeviceId
  /** Whether a connection was ended. */
  readonly ended: boolean
  /** Whether the session was forgotten. */
  readonly forgotten: boolean
  /** Waiting messages that went with it. */
  readonly purged: number
}

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

export interface RotateKeyRequest extends Act {
  /** For so long the key before it signs as well. Default 7, at most 365. */
  readonly days?: number
}

/** Verifier keys of C2SP signed-note. */
export interface RotateKeyAnswer {
  readonly verifierKey: string
  readonly previousVerifierKey: string
  /** Until then checkpoints carry the signature of the one before as well. */
  readonly notAfter: string
}

export interface AuditCheckpoint {
  /** The signed note (C2SP tlog-checkpoint). */
  readonly checkpoint: string
  /** The verifier key that checks it (C2SP signed-note). */
  readonly verifierKey: string
}

export interface OutsideCheckpointView {
  readonly size: number
  readonly at: string
}

/** What a third party needs to check a payload against its record; bytes in lowercase hex. */
export interface PayloadDisclosureView {
  readonly sequence: number
  readonly time: string
  readonly device: DeviceId
  readonly topic: string
  /** Of the payload, in bytes. */
  readonly size: number
  readonly payloadCommitment: string
  /** SHA-256(r ‖ u32 length ‖ payload) is the commitment. */
  readonly r: string
}

export interface ErasePayloadsRequest extends Required<Act> {
  /** In UTC, as `2026-11-23`. */
  readonly day: string
  /** Only what this device said. Default: what any did */
  readonly device?: DeviceId
}

export interface ErasePayloadsAnswer {
  readonly day: string
  readonly device?: DeviceId
  /** Keys that were destroyed; a device has more than one when it spoke again after an erasure. */
  readonly keys: number
}

export interface StatusView {
  readonly version: string
  readonly trustDomain: string
  readonly startedAt: string
  readonly devices: Readonly<Record<DeviceState, number>>
  readonly sessions: { readonly connected: number; readonly stored: number }
  readonly audit: {
    readonly mode: AuditMode
    /** The first record that is kept; of those before it only the hashes are. */
    readonly first: number
    readonly size: number
    readonly durable: number
    readonly healthy: boolean
    /** Checkpoints that somebody outside has: what they cover cannot be rewritten unseen. */
    readonly outside: {
      readonly newest?: OutsideCheckpointView
      readonly places: readonly {
        readonly kind: 'witness' | 'published'
        readonly name: string
        readonly newest?: OutsideCheckpointView
        /** Why the last attempt failed. */
        readonly problem?: string
      }[]
    }
  }
  readonly policy: { readonly version: number; readonly hash: Fingerprint }
  readonly issuer: { readonly subject: string; readonly notAfter: string }
}

/** RFC 9457 `application/problem+json`; `code` is stable. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail?: string
}
