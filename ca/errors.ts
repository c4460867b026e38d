import { CodedError } from '#protocol'

export type CaErrorCode =
  | 'CA_INCOMPLETE' //       files are missing that cannot be made again without becoming another CA
  | 'CA_UNREADABLE' //       a file that is not what it should be
  | 'CA_MISMATCH' //         files that do not belong together, or to this trust domain
  | 'CA_STORAGE_FAILED' //   the disk is full, read-only or failing
  | 'ROOT_KEY_ABSENT' //     only the root can do this, and its key was moved away
  | 'ISSUER_EXPIRED'
  | 'LIFETIME_INVALID'
  | 'HOST_INVALID'

export class CaError extends CodedError<CaErrorCode> {}
