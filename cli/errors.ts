import { CodedError } from '#protocol'

export type CliErrorCode =
  | 'USAGE' //              the command line cannot be understood
  | 'NO_CREDENTIAL' //      no operator certificate where one was expected
  | 'BAD_CREDENTIAL' //     files that are no usable certificate and key
  | 'UNREACHABLE' //        nobody answers at the address
  | 'SERVER_NOT_TRUSTED' // whoever answers has no certificate of our root
  | 'BAD_ANSWER' //         the answer is not what this version understands
  | 'CANNOT_READ' //        a file given on the command line
  | 'CSV_INVALID' //        a file of rows that cannot be read as such
  | 'NOT_FOUND' //          what the command line names does not exist
  | 'CANNOT_WRITE' //       a file named on the command line
  | 'INTERRUPTED' //        Ctrl-C ended it before its answer
  | 'DENIED' //             the answer to the question is no
  | 'PARTLY_DONE' //        what was asked for was done, but not all that belongs to it
  | 'PAYLOAD_MISSING' //    what a message said is not stored, so that it cannot be sent again
  | 'BROKER_REFUSED' //     the broker that a session is sent to does not let us in
  | 'CONNECTION_LOST' //    it ended the connection, or answers no more
  | 'OWN_BROKER' //         it is one of the installation whose log this is
  | 'CHECK_FAILED' //       a test or a verification that did not hold

/** What the command line itself finds wrong. */
export class CliError extends CodedError<CliErrorCode> {}

/** A problem document (RFC 9457) that the server answered with; `code` is the server's. */
export class ServerRefusal extends CodedError {
  readonly status: number

  constructor(status: number, code: string, message: string) {
    super(code, message)
    this.status = status
  }
}
