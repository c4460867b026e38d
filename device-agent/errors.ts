import { CodedError } from '#protocol'

/** What can go wrong on the device; `touchmark-agent` turns each into one exit code (exit-codes.ts). */
export type AgentErrorCode =
  // what was asked for
  | 'USAGE'
  | 'NOT_ENROLLED'
  | 'ALREADY_ENROLLED'
  // what the device is told beforehand
  | 'SETTINGS_INVALID'
  | 'SETTINGS_UNSAFE' //      somebody else could change them
  | 'SOURCES_DISAGREE' //     two of them say different things
  // the state folder
  | 'STATE_FAILED' //         the disk refused
  | 'STATE_INVALID' //        a file does not hold what the agent wrote there
  | 'STATE_LOCKED' //         another agent works in this folder
  // the way to the service
  | 'UNREACHABLE'
  | 'TIMED_OUT'
  | 'SERVER_UNTRUSTED' //     no pin or anchor in its chain, a wrong name, a bad signature
  | 'SERVER_EXPIRED' //       the chain is right but not valid at the time that the agent believes in
  | 'CERTIFICATE_REFUSED' //  the server ended the handshake: it does not take the device's certificate
  | 'CONNECTION_LOST'
  // what the service answered
  | 'ANSWER_INVALID'
  | 'ANSWER_TOO_LARGE'
  | 'REFUSED' //              it said no, and `refusal` says why
  | 'BROKER_REFUSED'
  | 'SESSION_ENDED' //        the broker ended the session because of what this device is or did
  // the device's own means
  | 'BINDING_UNAVAILABLE'
  | 'KEY_UNAVAILABLE'
  | 'QUEUE_FULL' //           more messages wait for the service than may
  | 'BRIDGE_FAILED' //        programs of this device cannot be let in where they were to be
  | 'HOOK_FAILED'
  | 'OUTPUT_FAILED'
  | 'CHECK_FAILED' //         `doctor` found what must be mended

/** A problem answer of the service (RFC 9457), with its stable code. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly retryAfterSeconds?: number
}

export class AgentError extends CodedError<AgentErrorCode> {
  /** Only with REFUSED. */
  readonly refusal?: Refusal

  constructor(code: AgentErrorCode, message: string, options: ErrorOptions & { readonly refusal?: Refusal } = {}) {
    super(code, message, options)
    if (options.refusal !== undefined) this.refusal = options.refusal
  }
}
