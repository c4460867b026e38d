import { X509Certificate } from 'node:crypto'
import { certifiedSpki, X509Error, type X509ErrorCode } from '#x509'
import type { EkTrust } from '../ek-trust.js'
import { EnrollmentError, type EnrollmentErrorCode } from '../errors.js'
import type { EnrollmentProfile } from '../profile.js'
import { isSame } from './refusing.js'

/**
 * Which manufacturer vouches for this key: genuine, which is not the same as ours (spec §2). Without any certificate it
 * is nobody, where the profile allows that.
 * @throws EnrollmentError EK_CERTIFICATE_…, EK_MAKER_UNKNOWN
 */
export function appraiseEndorsement(
  ekSpki: Uint8Array,
  certificates: readonly Uint8Array[],
  trust: EkTrust,
  profile: EnrollmentProfile,
  at: Date,
): string | undefined {
  const [leaf, ...sent] = certificates
  if (leaf === undefined) {
    if (profile.allowUnvouchedTpm === true) return undefined
    throw new EnrollmentError('EK_CERTIFICATE_MISSING', 'no certificate of the endorsement key came with it')
  }
  const maker = makerOf(leaf, sent, trust, at)
  requireSameKey(leaf, ekSpki)
  return maker
}

function makerOf(leaf: Uint8Array, sent: readonly Uint8Array[], trust: EkTrust, at: Date): string {
  try {
    return trust.verify(leaf, sent, at)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    const problem = `no trusted maker vouches for this TPM: ${cause.message}`
    throw new EnrollmentError(reasons[cause.code] ?? 'EK_CERTIFICATE_INVALID', problem, { cause })
  }
}

/** What an operator can do something about has a reason of its own. */
const reasons: Partial<Record<X509ErrorCode, EnrollmentErrorCode>> = {
  EXPIRED: 'EK_CERTIFICATE_EXPIRED',
  NOT_YET_VALID: 'EK_CERTIFICATE_EXPIRED',
  SELF_SIGNED: 'EK_CERTIFICATE_SELF_SIGNED',
  ISSUER_UNKNOWN: 'EK_MAKER_UNKNOWN',
}

/** The evidence is made with the key that was sent; a certificate of another key says nothing about it. */
function requireSameKey(leaf: Uint8Array, ekSpki: Uint8Array): void {
  if (isSame(certifiedSpki(leaf), ekSpki)) return
  // The same key may be written in another way; to have OpenSSL read and write it again takes as long as all the rest.
  const certified = new X509Certificate(leaf).publicKey.export({ format: 'der', type: 'spki' })
  if (!certified.equals(ekSpki)) {
    throw new EnrollmentError('EK_CERTIFICATE_MISMATCH', 'the certificate is for another endorsement key')
  }
}
