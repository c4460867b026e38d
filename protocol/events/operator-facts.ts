import type { Fingerprint, OperatorName } from '../ids.js'

/** What an operator did carries who, from where, and why. */
export interface OperatorFacts {
  readonly operator: OperatorName
  /** Of the certificate that was shown; absent for what the service does by itself. */
  readonly fingerprint?: Fingerprint
  readonly peer?: string
  /** The operator's own words. */
  readonly comment?: string
}
