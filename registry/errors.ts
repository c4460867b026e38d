import { CodedError, type LockId } from '#protocol'

/** Why the registry refused a change, or could not make it. Only the audit log may repeat these to strangers' refusals. */
export type RegistryErrorCode =
  // what the registry does not know
  | 'DEVICE_UNKNOWN'
  | 'TOKEN_UNKNOWN'
  | 'UNKNOWN_CERTIFICATE'
  | 'NOT_REGISTERED'
  | 'LOCK_UNKNOWN'
  | 'INVITATION_UNKNOWN'
  // what it knows, and refuses
  | 'TOKEN_SPENT'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_REVOKED'
  | 'TOKEN_MISMATCH'
  | 'TOKEN_BOUND'
  | 'PROFILE_MISMATCH'
  | 'DEVICE_REVOKED'
  | 'ID_TAKEN'
  | 'ANCHOR_TAKEN'
  | 'LABEL_INVALID'
  | 'TOKEN_INVALID'
  | 'CERTIFICATE_EXPIRED'
  | 'NOT_RENEWABLE'
  | 'SUPERSEDED'
  | 'CLONE_SUSPECTED'
  | 'KEY_NOT_CERTIFIED'
  | 'TPM_HISTORY_BROKEN'
  | 'EVIDENCE_OVERTAKEN'
  | 'RUN_OVER'
  | 'RUN_FULL'
  | 'LOCKED'
  | 'LOCK_INVALID'
  | 'INVITATION_INVALID'
  | 'INVITATION_LIMIT'
  | 'INVITATION_MISMATCH'
  | 'INVITATION_EXPIRED'
  | 'OPERATOR_LIMIT'
  // what went wrong between the question and the answer
  | 'CONFLICT'
  | 'REGISTRY_FAILED'
  | 'REGISTRY_AHEAD_OF_LOG'
  | 'REGISTRY_CORRUPT'

export class RegistryError extends CodedError<RegistryErrorCode> {}

/** Which lock it was is for the audit log, and never for whom it keeps out. */
export class LockedError extends RegistryError {
  readonly lock: LockId | 'unknown'

  constructor(lock: LockId | 'unknown', on: string) {
    super('LOCKED', `lock ${lock} is on ${on}`)
    this.lock = lock
  }
}
