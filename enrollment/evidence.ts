import { createHash } from 'node:crypto'
import {
  type Anchor,
  type AttestationResult,
  type ChannelBinding,
  type Fingerprint,
  parseFingerprint,
  type PcrVerdict,
  type ProfileName,
  type RenewalAttestation,
  type TokenId,
  type TpmJoinRequest,
  type TpmKeyEvidence,
  type TpmState,
} from '#protocol'
import { decodePublic, nameOf, type TpmPublic, toSpki } from '#tpm'
import { spkiHash } from '#x509'
import type { BoundChannel } from './channel.js'
import type { EkTrust } from './ek-trust.js'
import { EnrollmentError } from './errors.js'
import { appraiseEndorsement } from './evidence/endorsement.js'
import { requireEndorsementHierarchy, requireEndorsementKey } from './evidence/endorsement-key.js'
import {
  decodeKeyEvidence,
  type EvidencePurpose,
  requireResidentKey,
  requireSigned,
  tpmStateOf,
} from './evidence/key-evidence.js'
import { requireQuotedValues } from './evidence/quoted-pcrs.js'
import { type AppraisedIdevidJoin, idevidSerialAnchor } from './evidence/idevid.js'
import { asRefusal, isSame } from './evidence/refusing.js'
import { judgePcrs, requireComplete, requireEnforced } from './pcr-policy/appraise.js'
import type { PcrPolicyInForce } from './pcr-policy/policy.js'
import type { EnrollmentProfile } from './profile.js'

/*
 * The verifier (RFC 9334 §2): evidence in, attestation result out. At a join it reads no state of any device, so that
 * what a stranger is answered depends on what the stranger sent and on nothing that we know.
 */

/** A key whose sender has shown to hold it. */
export interface ProvenKey {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  readonly spkiHash: Fingerprint
}

/** What a token join proves: that the sender holds the key. Whose token it is, the registry says. */
export function attestTokenJoin(
  { spki, spkiHash }: ProvenKey,
  { token, profile, binding }: TokenReference,
): AttestationResult {
  const anchor = { kind: 'token', hash: sha256(`touchmark token ${token}`) } as const
  return { profile: profile.name, tier: 'token', anchor, spki, spkiHash, binding, token } as AttestationResult
}

interface TokenReference {
  readonly token: TokenId
  readonly profile: EnrollmentProfile
  /** By what the CSR, which the token's bearer sent, is tied to its connection. */
  readonly binding: ChannelBinding
}

/** What a simulator proves: that the sender holds the key of a CSR. That the run is one of ours, its token has shown. */
export function attestSimulator(
  { spki, spkiHash }: Pick<AttestationResult, 'spki' | 'spkiHash'>,
  anchor: Anchor,
  profile: EnrollmentProfile,
): AttestationResult {
  return { profile: profile.name, tier: 'oidc-sim', anchor, spki, spkiHash, binding: 'none' } as AttestationResult
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
  readonly madeAfter?: number
  /** Who vouches for the EK; nobody where the tier says so. */
  readonly maker?: string
  readonly pcr?: PcrVerdict
}

/** What a TPM join shows, of all that the request says. */
export type TpmJoinEvidence = Omit<TpmJoinRequest, 'profile' | 'token' | 'reported'>

/** What evidence is held against. */
export interface TpmReference extends EvidencePurpose {
  readonly ekTrust: EkTrust
  readonly at: Date
  /** What the PCRs are held against; absent where no policy holds for the profile. */
  readonly pcrPolicy: PcrPolicyInForce | undefined
}

/**
 * The checks of spec §2 step 1, cheapest first within their order: each throws with a code of its own.
 * @throws EnrollmentError
 */
