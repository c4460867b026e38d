import { createHash } from 'node:crypto'
import {
  type AttestationResult,
  type ChannelBinding,
  type Fingerprint,
  parseFingerprint,
  type ProfileName,
  type TokenId,
  type TpmJoinRequest,
  type TpmState,
  type TrustDomain,
} from '#protocol'
import {
  type AttributeName,
  type CertifyAttest,
  decodeAttest,
  decodePublic,
  ekTemplates,
  encodePublic,
  nameOf,
  pcrDigest,
  qualifiedNameOf,
  qualifyingData,
  type QuoteAttest,
  type SignedAttestation,
  TpmError,
  type TpmPublic,
  toSpki,
  verifySignature,
} from '#tpm'
import { type CsrKey, decodeCsr, spkiHash, X509Error } from '#x509'
import type { BoundChannel } from './channel.js'
import { appraiseEndorsement, type EkTrust } from './ek-trust.js'
import { EnrollmentError, type EnrollmentErrorCode } from './errors.js'
import type { EnrollmentProfile } from './profile.js'

/*
 * The verifier (RFC 9334 §2): evidence in, attestation result out. It reads no state of any device, so that what a
 * stranger is answered depends on what the stranger sent and on nothing that we know.
 */

/** What a token join proves: that the sender holds the key of the CSR. Whose token it is, the registry says. */
export async function attestTokenJoin(
  csr: Uint8Array,
  token: TokenId,
  profile: EnrollmentProfile,
): Promise<AttestationResult> {
  const { spki, spkiHash } = await readCsr(csr)
  const anchor = { kind: 'token', hash: sha256(`touchmark token ${token}`) } as const
  return { profile: profile.name, tier: 'token', anchor, spki, spkiHash, binding: 'none', token } as AttestationResult
}

/** What TPM evidence shows before the EK is proven: everything, if the challenge is answered. */
export interface AppraisedTpm {
  readonly profile: ProfileName
  readonly tier: 'tpm' | 'tpm-unvouched' | 'tpm+pcr'
  /** SHA-256 of the EK's DER SubjectPublicKeyInfo. */
  readonly ekHash: Fingerprint
  readonly spki: Uint8Array
  readonly spkiHash: Fingerprint
  readonly binding: Exclude<ChannelBinding, 'none'>
  readonly tpm: TpmState
}

/** What evidence is held against. */
export interface TpmReference {
  readonly profile: EnrollmentProfile
  readonly trustDomain: TrustDomain
  readonly channel: BoundChannel
  readonly ekTrust: EkTrust
  readonly at: Date
}

/**
 * The checks of spec §2 step 1, cheapest first within their order: each throws with a code of its own.
 * @throws EnrollmentError
 */
export async function appraiseTpm(
  request: TpmJoinRequest,
  reference: TpmReference,
): Promise<{ readonly appraised: AppraisedTpm; readonly ekPublic: TpmPublic }> {
  const evidence = decodeEvidence(request)
  requireEndorsementKey(evidence.ek)
  requireAttestationKey(evidence.ak)
  requireTlsKey(evidence.key)
  requireFresh(evidence, reference)
  requireCertifiedKey(evidence)
  requireEndorsementHierarchy(evidence)
  const pcrs = requireQuotedPcrs(evidence, reference.profile)
  requireSignatures(evidence, request)
  await requireCsrFor(evidence.keySpki, request.csr)
  const endorsement = requireEndorsement(evidence, request, reference)

  const appraised = {
    profile: reference.profile.name,
    tier: endorsement === 'unvouched' ? 'tpm-unvouched' : pcrs === 'good' ? 'tpm+pcr' : 'tpm',
    ekHash: spkiHash(evidence.ekSpki),
    spki: evidence.keySpki,
    spkiHash: spkiHash(evidence.keySpki),
    binding: reference.channel.binding,
    tpm: tpmStateOf(evidence),
  } as const
  return { appraised, ekPublic: evidence.ek }
}

