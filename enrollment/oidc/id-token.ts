import { createHash } from 'node:crypto'
import { decodeJwt, errors, jwtVerify } from 'jose'
import { type Fingerprint, messageOf, parseFingerprint } from '#protocol'
import { EnrollmentError } from '../errors.js'
import { claimOf, type Claims } from './claims.js'
import type { IssuerKeys } from './issuer-keys.js'
import type { OidcIssuer } from './settings.js'

/** How far our clock and an issuer's may be apart. */
const skewSeconds = 60
/** A token that its issuer lets live longer is good for no longer here, or we had to remember it as long. */
const mostAgeSeconds = 24 * 3600

/** One whose tokens are taken. */
export interface TrustedIssuer {
  readonly issuer: OidcIssuer
  readonly keys: IssuerKeys
}

/** A token whose signature and times are good. Whom it is for, and what for, is yet to be asked. */
export interface VerifiedToken {
  readonly issuer: OidcIssuer
  readonly claims: Claims
  /** By which this token is known again. */
  readonly jobToken: Fingerprint
  /** From then on it is refused anyway; milliseconds since 1970. */
  readonly notAfter: number
}

/**
 * RFC 7519 §7.2, by the keys of the issuer that it names, if that is one of ours. Of its header `alg` and `kid` are looked
 * at and nothing else: what brings a key along, or says where one is, is passed over.
 * @throws EnrollmentError OIDC_ISSUER_UNKNOWN, OIDC_TOKEN_INVALID, OIDC_TOKEN_EXPIRED, OIDC_TOKEN_EARLY, OIDC_KEYS_UNAVAILABLE
 */
export async function verifyIdToken(
  idToken: string,
  issuers: ReadonlyMap<string, TrustedIssuer>,
  now: number,
): Promise<VerifiedToken> {
  const { issuer, keys } = trustedFor(idToken, issuers)
  const claims = await verified(idToken, { issuer, keys }, now)
  const { iat = 0, exp = 0 } = claims
  const notAfter = Math.ceil(Math.min(exp, iat + mostAgeSeconds) + skewSeconds) * 1000 // RFC 7519 §2: fractions are allowed
  return { issuer, claims, jobToken: hashOf(issuer, claims, idToken), notAfter }
}

/** Undefined issuers are refused before anything is asked of anybody. */
function trustedFor(idToken: string, issuers: ReadonlyMap<string, TrustedIssuer>): TrustedIssuer {
  const trusted = issuers.get(namedIssuer(idToken) ?? '')
  if (trusted !== undefined) return trusted
  throw new EnrollmentError('OIDC_ISSUER_UNKNOWN', 'the token is of an issuer that is not trusted here')
}

function namedIssuer(idToken: string): string | undefined {
  try {
    return decodeJwt(idToken).iss
  } catch (cause) {
    throw invalid('it cannot be read', cause)
  }
}

async function verified(idToken: string, { issuer, keys }: TrustedIssuer, now: number) {
  try {
    const { payload } = await jwtVerify(idToken, (header, token) => keys.keyFor(header, token), {
      issuer: issuer.url,
      algorithms: [...issuer.algorithms],
      requiredClaims: ['exp', 'iat'],
      clockTolerance: skewSeconds,
      maxTokenAge: mostAgeSeconds,
      currentDate: new Date(now),
    })
    return payload
  } catch (cause) {
    throw asRefusal(cause)
  }
}

/** A key of the issuer's that is too weak to be used is refused like all else that is not ours. */
function asRefusal(cause: unknown): EnrollmentError {
  if (cause instanceof EnrollmentError) return cause
  if (cause instanceof errors.JWTExpired)
    return new EnrollmentError('OIDC_TOKEN_EXPIRED', 'the token is over', { cause })
  if (cause instanceof errors.JWTClaimValidationFailed && (cause.claim === 'nbf' || cause.claim === 'iat')) {
    return new EnrollmentError('OIDC_TOKEN_EARLY', `the token is not valid yet, or does not say: ${cause.claim}`, {
      cause,
    })
  }
  return invalid(messageOf(cause), cause)
}

/** Over all that is signed where it has no `jti`: the signature itself can be written in more than one way. */
function hashOf({ url }: OidcIssuer, claims: Claims, idToken: string): Fingerprint {
  const signed = idToken.slice(0, idToken.lastIndexOf('.'))
  const jti = claimOf(claims, 'jti')
  const named = jti === undefined || jti === '' ? ['token', signed] : ['jti', jti]
  const text = JSON.stringify(['touchmark job token', url, ...named])
  return parseFingerprint(createHash('sha256').update(text).digest('hex'))
}

function invalid(problem: string, cause: unknown): EnrollmentError {
  return new EnrollmentError('OIDC_TOKEN_INVALID', `not a token of this issuer: ${problem}`, { cause })
}
