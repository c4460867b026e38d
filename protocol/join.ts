import { ProtocolError } from './errors.js'
import { boolean, bytes, type Decoder, integer, list, object, optional, parsed, record, text, word } from './decode.js'
import { parseDeviceId, parseInstanceId, parseProfileName } from './ids.js'

/*
 * Enrollment on the wire: JSON, every binary field base64url without padding. Decoded values are still untrusted claims.
 */

/** Bounds on what one request may make us hold; enough for every real TPM with room to spare. */
export const joinLimits = {
  maxRequestBytes: 256 * 1024,
  maxCsrBytes: 8 * 1024,
  maxCertificateBytes: 8 * 1024,
  maxCertificates: 8,
  maxPublicAreaBytes: 1024,
  maxAttestBytes: 2 * 1024,
  maxSignatureBytes: 1024,
  maxCookieBytes: 4 * 1024,
  maxReportedBytes: 8 * 1024,
  maxEventLogBytes: 128 * 1024,
  nonceBytes: 32,
} as const

/** The label of the TLS exporter that ties a request to its connection (RFC 9266 §4.2). */
export const channelBindingLabel = 'EXPORTER-Channel-Binding'

const facts = record(text(1024), 32)

/** Facts that the device reports about itself: stored as reported, never matched on. Bounded as a whole, since they are kept. */
const reported: typeof facts = (value, path) => {
  const decoded = facts(value, path)
  if (Buffer.byteLength(JSON.stringify(decoded)) > joinLimits.maxReportedBytes) {
    throw new ProtocolError('INVALID_MESSAGE', `${path}: expected at most ${joinLimits.maxReportedBytes} bytes in all`)
  }
  return decoded
}

const publicArea = bytes(joinLimits.maxPublicAreaBytes)
const attestation = object({ attest: bytes(joinLimits.maxAttestBytes), signature: bytes(joinLimits.maxSignatureBytes) })
/** Each index in one spelling only: "7" and "07" would be two values for one PCR. */
const pcrDigests = record(bytes(64), 24, word(...Array.from({ length: 24 }, (_, index) => String(index))))

export type TokenJoinRequest = Decoded<typeof decodeTokenJoinRequest>
/** Body of `POST /v1/join/token`; the token itself comes as `Authorization: Bearer`. */
export const decodeTokenJoinRequest = object({
  profile: optional(parsed(parseProfileName)),
  csr: bytes(joinLimits.maxCsrBytes),
  reported: optional(reported),
})

/** What a TPM says of the key to certify. Public areas are TPMT_PUBLIC, attestations TPMS_ATTEST, signatures TPMT_SIGNATURE. */
const tpmKeyEvidence = {
  binding: word('exporter', 'nonce'),
  nonce: optional(bytes(joinLimits.nonceBytes)),
  akPublic: publicArea,
  keyPublic: publicArea,
  csr: bytes(joinLimits.maxCsrBytes),
  certify: attestation,
  quote: optional(
    object({
      attest: bytes(joinLimits.maxAttestBytes),
      signature: bytes(joinLimits.maxSignatureBytes),
      pcrs: object({ sha256: pcrDigests }),
    }),
  ),
  /** TCG PC Client event log of the firmware, where the service asks for it; see {@link decodeJoinTerms}. */
  eventLog: optional(bytes(joinLimits.maxEventLogBytes)),
} as const
export type TpmKeyEvidence = Decoded<ReturnType<typeof object<typeof tpmKeyEvidence>>>

export type TpmJoinRequest = Decoded<typeof decodeTpmJoinRequest>
/** Body of `POST /v1/join/tpm`. */
export const decodeTpmJoinRequest = object({
  profile: parsed(parseProfileName),
  token: optional(text(256)),
  ekCertificates: optional(list(bytes(joinLimits.maxCertificateBytes), joinLimits.maxCertificates)),
  ekPublic: publicArea,
  ...tpmKeyEvidence,
  reported: optional(reported),
})

