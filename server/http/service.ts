import type { PayloadArchive } from '#audit'
import type { Approvals } from '#enrollment'
import type {
  AuditCheckpoint,
  AuditRecord,
  AuditTrail,
  DeviceId,
  Fingerprint,
  JoinAnswer,
  JoinNonce,
  JoinTerms,
  LockId,
  OidcJoinAnswer,
  OidcJoinRequest,
  OperatorFacts,
  ProfileName,
  RenewalInfo,
  RenewRequest,
  RotateKeyAnswer,
  RotateKeyRequest,
  SessionView,
  StatusView,
  TokenId,
  TokenJoinRequest,
  TpmActivateRequest,
  TpmChallenge,
  TpmJoinRequest,
} from '#protocol'
import type { Kicked } from '#broker'
import type { CsrReading } from '#enrollment'
import type { Registry } from '#registry'
import type { Attesting } from '../attesting.js'
import type { AuditReads } from '../audit-reads.js'
import type { Discovery } from '../discovery/discovery.js'
import type { People } from '../people.js'
import type { Inventory } from '../inventory/inventory.js'
import type { PolicyStudy } from '../policy-study.js'
import type { PolicyInForce } from '../policy-in-force.js'
import type { AuditReader, AuditSearch } from './audit-search.js'
import type { OpenRequests } from './open-requests.js'
import type { OperatorGate } from './operators.js'

/** The other end of a connection, as far as a join is bound to it. */
export interface Channel {
  readonly peer: string
  readonly exporter?: Uint8Array
  /** Milliseconds since 1970: when the connection was made. */
  readonly since?: number
}

/** The rules of joining, without their transport. */
export interface Enrollment {
  createNonce(): JoinNonce
  termsOf(profile: ProfileName): JoinTerms
  joinWithToken(bearer: string, request: TokenJoinRequest, channel: Channel, reading?: CsrReading): Promise<JoinAnswer>
  joinWithIdevid(
    chain: readonly Uint8Array[],
    request: { readonly profile: ProfileName; readonly csr: Uint8Array },
    channel: Channel,
    reading?: CsrReading,
  ): Promise<JoinAnswer>
  beginTpmJoin(request: TpmJoinRequest, channel: Channel): Promise<TpmChallenge>
  activateTpmJoin(request: TpmActivateRequest, channel: Channel): Promise<JoinAnswer>
  /** Whether a CI is taken at its word. */
  readonly takesJobs: boolean
  joinWithOidc(request: OidcJoinRequest, channel: Channel): Promise<OidcJoinAnswer>
  renew(peerDer: Uint8Array, request: RenewRequest, channel: Channel, reading?: CsrReading): Promise<JoinAnswer>
  renewalInfo(peerDer: Uint8Array, id: string, channel: Channel): Promise<RenewalInfo>
  /** A request that could not be read, for the record. */
  turnAway(method: 'token' | 'tpm' | 'oidc' | 'renew', reason: string, channel: Channel): void
}

/** What the HTTP faces ask of the rooms; `wire.ts` answers it. */
export interface Service {
  readonly registry: Registry
  readonly policy: PolicyInForce
  readonly enrollment: Enrollment
  readonly approvals: Approvals
  readonly attesting: Attesting
  readonly audit: AuditTrail
  readonly auditReads: AuditReads
  readonly operators: OperatorGate
  readonly people: People
  /** By which the service is known. */
  readonly rootPem: () => string
  /** DER of all CAs between a device's certificate and the root, and the root. */
  readonly authorities: () => readonly Uint8Array[]
  readonly requests: OpenRequests
  readonly inventory: Inventory
  readonly discovery: Discovery
  readonly sessions: () => readonly SessionView[]
  /** Ends a session's connection, with `forget` the session; undefined when there is no such session. */
  readonly kick: (clientId: string, how: { readonly forget: boolean }) => Kicked | undefined
  readonly createLockId: () => LockId
  /** NDJSON, in pieces of whole lines. */
  readonly searchAudit: (search: AuditSearch, reader: AuditReader) => AsyncIterable<Uint8Array | string>
  /** All that is to be known of what a policy did, for one who reads it. */
  readonly studyPolicy: (reader: AuditReader) => PolicyStudy
  readonly checkpoint: () => AuditCheckpoint
  readonly rotateAuditKey: (request: RotateKeyRequest, by: OperatorFacts) => Promise<RotateKeyAnswer>
  /** Undefined where there is none. */
  readonly recordAt: (sequence: number) => Promise<AuditRecord | undefined>
  readonly proveRecord: (sequence: number) => Promise<string>
  readonly payloads: PayloadArchive
  /** Destroys keys; resolves with how many there were. */
  readonly erasePayloadKeys: (keys: { readonly day: number; readonly device?: DeviceId | undefined }) => Promise<number>
  /** To be read to its end, or returned. */
  readonly takeBackup: (by: OperatorFacts) => AsyncGenerator<Uint8Array, void>
  readonly status: () => StatusView
  readonly createJoinToken: () => { readonly id: TokenId; readonly token: string; readonly secretHash: Fingerprint }
  readonly joinUri: (profile: ProfileName) => string
  readonly now: () => number
}
