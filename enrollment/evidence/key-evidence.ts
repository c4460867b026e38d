import type { TpmKeyEvidence, TpmState, TrustDomain } from '#protocol'
import {
  type CertifyAttest,
  decodeAttest,
  decodePublic,
  nameOf,
  qualifyingData,
  type QuoteAttest,
  type SignedAttestation,
  type TpmPublic,
  toSpki,
  verifySignature,
} from '#tpm'
import type { BoundChannel } from '../channel.js'
import { EnrollmentError } from '../errors.js'
import type { EnrollmentProfile } from '../profile.js'
import { requireAttestationKey, requireTlsKey } from './attributes.js'
import { requireCsrFor } from './csr.js'
import { asRefusal, isSame } from './refusing.js'

/** What an attestation key says of the key to certify, with its structures read: the same at a join and at a renewal. */
export interface KeyEvidence {
  readonly ak: TpmPublic
  readonly key: TpmPublic
  readonly keySpki: Uint8Array
  readonly certify: CertifyAttest
  readonly quote?: { readonly attest: QuoteAttest; readonly values: ReadonlyMap<number, Uint8Array> }
}

/** What it must have been made for. */
export interface EvidencePurpose {
  readonly profile: EnrollmentProfile
  readonly trustDomain: TrustDomain
  readonly channel: BoundChannel
}

/** @throws EnrollmentError EVIDENCE_MALFORMED, CERTIFY_INVALID, QUOTE_INVALID */
export function decodeKeyEvidence(request: TpmKeyEvidence): KeyEvidence {
  return asRefusal('EVIDENCE_MALFORMED', () => {
    const [ak, key] = [decodePublic(request.akPublic), decodePublic(request.keyPublic)]
    const certify = decodeAttest(request.certify.attest)
    if (certify.type !== 'certify')
      throw new EnrollmentError('CERTIFY_INVALID', `expected a certify, got a ${certify.type}`)
    const quote = request.quote && decodeQuote(request.quote)
    return { ak, key, keySpki: toSpki(key), certify, ...(quote && { quote }) }
  })
}

/**
 * The attestation key vouches, for this very purpose, that the key was made in its TPM and cannot leave it. Nothing is
 * believed yet: that takes {@link requireSigned}, which costs more and so comes last.
 * @throws EnrollmentError
 */
export function requireResidentKey(evidence: KeyEvidence, purpose: EvidencePurpose): void {
  requireAttestationKey(evidence.ak)
  requireTlsKey(evidence.key)
  requireFresh(evidence, purpose)
  requireCertifiedKey(evidence)
}

/** The attestation key has signed all of it, and the sender holds the key. @throws EnrollmentError */
export function requireSigned({ ak, keySpki }: KeyEvidence, request: TpmKeyEvidence): void {
  const check = ({ attest, signature }: SignedAttestation) => verifySignature(ak, attest, signature)
  const { certify, quote, csr } = request
  asRefusal('CERTIFY_SIGNATURE_INVALID', () => check(certify))
  if (quote) asRefusal('QUOTE_SIGNATURE_INVALID', () => check(quote))
  requireCsrFor(keySpki, csr)
}

/** The TPM as it has just been attested. The name is kept for long, and so in bytes of its own. */
export function tpmStateOf({ ak, certify, quote }: KeyEvidence): TpmState {
  const { clockInfo, firmwareVersion } = quote?.attest ?? certify
  return { akName: Uint8Array.from(nameOf(ak)), ...clockInfo, firmware: firmwareVersion }
}

function decodeQuote(quote: NonNullable<TpmKeyEvidence['quote']>): NonNullable<KeyEvidence['quote']> {
  const attest = decodeAttest(quote.attest)
  if (attest.type !== 'quote') throw new EnrollmentError('QUOTE_INVALID', `expected a quote, got a ${attest.type}`)
  const values = new Map(Object.entries(quote.pcrs.sha256).map(([pcr, value]) => [Number(pcr), value]))
  return { attest, values }
}

/** Both attestations were made for this connection, this service, this key and this profile. */
function requireFresh({ certify, quote, keySpki }: KeyEvidence, purpose: EvidencePurpose): void {
  const { channel, trustDomain, profile } = purpose
  const { binding, value } = channel
  const expected = qualifyingData({ binding, channel: value, trustDomain, spki: keySpki, profile: profile.name })
  if (!isSame(certify.extraData, expected))
    throw new EnrollmentError('CERTIFY_STALE', 'certify was made for something else')
  if (quote && !isSame(quote.attest.extraData, expected)) {
    throw new EnrollmentError('QUOTE_STALE', 'the quote was made for something else')
  }
}

function requireCertifiedKey({ certify, key }: KeyEvidence): void {
  if (!isSame(certify.name, nameOf(key))) throw new EnrollmentError('CERTIFY_KEY_MISMATCH', 'another key is certified')
}