/** To be called when the challenge was answered, and only then: now the EK is proven too. */
export function attestTpmJoin({ ekHash, ...appraised }: AppraisedTpm, token?: TokenId): AttestationResult {
  const anchor = { kind: 'ek', hash: ekHash } as const
  return { ...appraised, anchor, ...(token !== undefined && { token }) } as AttestationResult
}

/** The request with its structures read. */
interface TpmEvidence {
  readonly ek: TpmPublic
  readonly ak: TpmPublic
  readonly key: TpmPublic
  readonly ekSpki: Uint8Array
  readonly keySpki: Uint8Array
  readonly certify: CertifyAttest
  readonly quote?: { readonly attest: QuoteAttest; readonly values: ReadonlyMap<number, Uint8Array> }
}

function decodeEvidence(request: TpmJoinRequest): TpmEvidence {
  return asRefusal('EVIDENCE_MALFORMED', () => {
    const [ek, ak, key] = [
      decodePublic(request.ekPublic),
      decodePublic(request.akPublic),
      decodePublic(request.keyPublic),
    ]
    const certify = decodeAttest(request.certify.attest)
    if (certify.type !== 'certify')
      throw new EnrollmentError('CERTIFY_INVALID', `expected a certify, got a ${certify.type}`)
    const quote = request.quote && decodeQuote(request.quote)
    return { ek, ak, key, ekSpki: toSpki(ek), keySpki: toSpki(key), certify, ...(quote && { quote }) }
  })
}

function decodeQuote(quote: NonNullable<TpmJoinRequest['quote']>): NonNullable<TpmEvidence['quote']> {
  const attest = decodeAttest(quote.attest)
  if (attest.type !== 'quote') throw new EnrollmentError('QUOTE_INVALID', `expected a quote, got a ${attest.type}`)
  const values = new Map(Object.entries(quote.pcrs.sha256).map(([pcr, value]) => [Number(pcr), value]))
  return { attest, values }
}

/**
 * The EK is what its maker's certificate is about, and its certificate names the key only: so everything else about it
 * is held to the TCG's templates (EK Credential Profile §B), by which every agent makes it. Among it are restricted,
 * decrypt, fixedTPM and fixedParent, and the hash and AES size that the credential is sealed with.
 */
function requireEndorsementKey(ek: TpmPublic): void {
  if (!ekTemplates.some((template) => isSame(shapeOf(ek), shapeOf(template.public)))) {
    throw new EnrollmentError('EK_UNSUITABLE', 'the endorsement key is of none of the TCG’s templates')
  }
}

/** The public area without the key itself. */
function shapeOf(area: TpmPublic): Uint8Array {
  const none = new Uint8Array(0)
  return encodePublic(area.type === 'rsa' ? { ...area, exponent: 0, modulus: none } : { ...area, x: none, y: none })
}

/** Restricted, so it signs only what its TPM has made; bound to its TPM, so it is that TPM's word. */
function requireAttestationKey(ak: TpmPublic): void {
  const set = ['restricted', 'sign', ...madeAndKeptInTpm] as const
  requireAttributes(ak, set, ['decrypt', 'encryptedDuplication'], 'AK_UNSUITABLE')
  requireScheme(ak, 'AK_UNSUITABLE')
}

/** Not restricted: it signs TLS handshakes, which its TPM has not made. */
function requireTlsKey(key: TpmPublic): void {
  const set = ['sign', ...madeAndKeptInTpm] as const
  requireAttributes(key, set, ['restricted', 'decrypt', 'encryptedDuplication'], 'KEY_UNSUITABLE')
  requireScheme(key, 'KEY_UNSUITABLE')
  if (key.type !== 'ecc' || key.curve !== 'P-256') throw new EnrollmentError('KEY_UNSUITABLE', 'expected a P-256 key')
}

const madeAndKeptInTpm = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const

/** Both attestations were made for this connection, this service, this key and this profile. */
function requireFresh({ certify, quote, keySpki }: TpmEvidence, { channel, trustDomain, profile }: TpmReference): void {
  const { binding, value } = channel
  const expected = qualifyingData({ binding, channel: value, trustDomain, spki: keySpki, profile: profile.name })
  if (!isSame(certify.extraData, expected))
    throw new EnrollmentError('CERTIFY_STALE', 'certify was made for something else')
  if (quote && !isSame(quote.attest.extraData, expected)) {
    throw new EnrollmentError('QUOTE_STALE', 'the quote was made for something else')
  }
}

