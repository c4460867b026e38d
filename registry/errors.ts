import { CodedError } from '#protocol'

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
  | 'PROFILE_MISMATCH'
  | 'DEVICE_REVOKED'
  | 'ID_TAKEN'
  | 'ANCHOR_TAKEN'
  | 'LABEL_INVALID'
  | 'TOKEN_INVALID'
  | 'CERTIFICATE_EXPIRED'
  | 'SUPERSEDED'
  | 'CLONE_SUSPECTED'
  | 'KEY_NOT_CERTIFIED'
  | 'LOCKED'
  | 'LOCK_INVALID'
  | 'INVITATION_INVALID'
  | 'INVITATION_MISMATCH'
  | 'INVITATION_EXPIRED'
  | 'OPERATOR_LIMIT'
  // what went wrong between the question and the answer
  | 'CONFLICT'
  | 'REGISTRY_FAILED'
  | 'REGISTRY_AHEAD_OF_LOG'
  | 'REGISTRY_CORRUPT'

export class RegistryError extends CodedError<RegistryErrorCode> {}