export function appraiseTpm(
  request: TpmJoinEvidence,
  reference: TpmReference,
): { readonly appraised: AppraisedTpm; readonly ekPublic: TpmPublic } {
  const { profile, channel, ekTrust, at, pcrPolicy } = reference
  const { ek, ekSpki } = decodeEndorsementKey(request.ekPublic)
  const evidence = decodeKeyEvidence(request)
  requireEndorsementKey(ek)
  requireResidentKey(evidence, reference)
  requireEndorsementHierarchy(ek, evidence)
  const quoted = requireQuotedValues(evidence)
  requireSigned(evidence, request)
  const maker = appraiseEndorsement(ekSpki, request.ekCertificates ?? [], ekTrust, profile, at)
  const pcr = requireEnforced(judgePcrs({ quoted, eventLog: request.eventLog }, pcrPolicy, at.getTime()))

  const appraised = {
    profile: profile.name,
    tier: maker === undefined ? 'tpm-unvouched' : pcr?.outcome === 'good' ? 'tpm+pcr' : 'tpm',
    ekHash: spkiHash(ekSpki),
    spki: evidence.keySpki,
    spkiHash: spkiHash(evidence.keySpki),
    binding: channel.binding,
    tpm: tpmStateOf(evidence),
    ...madeFor(channel),
    ...(maker !== undefined && { maker }),
    ...(pcr !== undefined && { pcr }),
  } as const
  return { appraised, ekPublic: ek }
}

/** To be called when the challenge was answered, and only then: now the EK is proven too. */
export function attestTpmJoin({ ekHash, ...appraised }: AppraisedTpm, token?: TokenId): AttestationResult {
  const anchor = { kind: 'ek', hash: ekHash } as const
  return { ...appraised, anchor, ...(token !== undefined && { token }) } as AttestationResult
}

/** What a maker's certificate for a machine proves together with TLS, and a CSR for a key of its own (spec §3). */
export function attestIdevidJoin(
  { idevid, key }: AppraisedIdevidJoin,
  profile: EnrollmentProfile,
  binding: ChannelBinding,
): AttestationResult {
  const { maker, hash, serials } = idevid
  const [hardwareSerial] = serials
  const anchor = { kind: 'idevid', hash } as const
  const known: Pick<AttestationResult, 'maker' | 'hardwareSerial' | 'aliases'> = {
    maker,
    ...(hardwareSerial !== undefined && { hardwareSerial }),
    aliases: serials.map((serial) => idevidSerialAnchor(maker, serial)),
  }
  const { spki, spkiHash } = key
  const proven = { profile: profile.name, tier: 'idevid', anchor, spki, spkiHash, binding } as const
  return { ...proven, ...known } as AttestationResult
}

export interface RenewalReference extends EvidencePurpose {
  /** Of the attestation key by which this device joined; absent for one that joined without a TPM. */
  readonly akName: Uint8Array | undefined
  readonly pcrPolicy: PcrPolicyInForce | undefined
  readonly at: Date
}

/**
 * The checks of spec §5 on the key that a renewal is for. The EK is not asked for again: `fixedParent` holds the
 * attestation key of this Name where the join has seen it, in the endorsement hierarchy of that EK's TPM.
 * @throws EnrollmentError
 */
export function attestRenewal(
  request: TpmKeyEvidence,
  reference: RenewalReference,
): { readonly attestation: RenewalAttestation; readonly pcr: PcrVerdict | undefined } {
  const { channel, akName, pcrPolicy, at } = reference
  const evidence = decodeKeyEvidence(request)
  if (akName === undefined || !isSame(nameOf(evidence.ak), akName)) {
    throw new EnrollmentError('AK_MISMATCH', 'the attestation key is not the one that this device joined with')
  }
  requireResidentKey(evidence, reference)
  const quoted = requireQuotedValues(evidence)
  requireSigned(evidence, request)
  const pcr = quoted && requireComplete(judgePcrs({ quoted, eventLog: request.eventLog }, pcrPolicy, at.getTime()))
  const proven = { spki: evidence.keySpki, binding: channel.binding, tpm: tpmStateOf(evidence), ...madeFor(channel) }
  return { attestation: { ...proven, tier: pcr?.outcome === 'good' ? 'tpm+pcr' : 'tpm' } as RenewalAttestation, pcr }
}

function madeFor({ since }: BoundChannel): Pick<AttestationResult, 'madeAfter'> {
  return since === undefined ? {} : { madeAfter: since }
}

function decodeEndorsementKey(area: Uint8Array): { readonly ek: TpmPublic; readonly ekSpki: Uint8Array } {
  return asRefusal('EVIDENCE_MALFORMED', () => {
    const ek = decodePublic(area)
    return { ek, ekSpki: toSpki(ek) }
  })
}

function sha256(text: string): Fingerprint {
  return parseFingerprint(createHash('sha256').update(text).digest('hex'))
}
