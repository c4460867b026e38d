import { X509Certificate } from 'node:crypto'
import { decodePem, encodePem } from '#x509'

/** More than any server's chain has. */
const maxIssuers = 4

/**
 * The server's certificate with those that have issued it, as far as they are known. Where it comes alone OpenSSL looks
 * for them itself, at every handshake, and verifies what it finds: that is a tenth of what a handshake costs.
 * All are PEM.
 */
export function withIssuers(cert: string, authorities: readonly string[]): string {
  const [own, ...chain] = decodePem(cert, 'CERTIFICATE')
  if (own === undefined || chain.length > 0) return cert // whoever gives a chain gives the one that is to be shown
  const known = authorities.flatMap((pem) => decodePem(pem, 'CERTIFICATE')).map((der) => new X509Certificate(der))
  const issuers: X509Certificate[] = []
  let last = new X509Certificate(own)
  while (issuers.length < maxIssuers && !isIssuerOf(last, last)) {
    const issuer = known.find((authority) => isIssuerOf(authority, last))
    if (!issuer) break
    issuers.push(issuer)
    last = issuer
  }
  return [cert, ...issuers.map(({ raw }) => encodePem('CERTIFICATE', raw))].join('\n')
}

function isIssuerOf(authority: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}
