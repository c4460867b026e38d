import { oid, sequence, setOf } from './der-writer.js'
import { oids } from './oids.js'

/**
 * What the service asks of a request for a certificate, as RFC 7030 §4.5.2 writes it (CsrAttrs): a P-256 key, the
 * signature that goes with it, and in challengePassword the connection that it is sent over, where the client can tell.
 */
export function encodeCsrAttributes(): Uint8Array {
  return new Uint8Array(
    sequence(
      oid(oids.challengePassword),
      sequence(oid(oids.ecPublicKey), setOf(oid(oids.p256))),
      oid(oids.ecdsaWithSha256),
    ),
  )
}
