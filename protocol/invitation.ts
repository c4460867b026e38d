import { ProtocolError } from './errors.js'
import { encodeJoinUri, type JoinUri, parseJoinUri } from './join-uri.js'

/** What lets a person become an operator, in one piece of text that is handed over and works once. */
export interface InvitationText {
  /** Where, and by which root key the service is known. */
  readonly uri: JoinUri
  /** `tm1.<id>.<secret>` */
  readonly secret: string
}

/** `touchmark://HOST:PORT/operators?pin=sha256:…#tm1.<id>.<secret>`: in a browser a fragment would not be sent. */
export function encodeInvitation({ uri, secret }: InvitationText): string {
  return `${encodeJoinUri(uri)}#${secret}`
}

/** @throws ProtocolError INVALID_JOIN_URI */
export function parseInvitation(text: string): InvitationText {
  const [, uri, secret] = /^([^#]*)#(tm1\.[A-Za-z0-9._-]{1,256})$/.exec(text) ?? []
  if (uri !== undefined && secret !== undefined) return { uri: parseJoinUri(uri), secret }
  const problem = 'expected an invitation, touchmark://HOST:PORT/operators?pin=sha256:…#tm1.…, in quotes'
  throw new ProtocolError('INVALID_JOIN_URI', problem)
}
