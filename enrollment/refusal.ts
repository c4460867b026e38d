import type { LockId } from '#protocol'
import { LockedError, RegistryError, type RegistryErrorCode } from '#registry'
import { EnrollmentError, type EnrollmentErrorCode } from './errors.js'

export type JoinMethod = 'token' | 'tpm' | 'idevid' | 'oidc' | 'renew'

type Told = Partial<Record<RegistryErrorCode, EnrollmentErrorCode>>

/**
 * What a machine that joins is told of the registry's refusals. A wrong secret and an unknown token are one answer, and
 * so are all the reasons for which a genuine machine is not ours. What is absent is our own failure and passed on.
 */
const toldAtJoin: Told = {
  TOKEN_UNKNOWN: 'TOKEN_REFUSED',
  TOKEN_MISMATCH: 'TOKEN_REFUSED',
  TOKEN_REVOKED: 'TOKEN_REVOKED', // from here on the secret was proven
  TOKEN_EXPIRED: 'TOKEN_EXPIRED',
  TOKEN_BOUND: 'JOIN_REFUSED', // who has stolen it is not told what for
  TOKEN_SPENT: 'TOKEN_SPENT',
  PROFILE_MISMATCH: 'JOIN_REFUSED',
  NOT_REGISTERED: 'JOIN_REFUSED',
  ID_TAKEN: 'JOIN_REFUSED',
  DEVICE_REVOKED: 'JOIN_REFUSED',
  LOCKED: 'JOIN_REFUSED',
  TPM_HISTORY_BROKEN: 'JOIN_REFUSED', // a virtual one; any other waits for an operator
  EVIDENCE_OVERTAKEN: 'EVIDENCE_OVERTAKEN', // the EK was proven
  RUN_OVER: 'RUN_OVER', // as is whatever a job is told whose token is good
  RUN_FULL: 'RUN_FULL',
}

/** At a renewal the other end has shown a certificate of ours, and may know what became of it. */
const toldAtRenewal: Told = {
  DEVICE_REVOKED: 'DEVICE_REVOKED',
  SUPERSEDED: 'SUPERSEDED',
  CERTIFICATE_EXPIRED: 'CERTIFICATE_EXPIRED',
  NOT_RENEWABLE: 'NOT_RENEWABLE',
  KEY_NOT_CERTIFIED: 'KEY_NOT_CERTIFIED',
  TPM_HISTORY_BROKEN: 'TPM_HISTORY_BROKEN',
  EVIDENCE_OVERTAKEN: 'EVIDENCE_OVERTAKEN',
  CLONE_SUSPECTED: 'RENEWAL_REFUSED',
  LOCKED: 'RENEWAL_REFUSED',
  UNKNOWN_CERTIFICATE: 'RENEWAL_REFUSED',
}

/** Where the code alone does not say what to do. */
const sentences: Partial<Record<EnrollmentErrorCode, string>> = {
  NOT_RENEWABLE: 'a simulated device lives as long as its run and is not renewed: begin a new run with a new token',
}

/** A refusal twice: as the audit log has it, and as the other end hears it. */
export interface Refusal {
  readonly reason: string
  readonly comment: string
  /** Which lock it was, where it was one. */
  readonly lock?: LockId
  readonly told: EnrollmentError
}

/** Undefined for what is no refusal but a failure of ours. */
export function refusalOf(error: unknown, method: JoinMethod): Refusal | undefined {
  if (error instanceof EnrollmentError) return { reason: error.code, comment: error.message, told: error }
  if (!(error instanceof RegistryError)) return undefined
  const code = (method === 'renew' ? toldAtRenewal : toldAtJoin)[error.code]
  if (code === undefined) return undefined
  const told = new EnrollmentError(code, sentences[code] ?? sentenceFor(method))
  const lock = error instanceof LockedError && error.lock !== 'unknown' && { lock: error.lock }
  return { reason: error.code, comment: error.message, ...lock, told }
}

function sentenceFor(method: JoinMethod): string {
  return method === 'renew' ? 'this certificate is not renewed' : 'this join is refused'
}
