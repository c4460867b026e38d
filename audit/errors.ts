import { CodedError } from '#protocol'

export type AuditErrorCode =
  | 'AUDIT_CLOSED' //  nothing can be appended any more: the log was closed, or has failed
  | 'AUDIT_FAILED' //  this record is not durable and never will be
  | 'AUDIT_CORRUPT' // what is on disk is not what was written; the message names the place
  | 'AUDIT_INVALID' // an entry, proof, checkpoint or key that does not follow its format

export class AuditError extends CodedError<AuditErrorCode> {}
