import { decodeCertificate, publicKeyOf } from './certificate.js'
import { X509Error } from './errors.js'
import { isAuthority } from './path-rules.js'

/** What whoever is asked to trust a CA has to know of its certificate. */
export interface AuthorityFacts {
  /** It names itself as its issuer, so it can only be trusted by being named, as a root is. */
  readonly isSelfIssued: boolean
}

/**
 * A CA certificate as {@link verifyPath} can use it: one that cannot be read would never be found on a path.
 * @throws X509Error MALFORMED, TOO_LARGE, KEY_UNSUPPORTED, NOT_A_CA
 */
export function readAuthority(der: Uint8Array): AuthorityFacts {
  const certificate = decodeCertificate(der)
  if (!isAuthority(certificate)) throw new X509Error('NOT_A_CA', 'a certificate without CA:TRUE vouches for nobody')
  publicKeyOf(certificate)
  return { isSelfIssued: Buffer.compare(certificate.subject, certificate.issuer) === 0 }
}
