import { decodeBase64url, decodeHex, encodeBase64url, encodeHex } from './encoding.js'
import { ProtocolError } from './errors.js'
import { type Fingerprint, parseFingerprint, parseProfileName, type ProfileName } from './ids.js'

/** Where and as what a device joins, and by which root key it knows the service: first contact is never blind trust. */
export interface JoinUri {
  readonly host: string
  readonly port: number
  readonly profile: ProfileName
  /** SHA-256 of the root certificate's SubjectPublicKeyInfo; any one of them must be in the served chain. Never empty. */
  readonly pins: readonly Fingerprint[]
}

/**
 * Checked on the text itself: URL would drop line breaks, take `\\` for `/` and skip what stands before an `@`,
 * and so read another host than the person who pasted it.
 */
const shape = /^touchmark:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}\/[^/?#\\]*(\?[!-~]*)?$/

/** `touchmark://HOST:PORT/PROFILE?pin=sha256:<base64url>[&pin=…]` @throws ProtocolError INVALID_JOIN_URI */
export function parseJoinUri(text: string): JoinUri {
  const uri = readUri(text)
  if (!shape.test(text)) throw invalid('host or port is missing or holds something that does not belong there')
  const unknown = [...uri.searchParams.keys()].find((name) => name !== 'pin')
  if (unknown !== undefined) throw invalid(`unknown parameter ${JSON.stringify(unknown)}`)
  if (uri.hash !== '') throw invalid('no fragment belongs here')
  if (uri.port === '0') throw invalid('port 0 is no port')
  const pins = uri.searchParams.getAll('pin').map(parsePin)
  if (pins.length === 0)
    throw invalid('at least one pin is needed (pin=sha256:…), it is how the device knows the service')
  return { host: uri.hostname.replace(/^\[|\]$/g, ''), port: Number(uri.port || 80), profile: readProfile(uri), pins }
}

export function encodeJoinUri(join: JoinUri): string {
  const host = join.host.includes(':') ? `[${join.host}]` : join.host
  const pins = join.pins.map((pin) => `pin=sha256:${encodeBase64url(decodeHex(pin))}`)
  return `touchmark://${host}:${join.port}/${join.profile}?${pins.join('&')}`
}

/** The form in the URI, `sha256:<base64url of 32 bytes>`. @throws ProtocolError INVALID_JOIN_URI */
function parsePin(text: string): Fingerprint {
  const [algorithm, digest, ...rest] = text.split(':')
  if (algorithm !== 'sha256' || digest === undefined || rest.length > 0) throw invalid('a pin reads sha256:<base64url>')
  try {
    return parseFingerprint(encodeHex(decodeBase64url(digest)))
  } catch (cause) {
    throw invalid('a pin is the base64url of 32 bytes', cause)
  }
}

function readUri(text: string): URL {
  if (!text.startsWith('touchmark://')) throw invalid('it begins with touchmark://')
  try {
    // A scheme that URL knows gives a checked host; `ws` with an explicit port keeps every port but 80.
    return new URL(text.replace('touchmark://', 'ws://'))
  } catch (cause) {
    throw invalid('it is not a URI', cause)
  }
}

function readProfile(uri: URL): ProfileName {
  try {
    return parseProfileName(decodeURIComponent(uri.pathname.slice(1)))
  } catch (cause) {
    throw invalid('the path is the name of an enrollment profile', cause)
  }
}

function invalid(problem: string, cause?: unknown): ProtocolError {
  const expected = 'touchmark://HOST:PORT/PROFILE?pin=sha256:…'
  return new ProtocolError('INVALID_JOIN_URI', `expected ${expected}: ${problem}`, cause === undefined ? {} : { cause })
}