export type TpmChallenge = Decoded<typeof decodeTpmChallenge>
/** Answer to `POST /v1/join/tpm`: contents of TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, without the outer size. */
export const decodeTpmChallenge = object({
  cookie: text(joinLimits.maxCookieBytes),
  credentialBlob: bytes(1024),
  encryptedSecret: bytes(1024),
})

export type TpmActivateRequest = Decoded<typeof decodeTpmActivateRequest>
/** Body of `POST /v1/join/tpm/activate`. The event log comes again, because the service kept nothing of it in between. */
export const decodeTpmActivateRequest = object({
  cookie: text(joinLimits.maxCookieBytes),
  secret: bytes(64),
  eventLog: optional(bytes(joinLimits.maxEventLogBytes)),
})

export type JoinTermsRequest = Decoded<typeof decodeJoinTermsRequest>
/** Body of `POST /v1/join/terms`. */
export const decodeJoinTermsRequest = object({ profile: parsed(parseProfileName) })

export type JoinTerms = Decoded<typeof decodeJoinTerms>
/** What a TPM join by a profile is to show beside its keys: PCRs of the SHA-256 bank to quote, and the firmware's log. */
export const decodeJoinTerms = object({ pcrs: list(integer(0, 23), 24), eventLog: boolean })

export type JoinNonce = Decoded<typeof decodeJoinNonce>
/** Answer to `POST /v1/join/nonce`; one use. */
export const decodeJoinNonce = object({ nonce: bytes(joinLimits.nonceBytes), expires: parsed(parseTime) })

export type PlainRenewRequest = Decoded<typeof decodePlainRenewal>
const decodePlainRenewal = object({ csr: bytes(joinLimits.maxCsrBytes), reported: optional(reported) })

export type TpmRenewRequest = Decoded<typeof decodeTpmRenewal>
const decodeTpmRenewal = object({ ...tpmKeyEvidence, reported: optional(reported) })

export type RenewRequest = PlainRenewRequest | TpmRenewRequest
/** Body of `POST /v1/renew`, sent over mTLS with the certificate to be renewed. TPM evidence comes whole or not at all. */
export const decodeRenewRequest: Decoder<RenewRequest> = (value, path) => {
  const hasEvidence = typeof value === 'object' && value !== null && Object.hasOwn(value, 'certify')
  return hasEvidence ? decodeTpmRenewal(value, path) : decodePlainRenewal(value, path)
}

export type JoinAnswer = Decoded<typeof decodeJoinAnswer>
/** What every join and every renewal answers with; times are ISO 8601, certificates PEM. */
export const decodeJoinAnswer = object({
  deviceId: parsed(parseDeviceId),
  instanceId: parsed(parseInstanceId),
  certificate: text(16 * 1024),
  chain: list(text(16 * 1024), 8),
  trustBundle: object({ sequence: integer(0, Number.MAX_SAFE_INTEGER), certificates: list(text(16 * 1024), 16) }),
  broker: object({ mqtts: text(512), wss: optional(text(512)) }),
  renewal: object({ start: parsed(parseTime), end: parsed(parseTime) }),
  serverTime: parsed(parseTime),
})

export type RenewalInfo = Decoded<typeof decodeRenewalInfo>
/** Answer to `GET /v1/renewal-info/:id`, as RFC 9773 §4.2 has it; when to ask again stands in `Retry-After`. */
export const decodeRenewalInfo = object({
  suggestedWindow: object({ start: parsed(parseTime), end: parsed(parseTime) }),
  explanationURL: optional(text(2048)),
})

/** An instant as ISO 8601 in UTC. */
export function parseTime(source: string): Date {
  const time = new Date(source)
  const wellFormed = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(source) && !Number.isNaN(time.getTime())
  // Date reads 30 February as 2 March, and 24:00 as the next day.
  if (!wellFormed || time.toISOString().slice(0, 19) !== source.slice(0, 19)) {
    throw new ProtocolError('INVALID_MESSAGE', 'expected a time such as 2026-01-31T12:00:00Z')
  }
  return time
}

type Decoded<D> = D extends Decoder<infer T> ? T : never
