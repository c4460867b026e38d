import { pcrDigest } from '#tpm'
import { EnrollmentError } from '../errors.js'
import type { EnrollmentProfile } from '../profile.js'
import type { KeyEvidence } from './key-evidence.js'
import { isSame } from './refusing.js'

/**
 * `good`: every PCR of the profile was quoted with a value that it names.
 * @throws EnrollmentError QUOTE_MISSING, PCR_SELECTION_MISMATCH, PCR_DIGEST_MISMATCH, PCR_MISMATCH
 */
export function requireQuotedPcrs(
  { quote, ak }: KeyEvidence,
  { pcrs, name }: EnrollmentProfile,
): 'good' | 'not asked for' {
  if (pcrs === undefined || pcrs.size === 0) return 'not asked for'
  if (quote === undefined) throw new EnrollmentError('QUOTE_MISSING', `profile ${name} asks for a quote`)
  const expected = [...pcrs.keys()].sort((a, b) => a - b)
  const [selection, ...others] = quote.attest.pcrSelections
  const isSelected = selection?.hash === 'sha256' && others.length === 0 && String(selection.pcrs) === String(expected)
  if (!isSelected || String([...quote.values.keys()].sort((a, b) => a - b)) !== String(expected)) {
    throw new EnrollmentError('PCR_SELECTION_MISMATCH', `expected exactly the PCRs ${expected.join(', ')} of SHA-256`)
  }
  if (!isSame(quote.attest.pcrDigest, pcrDigest(quote.values, ak.scheme?.hash ?? 'sha256'))) {
    throw new EnrollmentError('PCR_DIGEST_MISMATCH', 'the PCR values are not those that were quoted')
  }
  for (const [pcr, value] of quote.values) {
    if (!pcrs.get(pcr)?.includes(Buffer.from(value).toString('hex'))) {
      throw new EnrollmentError('PCR_MISMATCH', `PCR ${pcr} has a value that profile ${name} does not name`)
    }
  }
  return 'good'
}
