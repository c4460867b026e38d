import { CodedError } from '#protocol'

export type AuditErrorCode =
  | 'AUDIT_CLOSED' //  nothing can be appended any more: the log was closed, or has failed
  | 'AUDIT_FULL' //    the disk has no room, or too much waits for it; nothing was appended
  | 'AUDIT_FAILED' //  this record is not durable and never will be
  | 'AUDIT_CORRUPT' // what is on disk is not what was written; the message names the place
  | 'AUDIT_GONE' //    retention took the record away; its hash is still in the tree
  | 'AUDIT_INVALID' // an entry, proof, checkpoint or key that does not follow its format
  | 'AUDIT_ROLLED_BACK' // a checkpoint of this log that is kept elsewhere is not in it: it was put back, or parted
  | 'AUDIT_UNREACHABLE' // a witness or a place for checkpoints does not answer, or not as it should
  | 'AUDIT_UNWITNESSED' // a witness answered that it does not cosign
  | 'AUDIT_BUSY' //    too many searches run at once
  | 'RECORD_UNKNOWN' // no record has this number, or, in a folder, no checkpoint covers it yet
  | 'RECORD_UNCOVERED' // the record is there, and no checkpoint that covers it has come in time
  | 'PAYLOAD_UNKNOWN' // no such record, it commits to no payload, or the payload was never or is no more stored
  | 'PAYLOAD_ERASED' //  the key is destroyed: nothing can open it again
  | 'QUERY_INVALID' // a question to the log that cannot be understood; the message names the place

export class AuditError extends CodedError<AuditErrorCode> {
  /** The first record that is affected, where one can be named. */
  readonly sequence: number | undefined

  constructor(code: AuditErrorCode, message: string, { sequence, ...options }: AuditErrorOptions = {}) {
    super(code, message, options)
    this.sequence = sequence
  }
}

interface AuditErrorOptions extends ErrorOptions {
  readonly sequence?: number
}
