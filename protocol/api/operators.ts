import type { Labels } from '../identity.js'
import type { CertificateSerial, Fingerprint, OperatorName, TokenId } from '../ids.js'
import type { Act } from './act.js'
import type { ActName } from './acts.js'

/** Somebody who may come in now, or is invited to. */
export interface OperatorView {
  readonly operator: OperatorName
  /** What the policy in force lets this operator do. */
  readonly acts: readonly ActName[]
  readonly certificates: readonly OperatorCertificateView[]
  readonly invitations: readonly { readonly id: TokenId; readonly by: OperatorName; readonly notAfter: string }[]
}

export interface OperatorCertificateView {
  readonly fingerprint: Fingerprint
  readonly serial: CertificateSerial
  readonly notBefore: string
  readonly notAfter: string
}

/** Who asks, and what the policy lets him do. */
export interface OwnView {
  readonly operator: OperatorName
  readonly fingerprint: Fingerprint
  readonly notAfter: string
  readonly rules: readonly {
    /** `ROLE/RULE` of the policy file. */
    readonly id: string
    readonly acts: readonly ActName[]
    readonly labels: Labels
    /** Absent for any number. */
    readonly maxDevices?: number
  }[]
}

export interface InviteOperatorRequest extends Act {
  readonly operator: OperatorName
  /** How long each certificate lives. Default and most: as the service is configured */
  readonly ttlSeconds?: number
  /** How long the invitation is good. Default 3600, at most 7 days. */
  readonly validSeconds?: number
}

export interface InviteOperatorAnswer {
  readonly id: TokenId
  readonly operator: OperatorName
  readonly notAfter: string
  /** For `touchmark operators join`: shown once, never stored. */
  readonly invitation: string
}

/** Of one who holds an invitation or a certificate, and keeps the key. */
export interface OperatorCsrRequest {
  /** PKCS#10, base64url of its DER. */
  readonly csr: string
}

export interface OperatorCertificateAnswer {
  readonly operator: OperatorName
  /** PEM. */
  readonly certificate: string
  /** The root by which the service is known; PEM. */
  readonly ca: string
  readonly notAfter: string
}

export interface RevokeOperatorAnswer {
  readonly operator: OperatorName
  /** Certificates that open nothing any more. */
  readonly certificates: number
  readonly invitations: number
  /** False when it acts already but the audit log could not record it yet. */
  readonly recorded: boolean
}
