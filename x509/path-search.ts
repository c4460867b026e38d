import { type Certificate, decodeCertificate, publicKeyOf } from './certificate.js'
import { X509Error } from './errors.js'
import { readAuthorityKeyIdentifier, readSubjectKeyIdentifier } from './extensions.js'
import { isSameName } from './names.js'
import { oids } from './oids.js'
import { checkIssuer, type PathRules } from './path-rules.js'
import { verifySignature } from './signatures.js'

/** What a path may be made of. All certificates are DER, and not to be changed afterwards. */
export interface PathMaterial {
  /** From anyone, in any order; none is trusted for being here. */
  readonly intermediates: readonly Uint8Array[]
  /** The only certificates that are trusted by being here; they are held to the rules for a CA all the same. */
  readonly anchors: readonly Uint8Array[]
  /** Most that may stand between leaf and anchor. Default: {@link pathLimits} */
  readonly maxIntermediates?: number
}

/**
 * Bounds on the work that a stranger's certificates can ask for; real paths have at most three intermediates. Every
 * signature is of a path that has come to an anchor, so these two bound the signatures too.
 */
export const pathLimits = { maxIntermediatesInPath: 4, maxCandidates: 16, maxSignatureChecks: 24 } as const

/**
 * Depth first, anchors before intermediates; every issuer that is tried is counted. Signatures are verified only on a
 * path that reaches an anchor, and from there down: so no key that a stranger chose costs us a verification before
 * someone trusted has signed it.
 */
export class PathSearch {
  readonly #rules: PathRules
  readonly #anchors: readonly Certificate[]
  readonly #intermediates: readonly Certificate[]
  readonly #maxIntermediates: number
  #candidates = 0
  #signatureChecks = 0

  constructor({ anchors, intermediates, maxIntermediates }: PathMaterial, rules: PathRules) {
    this.#rules = rules
    this.#maxIntermediates = maxIntermediates ?? pathLimits.maxIntermediatesInPath
    this.#anchors = anchors.map(recall)
    this.#intermediates = intermediates.flatMap(recallIfReadable)
  }

  /** How many signatures were verified so far. */
  get signatureChecks(): number {
    return this.#signatureChecks
  }

  /**
   * The path from `path`, leaf first, to an anchor. When there is none, the error says what was wrong with the first
   * candidate; ISSUER_UNKNOWN when there was no candidate at all.
   * @throws X509Error
   */
  extend(path: readonly [Certificate, ...Certificate[]]): readonly Certificate[] {
    const last = path.at(-1) ?? path[0]
    const problems: X509Error[] = []
    for (const anchor of candidatesFor(last, this.#anchors)) {
      try {
        this.#consider(anchor, path)
        this.#verifySignatures([...path, anchor])
        return [...path, anchor]
      } catch (error) {
        problems.push(asProblem(error))
      }
    }
    for (const issuer of candidatesFor(last, this.#intermediates)) {
      if (path.some((before) => isSame(before.der, issuer.der))) continue // a loop leads nowhere that it has not been
      try {
        if (path.length > this.#maxIntermediates) throw limit('the path grows too long')
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
    checkIssuer(issuer, path, this.#rules)
  }

  /** From the anchor down. */
  #verifySignatures(path: readonly Certificate[]): void {
    path.reduceRight((issuer, certificate) => {
      if (++this.#signatureChecks > pathLimits.maxSignatureChecks) throw limit('too many signatures')
      verifySignature(certificate.signed, publicKeyOf(issuer))
      return certificate
    })
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

/**
 * By name; key identifiers only tell keys of one name apart (RFC 5280 §4.2.1.1). Those that are named by their key come
 * first: of a crowd with one name it is most likely them.
 */
function candidatesFor(certificate: Certificate, issuers: readonly Certificate[]): readonly Certificate[] {
  const wanted = authorityKeyOf(certificate)
  const named: Certificate[] = []
  const others: Certificate[] = []
  for (const issuer of issuers) {
    if (!isSameName(issuer.subject, certificate.issuer)) continue
    const own = subjectKeyOf(issuer)
    if (wanted === undefined || own === undefined) others.push(issuer)
    else if (isSame(wanted, own)) named.push(issuer)
  }
  return [...named, ...others]
}

function authorityKeyOf({ extensions }: Certificate): Uint8Array | undefined {
  const extension = extensions.get(oids.authorityKeyIdentifier)
  return extension && readAuthorityKeyIdentifier(extension.der)
}

function subjectKeyOf({ extensions }: Certificate): Uint8Array | undefined {
  const extension = extensions.get(oids.subjectKeyIdentifier)
  return extension && readSubjectKeyIdentifier(extension.der)
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** A limit ends the whole search; any other problem ends one candidate. */
function asProblem(error: unknown): X509Error {
  if (!(error instanceof X509Error) || error.code === 'PATH_LIMIT') throw error
  return error
}

function limit(problem: string): X509Error {
  return new X509Error('PATH_LIMIT', `no path found within the limits: ${problem}`)
}
