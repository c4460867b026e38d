import { TpmError, type TpmErrorCode } from '../errors.js'
import type { CommandName } from './command-table.js'
import { explainResponseCode } from './response-codes.js'

/** Warnings that mean: the same command may succeed in a moment (Part 2 §6.6.3). */
const again: ReadonlySet<number> = new Set([
  0x908, // YIELDED
  0x90a, // TESTING
  0x920, // NV_RATE
  0x922, // RETRY
])

export function mayBeRetried(responseCode: number): boolean {
  return again.has(responseCode)
}

/** TPM_RC_FAILURE: the TPM is in failure mode, or, from some, the command alone has failed. */
export const failureCode = 0x101

/** What a TPM says of itself, not of the command, has a code of its own, and says what to do. */
const states: readonly { readonly codes: readonly number[]; readonly code: TpmErrorCode; readonly advice: string }[] = [
  {
    codes: [0x921],
    code: 'TPM_IN_LOCKOUT',
    advice:
      'wait for its recovery time (tpm2_getcap properties-variable says how long), or let its owner end it ' +
      'with tpm2_dictionarylockout --clear-lockout; whatever tries wrong authorizations must stop first',
  },
  {
    codes: [failureCode],
    code: 'TPM_IN_FAILURE_MODE',
    advice:
      'take all power from the machine for a moment (a reboot is not enough); if it comes back, the chip is broken',
  },
  {
    codes: [0x902, 0x903, 0x904, 0x905, 0x906],
    code: 'TPM_OUT_OF_MEMORY',
    advice:
      'another program has left keys or sessions in it: use /dev/tpmrm0, which keeps programs apart, or flush them ' +
      'with tpm2_flushcontext -t and -l',
  },
  { codes: [...again], code: 'TPM_BUSY', advice: 'it was asked several times; try again later' },
]

/** A response code other than success as the error that a caller can act on. */
export function refusalOf(name: CommandName, code: number, { hasFailed }: { readonly hasFailed: boolean }): TpmError {
  const explained = `TPM2_${name}: ${explainResponseCode(code)}`
  const state = states.find(({ codes }) => codes.includes(code & 0xffff))
  return state === undefined || (code === failureCode && !hasFailed)
    ? new TpmError('TPM_COMMAND_FAILED', explained)
    : new TpmError(state.code, `${explained}; ${state.advice}`)
}