function requireCertifiedKey({ certify, key }: TpmEvidence): void {
  if (!isSame(certify.name, nameOf(key))) throw new EnrollmentError('CERTIFY_KEY_MISMATCH', 'another key is certified')
}

/** As a primary there or as a child of the EK; elsewhere the TPM obfuscates its counters (Part 1 §36.7). */
function requireEndorsementHierarchy({ ak, ek, certify, quote }: TpmEvidence): void {
  const asPrimary = qualifiedNameOf(ak, 'endorsement')
  const asChild = qualifiedNameOf(ak, qualifiedNameOf(ek, 'endorsement'))
  const signers = [certify.qualifiedSigner, ...(quote ? [quote.attest.qualifiedSigner] : [])]
  if (!signers.every((signer) => isSame(signer, asPrimary)) && !signers.every((signer) => isSame(signer, asChild))) {
    throw new EnrollmentError('AK_HIERARCHY_INVALID', 'the attestation key is not in the endorsement hierarchy')
  }
}

/** `good`: every PCR of the profile was quoted with a value that it names. */
function requireQuotedPcrs({ quote, ak }: TpmEvidence, { pcrs, name }: EnrollmentProfile): 'good' | 'not asked for' {
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

function requireSignatures({ ak }: TpmEvidence, { certify, quote }: TpmJoinRequest): void {
  const check = ({ attest, signature }: SignedAttestation) => verifySignature(ak, attest, signature)
  asRefusal('CERTIFY_SIGNATURE_INVALID', () => check(certify))
  if (quote) asRefusal('QUOTE_SIGNATURE_INVALID', () => check(quote))
}

async function requireCsrFor(keySpki: Uint8Array, csr: Uint8Array): Promise<void> {
  const { spki } = await readCsr(csr)
  if (!isSame(spki, keySpki))
    throw new EnrollmentError('CSR_KEY_MISMATCH', 'the CSR is for another key than the one in the TPM')
}

function requireEndorsement(evidence: TpmEvidence, request: TpmJoinRequest, reference: TpmReference) {
  const { ekTrust, profile, at } = reference
  return appraiseEndorsement(evidence.ekSpki, request.ekCertificates ?? [], ekTrust, profile, at)
}

function tpmStateOf({ ak, certify, quote }: TpmEvidence): TpmState {
  const { clockInfo, firmwareVersion } = quote?.attest ?? certify
  return { akName: nameOf(ak), ...clockInfo, firmware: firmwareVersion }
}

/** The key of a CSR, whose sender has shown to hold it. @throws EnrollmentError CSR_INVALID */
export async function readCsr(csr: Uint8Array): Promise<CsrKey> {
  try {
    return await decodeCsr(csr)
  } catch (cause) {
    if (!(cause instanceof X509Error)) throw cause
    throw new EnrollmentError('CSR_INVALID', cause.message, { cause })
  }
}

function requireAttributes(
  area: TpmPublic,
  set: readonly AttributeName[],
  clear: readonly AttributeName[],
  code: EnrollmentErrorCode,
): void {
  const lacking = set.find((name) => !area.attributes[name])
  const excess = clear.find((name) => area.attributes[name])
  if (lacking !== undefined) throw new EnrollmentError(code, `the key lacks the attribute ${lacking}`)
  if (excess !== undefined) throw new EnrollmentError(code, `the key has the attribute ${excess}`)
}

/** A key that leaves the scheme to each command says too little about what it signs. */
function requireScheme(area: TpmPublic, code: EnrollmentErrorCode): void {
  if (area.scheme === undefined) throw new EnrollmentError(code, 'the key is bound to no signature scheme')
}

function asRefusal<T>(code: EnrollmentErrorCode, check: () => T): T {
  try {
    return check()
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause
    throw new EnrollmentError(code, cause.message, { cause })
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function sha256(text: string): Fingerprint {
  return parseFingerprint(createHash('sha256').update(text).digest('hex'))
}
