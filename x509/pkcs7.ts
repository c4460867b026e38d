import { contextTag } from './der-reader.js'
import { der, oid, sequence, setOf, taggedSetOf, unsignedInteger } from './der-writer.js'
import { oids } from './oids.js'

/**
 * Certificates and nothing else, as PKCS #7 (RFC 5652 §5.1; RFC 7030 §4.1.3 calls it "certs-only"): a SignedData that
 * nobody has signed. As DER it has no order of its own, so that the chain is for the reader to find.
 */
export function encodeCertsOnly(certificates: readonly Uint8Array[]): Uint8Array {
  const signedData = sequence(
    unsignedInteger(Uint8Array.of(1)), // CMSVersion 1: X.509 certificates only, and no content of another type
    setOf(), // digestAlgorithms
    sequence(oid(oids.data)), // encapContentInfo, without content
    taggedSetOf(contextTag(0, 'constructed'), ...certificates),
    setOf(), // signerInfos
  )
  return new Uint8Array(sequence(oid(oids.signedData), der(contextTag(0, 'constructed'), signedData)))
}
