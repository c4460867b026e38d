import { type Certificate, decodeCertificate } from './certificate.js'
import { X509Error } from './errors.js'
import { readAuthorityKeyIdentifier, readBasicConstraints, readExtKeyUsage, readKeyUsage } from './extensions.js'
import { readSubjectKeyIdentifier } from './extensions.js'
import { decodeSpki, type KeyKind } from './keys.js'
import { checkNameConstraints } from './name-constraints.js'
import { oids } from './oids.js'
import { hasRocaFingerprint } from './roca.js'
import { verifySignature } from './signatures.js'

/** What the leaf is about to be used for: to connect as our client, to serve TLS, to be the endorsement key of a TPM. */
export type Purpose = 'device' | 'server' | 'ek'

export interface PathRequest {
  /** All certificates are DER. */
  readonly leaf: Uint8Array
  /** From anyone, in any order; none is trusted for being here. Not to be changed afterwards, like the anchors. */
  readonly intermediates: readonly Uint8Array[]
  /** The only certificates that are trusted by being here; they are held to the rules for a CA all the same. */
  readonly anchors: readonly Uint8Array[]
  /** The moment at which every certificate of the path must be valid. */
  readonly at: Date
  readonly purpose: Purpose
  /** Whether an EK certificate may come without extended key usage, as some makers issue it. Default false. */
  readonly ekUsageOptional?: boolean
}

/** Bounds on the work that a stranger's certificates can ask for; real paths have at most three intermediates. */
export const pathLimits = { maxIntermediatesInPath: 4, maxSignatures: 16 } as const

/**
 * A path from the leaf to an anchor (RFC 5280 §6), leaf first, anchor last. When there is none, the error says what was
 * wrong with the first candidate; ISSUER_UNKNOWN when there was no candidate at all.
 * @throws X509Error
 */
export function verifyPath(request: PathRequest): { readonly path: readonly Uint8Array[] } {
  const leaf = decodeCertificate(request.leaf)
  checkLeaf(leaf, request)
  const path = new PathSearch(request).extend([leaf])
  return { path: path.map((certificate) => certificate.der) }
}

/** Depth first, anchors before intermediates; every signature it checks is counted. */
class PathSearch {
  readonly #request: PathRequest
  readonly #anchors: readonly Certificate[]
  readonly #intermediates: readonly Certificate[]
  #signatures = 0

  constructor(request: PathRequest) {
    this.#request = request
    this.#anchors = request.anchors.map(recall)
    this.#intermediates = request.intermediates.flatMap(recallIfReadable)
  }

  extend(path: readonly [Certificate, ...Certificate[]]): readonly Certificate[] {
    const last = path.at(-1) ?? path[0]
    const problems: X509Error[] = []
    for (const anchor of this.#anchors.filter((candidate) => mayHaveIssued(candidate, last))) {
      try {
        this.#verifyIssued(anchor, path, last)
        return [...path, anchor]
      } catch (error) {
        problems.push(asProblem(error))
      }
    }
    for (const issuer of this.#intermediates.filter((candidate) => mayHaveIssued(candidate, last))) {
      if (path.includes(issuer)) continue
      try {
        if (path.length > pathLimits.maxIntermediatesInPath) throw limit('the path grows too long')
        this.#verifyIssued(issuer, path, last)
        return this.extend([...path, issuer])
      } catch (error) {
        problems.push(asProblem(error))
      }
    }
    throw problems[0] ?? new X509Error('ISSUER_UNKNOWN', 'no anchor and no intermediate has the name of the issuer')
  }

