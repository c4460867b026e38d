import { TpmError } from '#tpm'
import { EnrollmentError, type EnrollmentErrorCode } from '../errors.js'

/** What a TPM structure is not fit for becomes a refusal under a code of ours. @throws EnrollmentError */
export function asRefusal<T>(code: EnrollmentErrorCode, check: () => T): T {
  try {
    return check()
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause
    throw new EnrollmentError(code, cause.message, { cause })
  }
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
