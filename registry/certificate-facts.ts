import type { CertificateFacts } from '#protocol'

/** Only the facts: what an event says beyond its type would stand in the log for ever. */
export function factsOf({ certificate, ...facts }: CertificateFacts): CertificateFacts {
  const { fingerprint, serial, spkiHash, tier, notBefore, notAfter, issuer } = facts
  const signed = issuer !== undefined && { issuer }
  return { fingerprint, serial, spkiHash, tier, notBefore, notAfter, ...signed, certificate }
}
