import type { CertificateFacts } from '#protocol'

/** Only the facts: what an event says beyond its type would stand in the log for ever. */
export function factsOf(certificate: CertificateFacts): CertificateFacts {
  const { fingerprint, serial, spkiHash, tier, notBefore, notAfter } = certificate
  return { fingerprint, serial, spkiHash, tier, notBefore, notAfter, certificate: certificate.certificate }
}
