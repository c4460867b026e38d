import { type Certificate, publicKeyOf } from './certificate.js'
import { X509Error } from './errors.js'
import { type KeyUsage, readBasicConstraints, readExtKeyUsage, readKeyUsage } from './extensions.js'
import { type KeyKind, kindOf } from './keys.js'
import { checkNameConstraints } from './name-constraints.js'
import { oids } from './oids.js'
import { hasRocaFingerprint } from './roca.js'

/*
 * What each certificate of a path has to be, apart from being signed by the next (RFC 5280 §6.1).
 */

/**
 * What the leaf is about to be used for: to connect as our client, to serve TLS, to be the endorsement key of a TPM, or to
 * show which machine its maker has made.
 */
export type Purpose = 'device' | 'server' | 'ek' | 'idevid'

export interface PathRules {
  /** The moment at which every certificate of the path must be valid. */
  readonly at: Date
  readonly purpose: Purpose
  /** Whether an EK certificate may come without extended key usage, as some makers issue it. Default false. */
  readonly ekUsageOptional?: boolean
  /**
   * Whether a CA whose certificate has expired still vouches for what it signed before: then each certificate has to
   * have been issued while its issuer's was valid, and only the leaf must be valid now. Default false.
   */
  readonly expiredIssuers?: boolean
}

const purposeOids: Readonly<Record<Purpose, string>> = {
  device: oids.clientAuth,
  server: oids.serverAuth,
  ek: oids.ekCertificate,
  idevid: oids.clientAuth,
}

const leafKeys: Readonly<Record<Purpose, readonly KeyKind[]>> = {
  device: ['P-256', 'P-384', 'Ed25519'],
  server: ['P-256', 'P-384', 'Ed25519', 'RSA'],
  ek: ['P-256', 'P-384', 'RSA'],
  idevid: ['P-256', 'P-384', 'RSA'], // IEEE 802.1AR-2018 §9
}

/** @throws X509Error */
export function checkLeaf(leaf: Certificate, rules: PathRules): void {
  checkValidity(leaf, rules.at)
  checkEvery(leaf, rules)
  const kind = kindOf(leaf.spki)
  if (!leafKeys[rules.purpose].includes(kind)) throw new X509Error('KEY_UNSUPPORTED', `a leaf with a ${kind} key`)
  if (isAuthority(leaf)) throw new X509Error('PURPOSE_MISMATCH', 'a CA certificate where a leaf is expected')
  // An IDevID may be for anything (IEEE 802.1AR §8.10); where it says what for, TLS has to be among it.
  const mayLackPurpose = rules.purpose === 'idevid' || (rules.purpose === 'ek' && rules.ekUsageOptional === true)
  if (!mayLackPurpose && !leaf.extensions.has(oids.extKeyUsage)) {
    throw new X509Error('PURPOSE_MISMATCH', `the leaf does not say that it is for ${purposeOids[rules.purpose]}`)
  }
  checkPurpose(leaf, rules.purpose)
  requireKeyUsage(leaf, leafKeyUsage(rules.purpose, kind))
}

/** An EK decrypts (TCG EK Credential Profile §3.2.16); the certificate of a TPM's signing key must not pass for one. */
function leafKeyUsage(purpose: Purpose, kind: KeyKind): KeyUsage {
  if (purpose !== 'ek') return 'digitalSignature'
  return kind === 'RSA' ? 'keyEncipherment' : 'keyAgreement'
}

/** RFC 5280 §6.1.4 (k)–(o), for the certificates below in `path`, leaf first. @throws X509Error */
export function checkIssuer(issuer: Certificate, path: readonly Certificate[], rules: PathRules): void {
  checkValidity(issuer, momentFor(issuer, path, rules))
  checkEvery(issuer, rules)
  if (!isAuthority(issuer)) throw new X509Error('NOT_A_CA', 'an issuer without CA:TRUE')
  requireKeyUsage(issuer, 'keyCertSign')
  checkPurpose(issuer, rules.purpose)
  checkPathLength(issuer, path)
  const constraints = issuer.extensions.get(oids.nameConstraints)
  if (constraints !== undefined) for (const below of path) checkNameConstraints(constraints.der, below)
}

