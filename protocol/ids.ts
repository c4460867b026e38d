import type { Brand } from './brand.js'
import { ProtocolError } from './errors.js'

/** Names one device for its whole life; it outlives every certificate. At most 64 characters, as a certificate's CN. */
export type DeviceId = Brand<string, 'DeviceId'>

/** Names one enrollment of a device: a join with a new key makes a new instance of the same device. */
export type InstanceId = Brand<string, 'InstanceId'>

/** Names a set of rules for enrollment ("default"); part of the join URI. */
export type ProfileName = Brand<string, 'ProfileName'>

/** Names one run of a CI pipeline within an installation: its simulated devices are `sim.<run>.<n>`. */
export type RunName = Brand<string, 'RunName'>

/** The public half of a join token; the secret half is never stored. */
export type TokenId = Brand<string, 'TokenId'>

/** The SPIFFE trust domain of one installation, for example `touchmark.local`. */
export type TrustDomain = Brand<string, 'TrustDomain'>

/** Serial number of a certificate: 32 lowercase hex digits (128 bits). A label only; see {@link Fingerprint}. */
export type CertificateSerial = Brand<string, 'CertificateSerial'>

/** SHA-256 over a certificate's whole DER, or over a DER SubjectPublicKeyInfo: 64 lowercase hex digits. */
export type Fingerprint = Brand<string, 'Fingerprint'>
/** Which key of a CA signed. */
export type KeyIdentifier = Brand<string, 'KeyIdentifier'>

/** What names a person or program that operates the service; stands in the operator certificate. */
export type OperatorName = Brand<string, 'OperatorName'>

const namePattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/

export const maxRunNameLength = 54

/** Whether text can stand for one whole topic level: the pattern of device ids and of label values. */
export function isName(text: string): boolean {
  return namePattern.test(text)
}

/** The only way in: outside text becomes a DeviceId here or not at all. @throws ProtocolError INVALID_ID */
export function parseDeviceId(text: string): DeviceId {
  return parseName(text, 'a device id') as DeviceId
}

/** @throws ProtocolError INVALID_ID */
export function parseInstanceId(text: string): InstanceId {
  return parseName(text, 'an instance id') as InstanceId
}

/** @throws ProtocolError INVALID_ID */
export function parseProfileName(text: string): ProfileName {
  return parseName(text, 'a profile name') as ProfileName
}

/** So many characters leave room for `sim.`, a dot and a number in a device id. @throws ProtocolError INVALID_ID */
export function parseRunName(text: string): RunName {
  if (text.length > maxRunNameLength) throw invalid(text, `a run's name of at most ${maxRunNameLength} characters`)
  return parseName(text, "a run's name") as RunName
}

/** @throws ProtocolError INVALID_ID */
export function parseTokenId(text: string): TokenId {
  return parseName(text, 'a token id') as TokenId
}

/** @throws ProtocolError INVALID_ID */
export function parseOperatorName(text: string): OperatorName {
  return parseName(text, 'an operator name') as OperatorName
}

/** Lowercase letters, digits, dots, dashes and underscores, at most 255 (SPIFFE ID §2.1). @throws ProtocolError INVALID_ID */
export function parseTrustDomain(text: string): TrustDomain {
  if (!/^[a-z0-9._-]{1,255}$/.test(text))
    throw invalid(text, 'a trust domain (lowercase letters, digits, ".", "-", "_")')
  return text as TrustDomain
}

/** @throws ProtocolError INVALID_ID */
export function parseCertificateSerial(text: string): CertificateSerial {
  if (!/^[0-9a-f]{32}$/.test(text)) throw invalid(text, 'a serial number of 32 lowercase hex digits')
  return text as CertificateSerial
}

/** @throws ProtocolError INVALID_ID */
export function parseFingerprint(text: string): Fingerprint {
  if (!/^[0-9a-f]{64}$/.test(text)) throw invalid(text, 'a SHA-256 of 64 lowercase hex digits')
  return text as Fingerprint
}

/** Of a CA's key, as subject and authority key identifiers say it (RFC 5280 §4.2.1.1). @throws ProtocolError INVALID_ID */
export function parseKeyIdentifier(text: string): KeyIdentifier {
  if (!/^[0-9a-f]{40}$/.test(text)) throw invalid(text, 'a key identifier of 40 lowercase hex digits')
  return text as KeyIdentifier
}

/** Text that fits one topic level. @throws ProtocolError INVALID_ID */
export function parseName(text: string, what: string): string {
  if (!isName(text)) throw invalid(text, `${what} (1 to 64 of A-Z a-z 0-9 . _ -, not "." or "..")`)
  return text
}

function invalid(text: string, expected: string): ProtocolError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text
  return new ProtocolError('INVALID_ID', `expected ${expected}, got ${JSON.stringify(shown)}`)
}
