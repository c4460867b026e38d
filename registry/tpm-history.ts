import type { TpmState } from '#protocol'

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