/** When this issuer has to be valid: now, or where expired ones count, when it signed the certificate below it. */
function momentFor(issuer: Certificate, path: readonly Certificate[], rules: PathRules): Date {
  const below = path.at(-1)
  if (rules.expiredIssuers !== true || below === undefined || rules.at <= issuer.notAfter) return rules.at
  return below.notBefore
}

function checkValidity(certificate: Certificate, at: Date): void {
  if (at < certificate.notBefore) throw new X509Error('NOT_YET_VALID', validity(certificate, at))
  if (at > certificate.notAfter) throw new X509Error('EXPIRED', validity(certificate, at))
}

/** What leaf, intermediates and anchor have in common, apart from the time. */
function checkEvery(certificate: Certificate, rules: PathRules): void {
  checkCriticalExtensions(certificate)
  if (kindOf(certificate.spki) !== 'RSA') return
  const publicKey = publicKeyOf(certificate) // not of too few bits, nor of too many
  if (rules.purpose === 'ek' && hasRocaFingerprint(publicKey)) {
    throw new X509Error('KEY_WEAK', 'an RSA key with the ROCA fingerprint (CVE-2017-15361)')
  }
}

/** Policies are accepted unread: nothing here asks for one, so that no path can fail by them (§6.1.5 (g)). */
const understood: ReadonlySet<string> = new Set([
  oids.basicConstraints,
  oids.keyUsage,
  oids.extKeyUsage,
  oids.subjectAltName,
  oids.nameConstraints,
  oids.certificatePolicies,
])

function checkCriticalExtensions(certificate: Certificate): void {
  for (const { oid, critical } of certificate.extensions.values()) {
    if (critical && !understood.has(oid)) {
      throw new X509Error('CRITICAL_EXTENSION_UNKNOWN', `extension ${oid} is critical and not understood`)
    }
  }
}

/** On a CA certificate the extended key usage, where there is one, bounds what the certificates below may be for. */
function checkPurpose(certificate: Certificate, purpose: Purpose): void {
  const extension = certificate.extensions.get(oids.extKeyUsage)
  if (extension === undefined) return
  const purposes = readExtKeyUsage(extension.der)
  if (!purposes.includes(purposeOids[purpose]) && !purposes.includes(oids.anyExtendedKeyUsage)) {
    throw new X509Error('PURPOSE_MISMATCH', `expected the purpose ${purposeOids[purpose]}, got ${purposes.join(', ')}`)
  }
}

function requireKeyUsage(certificate: Certificate, usage: KeyUsage): void {
  const extension = certificate.extensions.get(oids.keyUsage)
  if (extension === undefined || readKeyUsage(extension.der)(usage)) return
  throw new X509Error(usage === 'keyCertSign' ? 'NOT_A_CA' : 'PURPOSE_MISMATCH', `key usage lacks ${usage}`)
}

/** §4.2.1.9: how many intermediates may stand between this CA and the leaf; self-issued ones do not count. */
function checkPathLength(issuer: Certificate, path: readonly Certificate[]): void {
  const extension = issuer.extensions.get(oids.basicConstraints)
  const most = extension && readBasicConstraints(extension.der).pathLength
  const below = path.slice(1).filter((certificate) => Buffer.compare(certificate.subject, certificate.issuer) !== 0)
  if (most !== undefined && below.length > most) {
    throw new X509Error('PATH_LENGTH_EXCEEDED', `expected at most ${most} CAs below, got ${below.length}`)
  }
}

export function isAuthority(certificate: Certificate): boolean {
  const extension = certificate.extensions.get(oids.basicConstraints)
  return extension !== undefined && readBasicConstraints(extension.der).ca
}

function validity({ notBefore, notAfter }: Certificate, at: Date): string {
  return `valid from ${notBefore.toISOString()} to ${notAfter.toISOString()}, asked for ${at.toISOString()}`
}
