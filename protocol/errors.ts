/**
 * The base of every error that leaves a room on purpose. `code` is public and stable; the message is for people
 * and never holds a secret. One subclass per room, each with its own union of codes.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.name = new.target.name
  }
}

/** What was thrown, in words; it need not be an error. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** What was thrown, as an error; it need not be one. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** What can be wrong with text or JSON from outside before any room has looked at its meaning. */
export type ProtocolErrorCode =
  'INVALID_ID' | 'INVALID_MESSAGE' | 'INVALID_JOIN_URI' | 'INVALID_TOPIC' | 'INVALID_ENCODING'

export class ProtocolError extends CodedError<ProtocolErrorCode> {}
