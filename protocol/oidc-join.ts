import { type Decoder, integer, list, object, optional, parsed, record, text } from './decode.js'
import { encodeBase64url, decodeHex } from './encoding.js'
import { ProtocolError } from './errors.js'
import {
  type Fingerprint,
  parseDeviceId,
  parseInstanceId,
  parseProfileName,
  parseRunName,
  type ProfileName,
  type TrustDomain,
} from './ids.js'
import { joinLimits, parseTime } from './join.js'

/*
 * How a CI job gets simulated devices on the wire (enrollment spec §4): one request, with a token of the CI's issuer.
 */

/** Bounds on one request; a thousand keys of P-256 come to some 450 kB. */
export const oidcJoinLimits = {
  maxRequestBytes: 1024 * 1024,
  maxAnswerBytes: 4 * 1024 * 1024,
  maxDevices: 1000,
  maxIdTokenLength: 16 * 1024,
  maxCsrLength: Math.ceil((joinLimits.maxCsrBytes * 4) / 3),
} as const

/** What a job says of itself: kept with each of its devices, so there is little room for it. */
const reported = record(text(128), 8)

/** At least one, or there is nothing to ask for. */
const csrs: Decoder<readonly string[]> = (value, path) => {
  const decoded = list(text(oidcJoinLimits.maxCsrLength), oidcJoinLimits.maxDevices)(value, path)
  if (decoded.length > 0) return decoded
  throw new ProtocolError('INVALID_MESSAGE', `${path}: expected at least one CSR`)
}

export type OidcJoinRequest = ReturnType<typeof decodeOidcJoinRequest>
/**
 * Body of `POST /v1/join/oidc`. The CSRs (base64url of DER PKCS#10) stay text: a thousand of them are worth decoding for
 * one whose token is good, and for nobody else.
 */
export const decodeOidcJoinRequest = object({
  profile: parsed(parseProfileName),
  idToken: text(oidcJoinLimits.maxIdTokenLength),
  csrs,
  reported: optional(reported),
})

export type OidcJoinAnswer = ReturnType<typeof decodeOidcJoinAnswer>
/**
 * What it is answered with: a device for each CSR, in their order. The renewal window lies at the end of the
 * certificates, because they are not renewed.
 */
export const decodeOidcJoinAnswer = object({
  run: parsed(parseRunName),
  devices: list(
    object({
      deviceId: parsed(parseDeviceId),
      instanceId: parsed(parseInstanceId),
      certificate: text(16 * 1024),
    }),
    oidcJoinLimits.maxDevices,
  ),
  chain: list(text(16 * 1024), 8),
  trustBundle: object({ sequence: integer(0, Number.MAX_SAFE_INTEGER), certificates: list(text(16 * 1024), 16) }),
  broker: object({ mqtts: text(512), wss: optional(text(512)) }),
  renewal: object({ start: parsed(parseTime), end: parsed(parseTime) }),
  serverTime: parsed(parseTime),
})

/**
 * What a job's token must be made for. It names the keys, so that a token that leaks is of no use for others; `keySet` is
 * SHA-256 over the SHA-256 hashes of their DER SubjectPublicKeyInfos, 32 bytes each, sorted and put together.
 */
export function formatOidcAudience(
  trustDomain: TrustDomain,
  { profile, keySet }: { readonly profile: ProfileName; readonly keySet: Fingerprint },
): string {
  return `touchmark:${trustDomain}:${profile}:${encodeBase64url(decodeHex(keySet))}`
}
