import { pcrDigest } from '#tpm'
import { EnrollmentError } from '../errors.js'
import type { KeyEvidence } from './key-evidence.js'
import { isSame } from './refusing.js'

/**
 * The values that the quote vouches for, all of them of the SHA-256 bank; undefined where none came. Whether they are good
 * is another question.
 * @throws EnrollmentError PCR_SELECTION_MISMATCH, PCR_DIGEST_MISMATCH
 */
export function requireQuotedValues({ quote, ak }: KeyEvidence): ReadonlyMap<number, Uint8Array> | undefined {
  if (quote === undefined) return undefined
  const [selection, ...others] = quote.attest.pcrSelections
  const named = [...quote.values.keys()].sort((one, other) => one - other)
  const isSelected = selection?.hash === 'sha256' && others.length === 0 && String(selection.pcrs) === String(named)
  if (!isSelected || named.length === 0) {
    throw new EnrollmentError('PCR_SELECTION_MISMATCH', 'expected values of just the PCRs of SHA-256 that were quoted')
  }
  if (!isSame(quote.attest.pcrDigest, pcrDigest(quote.values, ak.scheme?.hash ?? 'sha256'))) {
    throw new EnrollmentError('PCR_DIGEST_MISMATCH', 'the PCR values are not those that were quoted')
  }
  return quote.values
}
