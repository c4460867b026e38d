import type { AttestationResult, RenewalAttestation, TpmState } from '#protocol'
import { RegistryError } from './errors.js'
import type { AttestedTpm } from './state.js'

/** What an attestation shows of its TPM, and since when it can have been made. */
type Attesting = Pick<AttestationResult | RenewalAttestation, 'tpm' | 'madeAfter'>

/**
 * Whether one TPM can have come from `before` to `now` without being cleared or copied (spec §2 "TPM history"; TPM 2.0
 * Part 1 §36). A lower clock after a reset is a power cut where the TPM says that its clock may lag (`safe` clear), and
 * no event: only a TPM that vouches for its clock cannot have lost any of it.
 */
export function continuesHistory(before: TpmState, now: TpmState): boolean {
  if (now.resetCount !== before.resetCount) {
    return now.resetCount > before.resetCount && (now.clock >= before.clock || !now.safe)
  }
  if (now.restartCount !== before.restartCount) return now.restartCount > before.restartCount
  return now.clock >= before.clock
}

/**
 * Of two requests that were under way together, the one that was made first can come last: its counters are lower, and
 * that says nothing of the TPM. It gets nothing either; what is made anew tells a TPM from its copy.
 * @throws RegistryError EVIDENCE_OVERTAKEN when the counters went back and `now` may be older than `before`
 */
export function breaksHistory(before: AttestedTpm | undefined, { tpm, madeAfter }: Attesting): boolean {
  if (before === undefined || tpm === undefined || continuesHistory(before, tpm)) return false
  if (madeAfter !== undefined && before.at !== undefined && madeAfter < before.at) {
    throw new RegistryError('EVIDENCE_OVERTAKEN', 'other evidence of the same TPM came in while this was on its way')
  }
  return true
}