  #verifyIssued(issuer: Certificate, path: readonly Certificate[], last: Certificate): void {
    checkIssuer(issuer, path, this.#request)
    const { publicKey } = decodeSpki(issuer.spki)
    if (++this.#signatures > pathLimits.maxSignatures) throw limit('too many candidates')
    verifySignature(last.signed, publicKey)
  }
}

/** Anchors and intermediates come again with every request, by the hundred; the same bytes are taken apart once. */
const recalled = new WeakMap<Uint8Array, Certificate>()

function recall(der: Uint8Array): Certificate {
  const certificate = recalled.get(der) ?? decodeCertificate(der)
  recalled.set(der, certificate)
  return certificate
}

/** An intermediate that cannot be read leads nowhere; it is no reason to refuse a path that does without it. */
function recallIfReadable(der: Uint8Array): readonly Certificate[] {
  try {
    return [recall(der)]
  } catch (error) {
    asProblem(error)
    return []
  }
}

/** Names byte by byte, as every CA copies them; key identifiers only to tell keys of one name apart (§4.2.1.1). */
function mayHaveIssued(issuer: Certificate, certificate: Certificate): boolean {
  if (Buffer.compare(issuer.subject, certificate.issuer) !== 0) return false
  const wanted = certificate.extensions.get(oids.authorityKeyIdentifier)
  const own = issuer.extensions.get(oids.subjectKeyIdentifier)
  const identifier = wanted && readAuthorityKeyIdentifier(wanted.der)
  return !identifier || !own || Buffer.compare(identifier, readSubjectKeyIdentifier(own.der)) === 0
}

const purposeOids: Readonly<Record<Purpose, string>> = {
  device: oids.clientAuth,
  server: oids.serverAuth,
  ek: oids.ekCertificate,
}

const leafKeys: Readonly<Record<Purpose, readonly KeyKind[]>> = {
  device: ['P-256', 'P-384', 'Ed25519'],
  server: ['P-256', 'P-384', 'Ed25519', 'RSA'],
  ek: ['P-256', 'P-384', 'RSA'],
}

function checkLeaf(leaf: Certificate, request: PathRequest): void {
  checkEvery(leaf, request)
  const { kind } = decodeSpki(leaf.spki)
  if (!leafKeys[request.purpose].includes(kind)) throw new X509Error('KEY_UNSUPPORTED', `a leaf with a ${kind} key`)
  if (isAuthority(leaf)) throw new X509Error('PURPOSE_MISMATCH', 'a CA certificate where a leaf is expected')
  const mayLackPurpose = request.purpose === 'ek' && request.ekUsageOptional === true
  if (!mayLackPurpose && !leaf.extensions.has(oids.extKeyUsage)) {
    throw new X509Error('PURPOSE_MISMATCH', `the leaf does not say that it is for ${purposeOids[request.purpose]}`)
  }
  checkPurpose(leaf, request.purpose)
  requireKeyUsage(leaf, leafKeyUsage(request.purpose, kind))
}

/** An EK decrypts (TCG EK Credential Profile §3.2.16); the certificate of a TPM's signing key must not pass for one. */
function leafKeyUsage(purpose: Purpose, kind: KeyKind): 'digitalSignature' | 'keyEncipherment' | 'keyAgreement' {
  if (purpose !== 'ek') return 'digitalSignature'
  return kind === 'RSA' ? 'keyEncipherment' : 'keyAgreement'
}

/** RFC 5280 §6.1.4 (k)–(o), for the certificates below in `path`. */
function checkIssuer(issuer: Certificate, path: readonly Certificate[], request: PathRequest): void {
  checkEvery(issuer, request)
  if (!isAuthority(issuer)) throw new X509Error('NOT_A_CA', 'an issuer without CA:TRUE')
  requireKeyUsage(issuer, 'keyCertSign')
  checkPurpose(issuer, request.purpose)
  checkPathLength(issuer, path)
  const constraints = issuer.extensions.get(oids.nameConstraints)
  if (constraints !== undefined) for (const below of path) checkNameConstraints(constraints.der, below)
}

/** What leaf, intermediates and anchor have in common. */
function checkEvery(certificate: Certificate, request: PathRequest): void {
  if (request.at < certificate.notBefore) throw new X509Error('NOT_YET_VALID', validity(certificate, request.at))
  if (request.at > certificate.notAfter) throw new X509Error('EXPIRED', validity(certificate, request.at))
  checkCriticalExtensions(certificate)
  const { kind, publicKey } = decodeSpki(certificate.spki)
  if (request.purpose === 'ek' && kind === 'RSA' && hasRocaFingerprint(publicKey)) {
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

function requireKeyUsage(certificate: Certificate, usage: Parameters<ReturnType<typeof readKeyUsage>>[0]): void {
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

function isAuthority(certificate: Certificate): boolean {
  const extension = certificate.extensions.get(oids.basicConstraints)
  return extension !== undefined && readBasicConstraints(extension.der).ca
}

/** A limit ends the whole search; any other problem ends one candidate. */
function asProblem(error: unknown): X509Error {
  if (!(error instanceof X509Error) || error.code === 'PATH_LIMIT') throw error
  return error
}

function limit(problem: string): X509Error {
  return new X509Error('PATH_LIMIT', `no path found within the limits: ${problem}`)
}

function validity({ notBefore, notAfter }: Certificate, at: Date): string {
  return `valid from ${notBefore.toISOString()} to ${notAfter.toISOString()}, asked for ${at.toISOString()}`
}
