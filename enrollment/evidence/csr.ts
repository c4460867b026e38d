import { type CsrKey, decodeCsr, X509Error } from '#x509'
import { EnrollmentError } from '../errors.js'
import { isSame } from './refusing.js'

/** The key of a CSR, whose sender has shown to hold it. @throws EnrollmentError CSR_INVALID */
export function readCsr(csr: Uint8Array): CsrKey {
  try {
    return decodeCsr(csr)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('CSR_INVALID', cause.message, { cause })
  }
}

/** @throws EnrollmentError CSR_INVALID, CSR_KEY_MISMATCH */
export function requireCsrFor(keySpki: Uint8Array, csr: Uint8Array): void {
  const { spki } = readCsr(csr)
  if (!isSame(spki, keySpki))
    throw new EnrollmentError('CSR_KEY_MISMATCH', 'the CSR is for another key than the one in the TPM')
}
