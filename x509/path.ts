import { type Certificate, decodeCertificate, publicKeyOf } from './certificate.js'
import { X509Error } from './errors.js'
import { readAuthorityKeyIdentifier, readSubjectKeyIdentifier } from './extensions.js'
import { oids } from './oids.js'
import { checkIssuer, checkLeaf, type PathRules } from './path-rules.js'
import { verifySignature } from './signatures.js'

export interface PathRequest extends PathRules {
  /** All certificates are DER. */
  readonly leaf: Uint8Array
  /** From anyone, in any order; none is trusted for being here. Not to be changed afterwards, like the anchors. */
  readonly intermediates: readonly Uint8Array[]
  /** The only certificates that are trusted by being here; they are held to the rules for a CA all the same. */
  readonly anchors: readonly Uint8Array[]
}

/** Bounds on the work that a stranger's certificates can ask for; real paths have at most three intermediates. */
const pathLimits = { maxIntermediatesInPath: 4, maxCandidates: 16 } as const

export interface VerifiedPath {
  /** DER, leaf first, anchor last. */
  readonly path: readonly Uint8Array[]
  /** The time in which all of them are valid, its first and last moment included. */
  readonly notBefore: Date
  readonly notAfter: Date
}

/**
 * A path from the leaf to an anchor (RFC 5280 §6). When there is none, the error says what was wrong with the first
 * candidate; ISSUER_UNKNOWN when there was no candidate at all.
 * @throws X509Error
 */
export function verifyPath(request: PathRequest): VerifiedPath {
  const leaf = decodeCertificate(request.leaf)
  checkLeaf(leaf, request)
  const path = new PathSearch(request).extend([leaf])
  return {
    path: path.map((certificate) => certificate.der),
    notBefore: new Date(Math.max(...path.map(({ notBefore }) => notBefore.getTime()))),
    notAfter: new Date(Math.min(...path.map(({ notAfter }) => notAfter.getTime()))),
  }
}

/**
 * Depth first, anchors before intermediates; every issuer that is tried is counted. Signatures are verified only on a
 * path that reaches an anchor, and from there down: so no key that a stranger chose costs us a verification before
 * someone trusted has signed it.
 */
class PathSearch {
  readonly #request: PathRequest
  readonly #anchors: readonly Certificate[]
  readonly #intermediates: readonly Certificate[]
  #candidates = 0

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
        this.#consider(anchor, path)
        verifySignatures([...path, anchor])
        return [...path, anchor]
      } catch (error) {
        problems.push(asProblem(error))
      }
    }
    for (const issuer of this.#intermediates.filter((candidate) => mayHaveIssued(candidate, last))) {
      if (path.includes(issuer)) continue
      try {
        if (path.length > pathLimits.maxIntermediatesInPath) throw limit('the path grows too long')
        this.#consider(issuer, path)
        return this.extend([...path, issuer])
      } catch (error) {
        problems.push(asProblem(error))
      }
    }
    throw problems[0] ?? new X509Error('ISSUER_UNKNOWN', 'no anchor and no intermediate has the name of the issuer')
  }

  #consider(issuer: Certificate, path: readonly Certificate[]): void {
    if (++this.#candidates > pathLimits.maxCandidates) throw limit('too many candidates')
    checkIssuer(issuer, path, this.#request)
  }
}

/** From the anchor down. */
function verifySignatures(path: readonly Certificate[]): void {
  path.reduceRight((issuer, certificate) => {
    verifySignature(certificate.signed, publicKeyOf(issuer))
    return certificate
  })
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

/** A limit ends the whole search; any other problem ends one candidate. */
function asProblem(error: unknown): X509Error {
  if (!(error instanceof X509Error) || error.code === 'PATH_LIMIT') throw error
  return error
}

function limit(problem: string): X509Error {
  return new X509Error('PATH_LIMIT', `no path found within the limits: ${problem}`)
}
