import { X509Certificate } from 'node:crypto'
import { verifyPath, X509Error } from '#x509'
import { EnrollmentError } from './errors.js'
import type { EnrollmentProfile } from './profile.js'

/** By whom endorsement keys are vouched for. All DER. */
export interface EkTrust {
  /** Roots of the manufacturers that this installation trusts. */
  readonly anchors: readonly Uint8Array[]
  /** Authorities between, for TPMs that carry their own certificate only. */
  readonly intermediates: readonly Uint8Array[]
}

/**
 * Whether a manufacturer vouches for this key: genuine, which is not the same as ours (spec §2). Without any
 * certificate the answer is `unvouched`, where the profile allows that.
 * @throws EnrollmentError EK_CERTIFICATE_MISSING, EK_CERTIFICATE_INVALID, EK_CERTIFICATE_MISMATCH
 */
export function appraiseEndorsement(
  ekSpki: Uint8Array,
  certificates: readonly Uint8Array[],
  trust: EkTrust,
  profile: EnrollmentProfile,
  at: Date,
): 'vouched' | 'unvouched' {
  const [leaf, ...sent] = certificates
  if (leaf === undefined) {
    if (profile.allowUnvouchedTpm === true) return 'unvouched'
    throw new EnrollmentError('EK_CERTIFICATE_MISSING', 'no certificate of the endorsement key came with it')
  }
  try {
    verifyPath({
      leaf,
      intermediates: [...sent, ...trust.intermediates],
      anchors: trust.anchors,
      at,
      purpose: 'ek',
      ekUsageOptional: profile.ekUsageOptional ?? false,
    })
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('EK_CERTIFICATE_INVALID', `no trusted maker vouches for this TPM: ${cause.message}`, {
      cause,
    })
  }
  requireSameKey(leaf, ekSpki)
  return 'vouched'
}

/** The evidence is made with the key that was sent; a certificate of another key says nothing about it. */
function requireSameKey(leaf: Uint8Array, ekSpki: Uint8Array): void {
  const certified = new X509Certificate(leaf).publicKey.export({ format: 'der', type: 'spki' })
  if (!certified.equals(ekSpki)) {
    throw new EnrollmentError('EK_CERTIFICATE_MISMATCH', 'the certificate is for another endorsement key')
  }
}
