import type { TrustedMakers } from '../maker.js'
import type { Caller } from '../limits.js'
import { createWork, type Given, type Shown, type WorkName } from './work.js'

/** Does the asymmetric work of joins and renewals: what a verifier is in RFC 9334 §2, and the CSR of who has no evidence. */
export interface Verifier {
  /** @throws EnrollmentError the reason of a refusal; BUSY, VERIFIER_FAILED */
  verify<Name extends WorkName>(name: Name, given: Given[Name], caller: Caller): Promise<Shown[Name]>
  /** What still waits is refused. */
  close(): Promise<void>
}

/** By whom an EK may be vouched for is said once. */
export type OpenVerifier = (makers: TrustedMakers) => Verifier

/** In the thread that asks, which does nothing else meanwhile. */
export const verifyHere: OpenVerifier = (makers) => {
  const work = createWork(makers)
  return {
    verify: async (name, given) => work[name](given),
    close: () => Promise.resolve(),
  }
}
