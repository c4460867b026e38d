import type { EnrollmentErrorCode } from '../errors.js'

/** Why PCRs are bad. */
export interface PcrReason {
  readonly code: EnrollmentErrorCode
  readonly says: string
}
