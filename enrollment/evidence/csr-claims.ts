import type { ChannelBinding } from '#protocol'
import { type CsrClaims, isNamedAs, readCsrClaims, X509Error } from '#x509'
import type { Channel } from '../channel.js'
import { EnrollmentError } from '../errors.js'

/**
 * What counts of a CSR. `key`: its key, and all else is passed over. `claims`: EST lets it also name its connection and its
 * device (RFC 7030); then what it says must be so. Nothing that it says ever becomes a name of ours.
 */
export type CsrReading = 'key' | 'claims'

/** What a CSR's claims are held against. */
export interface Known {
  readonly channel: Channel
  /** DER of the certificate that is to be renewed; absent at a join, where names are passed over. */
  readonly certificate?: Uint8Array
}

/**
 * By what the request is tied to its connection, as far as it says so itself.
 * @throws EnrollmentError CSR_INVALID, CHANNEL_MISMATCH, CSR_NAME_MISMATCH
 */
export function requireClaims(csr: Uint8Array, { channel, certificate }: Known): ChannelBinding {
  const claims = readClaims(csr)
  if (certificate !== undefined && !isNamedAs(claims, certificate)) {
    throw new EnrollmentError('CSR_NAME_MISMATCH', 'the CSR names somebody else than the certificate: leave names away')
  }
  return claimedBinding(claims, channel)
}

/** RFC 7030 §3.5, with the value that TLS 1.3 has for it (RFC 9266 §3). Who claims nothing may be unable to. */
function claimedBinding({ challengePassword }: CsrClaims, { exporter }: Channel): ChannelBinding {
  if (challengePassword === undefined) return 'none'
  if (exporter !== undefined && challengePassword === Buffer.from(exporter).toString('base64')) return 'exporter'
  throw new EnrollmentError(
    'CHANNEL_MISMATCH',
    'the challengePassword is not the tls-exporter value of this connection',
  )
}

function readClaims(csr: Uint8Array): CsrClaims {
  try {
    return readCsrClaims(csr)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('CSR_INVALID', cause.message, { cause })
  }
}
