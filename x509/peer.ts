import type { TLSSocket } from 'node:tls'

/*
 * What the other end of a TLS connection has shown, in DER. Node 20 has another way to ask, `getPeerX509Certificate`,
 * which never gives back the 5 kB that each call takes, and at a client takes what it gives out of the chain.
 */

/** As Node tells it: a certificate that is not there has no bytes. */
interface Shown {
  readonly raw?: Uint8Array
  readonly issuerCertificate?: Shown
}

/** More than any sane chain holds. */
const maxPeerCertificates = 8

/** Of the other end itself; none where it has none, or where the connection is gone. */
export function peerCertificateOf(socket: TLSSocket): Uint8Array | undefined {
  if (socket.destroyed) return undefined
  const { raw }: Shown = socket.getPeerCertificate()
  return raw
}

/** The same and what was sent with it, in order of issuing. */
export function peerChainOf(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate: Shown | undefined = socket.destroyed ? undefined : socket.getPeerCertificate(true)
  while (certificate?.raw && chain.length < maxPeerCertificates) {
    chain.push(certificate.raw)
    const issuer: Shown | undefined = certificate.issuerCertificate
    certificate = issuer === certificate ? undefined : issuer // a root is its own
  }
  return chain
}
