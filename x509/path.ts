import { type Certificate, decodeCertificate } from './certificate.js'
import { X509Error } from './errors.js'
import { checkLeaf, type PathRules } from './path-rules.js'
import { type PathMaterial, PathSearch } from './path-search.js'

export interface PathRequest extends PathRules, PathMaterial {
  /** DER. */
  readonly leaf: Uint8Array
}

export interface VerifiedPath {
  /** DER, leaf first, anchor last. */
  readonly path: readonly Uint8Array[]
  /** The time in which all of them are valid, its first and last moment included. */
  readonly notBefore: Date
  readonly notAfter: Date
}

/**
 * A path from the leaf to an anchor (RFC 5280 §6). When there is none, the error says what was wrong with the first
 * candidate; when there was no candidate at all, SELF_SIGNED for a leaf that names itself as its issuer, else
 * ISSUER_UNKNOWN.
 * @throws X509Error
 */
export function verifyPath(request: PathRequest): VerifiedPath {
  const leaf = decodeCertificate(request.leaf)
  checkLeaf(leaf, request)
  const path = findPath(leaf, request)
  return {
    path: path.map((certificate) => certificate.der),
    notBefore: new Date(Math.max(...path.map(({ notBefore }) => notBefore.getTime()))),
    notAfter: new Date(Math.min(...path.map(({ notAfter }) => notAfter.getTime()))),
  }
}

function findPath(leaf: Certificate, request: PathRequest): readonly Certificate[] {
  try {
    return new PathSearch(request, request).extend([leaf])
  } catch (cause) {
    const isUnknown = cause instanceof X509Error && cause.code === 'ISSUER_UNKNOWN'
    if (!isUnknown || Buffer.compare(leaf.issuer, leaf.subject) !== 0) throw cause
    throw new X509Error('SELF_SIGNED', 'the leaf names nobody but itself as its issuer', { cause })
  }
}
