import type { CertificateAuthority } from '#ca'
import type { AuditTrail, TrustDomain } from '#protocol'
import type { Registry } from '#registry'
import type { Approvals } from './approvals/approvals.js'
import type { EntranceOptions } from './approvals/entrance.js'
import type { LimitOptions } from './limits.js'
import type { EkMaker, Maker } from './maker.js'
import type { OidcOptions } from './oidc/oidc-joins.js'
import type { PcrPolicyFor } from './pcr-policy/policy.js'
import type { VerdictsOptions } from './pcr-policy/verdicts.js'
import type { EnrollmentProfile } from './profile.js'
import type { OpenVerifier } from './verifier/verifier.js'

export interface EnrollmentOptions {
  readonly trustDomain: TrustDomain
  /** All changes go through it; the registry is only asked here. */
  readonly ca: Pick<CertificateAuthority, 'issue' | 'issueRun' | 'renew' | 'chain' | 'root' | 'signers'>
  readonly registry: Pick<
    Registry,
    | 'requireToken'
    | 'certificate'
    | 'instance'
    | 'attestation'
    | 'recordAttestation'
    | 'admit'
    | 'ownerOf'
    | 'locks'
    | 'runs'
  >
  readonly audit: AuditTrail
  readonly profiles: readonly EnrollmentProfile[]
  /** Who waits for an operator. */
  readonly approvals: Approvals
  readonly lockTpm: EntranceOptions['lockTpm']
  /** The manufacturers of TPMs that are trusted here. */
  readonly ekMakers: readonly EkMaker[]
  /** The manufacturers whose IDevIDs profiles may trust. Default: none. */
  readonly idevidMakers?: readonly Maker[]
  /** Where the asymmetric work is done. Default: in this thread */
  readonly openVerifier?: OpenVerifier
  /** Default: no policy holds for any profile. */
  readonly pcrPolicyFor?: PcrPolicyFor
  readonly keepEventLog?: VerdictsOptions['keepEventLog']
  readonly quarantine?: VerdictsOptions['quarantine']
  /** Default: no CI is taken at its word. */
  readonly oidc?: OidcOptions
  /** 32 bytes under which challenges are sealed; nodes that answer each other's devices share it. */
  readonly cookieKey: Uint8Array
  /** Where enrolled devices connect. */
  readonly broker: { readonly mqtts: string; readonly wss?: string }
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Default: the system's. */
  readonly random?: (bytes: number) => Uint8Array
  readonly limits?: LimitOptions
}
