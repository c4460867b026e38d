import type { Fingerprint, Tier } from '#protocol'
import type { CertificateRecord } from '../state.js'
import type { Line } from './line.js'
import { refused } from './refused.js'

/** How long after its end a certificate may still be renewed, and how its holder comes back. */
export interface OfflineTerms {
  /** Since the certificate's notAfter. */
  readonly mostMilliseconds: number
  /** Whoever may have a copy of its key elsewhere: into quarantine, until an operator has looked, or as if nothing were. */
  readonly recover: 'quarantine' | 'trust'
}

/** Nothing opens with a certificate that is over; within these terms it still renews. @throws RegistryError CERTIFICATE_EXPIRED */
export function requireRenewable(
  { notAfter, ...certificate }: CertificateRecord,
  now: number,
  terms?: OfflineTerms,
): void {
  if (notAfter > now) return
  if (terms === undefined || now - notAfter > terms.mostMilliseconds)
    throw refused('CERTIFICATE_EXPIRED', certificate, 'has expired')
}

/**
 * Whether who comes back with a certificate that is over goes into quarantine. A key in a TPM is where it was. One in
 * a file comes back once for each outage: with the last certificate of its line, or for the key of that, so that an
 * answer that was lost does not end the device; and only where no other key has asked since the line was last in use.
 * @throws RegistryError CERTIFICATE_EXPIRED
 */
export function comesBackInQuarantine(line: Line, spkiHash: Fingerprint, now: number, terms?: OfflineTerms): boolean {
  const { certificate, last, instance } = line
  if (certificate.notAfter > now || isBoundToHardware(certificate.tier)) return false
  const isLast = certificate === last || last?.spkiHash === spkiHash
  if (!isLast) throw refused('CERTIFICATE_EXPIRED', certificate, 'has expired, and is not the last of its line')
  if (instance.displaced?.generation === instance.generation) {
    throw refused('CERTIFICATE_EXPIRED', certificate, 'has expired, and two keys have asked to follow it')
  }
  return terms?.recover !== 'trust'
}

/** Of a TPM that nobody vouches for it is not known whether it is one. */
function isBoundToHardware(tier: Tier): boolean {
  return tier === 'tpm' || tier === 'tpm+pcr'
}
