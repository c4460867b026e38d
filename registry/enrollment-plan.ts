import { createHash, timingSafeEqual } from 'node:crypto'
import {
  type Anchor,
  type AttestationResult,
  type CertificateFacts,
  decodeHex,
  type DeviceId,
  type Fingerprint,
  hasLabels,
  type InstanceId,
  type Labels,
  parseDeviceId,
  parseInstanceId,
  type ProfileName,
  type RegistryEvent,
  type TokenId,
} from '#protocol'
import { factsOf } from './certificate-facts.js'
import { RegistryError } from './errors.js'
import { isRepeatable } from './repeatable.js'
import { anchorKey, type CertificateRecord, type Device, type RegistryState, type Token } from './state.js'
import { requireBound } from './token-binding.js'
import { breaksHistory } from './tpm-history.js'

/** A join token as its bearer proved it. */
export interface TokenCredential {
  readonly id: TokenId
  /** SHA-256 of the secret. */
  readonly secretHash: Fingerprint
}

/** What a join comes to: the certificate that the same key already got, or what a new one has to say. */
export type EnrollmentPlan = EnrollmentRepeat | EnrollmentIssue

export interface EnrollmentRepeat {
  readonly kind: 'repeat'
  readonly certificate: CertificateRecord
}

export interface EnrollmentIssue {
  readonly kind: 'issue'
  readonly device: DeviceId
  readonly instance: InstanceId
  readonly profile: ProfileName
  /** The device's labels after the join: those it has, else those of the token. */
  readonly labels: Labels
  readonly attestation: AttestationResult
  /** The TPM was cleared or copied since it was last attested. */
  readonly breaksHistory: boolean
  /** The token that this join is to spend. */
  readonly token?: TokenCredential
}

/** What the connection and the device itself said at a join or renewal: recorded, never decided on. */
export interface JoinContext {
  readonly peer?: string
  readonly reported?: Labels
}

/**
 * Who an attested machine is to us (spec §1, §2 "Genuine is not the same as ours"). The same credential with the same
 * key is the same instance, whatever was lost on the way; another key on a spent token is refused.
 * @throws RegistryError
 */
export function planEnrollment(
  state: RegistryState,
  attestation: AttestationResult,
  credential: TokenCredential | undefined,
  now: number,
  peer?: string,
): EnrollmentPlan {
  const claim = claimDevice(state, attestation, credential)
  if (claim.token !== undefined) requireBound(claim.token, attestation, peer)
  if (claim.device?.state === 'revoked') {
    throw new RegistryError('DEVICE_REVOKED', `device ${claim.id} was revoked`)
  }
  const instance = instanceIdOf(claim.id, attestation)
  const before = state.instances.get(instance)
  const pending = before?.pending === undefined ? undefined : state.certificates.get(before.pending)
  // By what its EK was last seen with: a cleared TPM makes new keys, and so comes as a new instance.
  const isBroken = breaksHistory(state.anchors.get(anchorKey(attestation.anchor))?.tpm, attestation)
  if (pending !== undefined && !isBroken && says(pending, attestation) && isRepeatable(pending, now)) {
    return { kind: 'repeat', certificate: pending }
  }

  const { token } = claim
  if (token !== undefined) requireUsable(token, before === undefined ? 'new' : before.generation, now)
  return {
    kind: 'issue',
    device: claim.id,
    instance,
    profile: attestation.profile,
    labels: claim.device?.labels ?? token?.labels ?? {},
    attestation,
    breaksHistory: isBroken,
    ...(token !== undefined && credential !== undefined && { token: credential }),
  }
}

/** The join as it is recorded: the token spent, the device bound, the certificate pending, all in one event. */
export function enrollmentOf(
  { device, instance, profile, labels, attestation, token }: EnrollmentIssue,
  certificate: CertificateFacts,
  { at, ...context }: JoinContext & { readonly at: number },
): RegistryEvent {
  return {
    event: 'device.enroll',
    ...{ device, instance, profile, labels },
    anchorKind: attestation.anchor.kind,
    anchorHash: attestation.anchor.hash,
    binding: attestation.binding,
    ...(token !== undefined && { token: token.id }),
    ...(attestation.maker !== undefined && { maker: attestation.maker }),
    ...(attestation.hardwareSerial !== undefined && { hardwareSerial: attestation.hardwareSerial }),
    ...(attestation.tpm !== undefined && { ...attestation.tpm, at }),
    ...context,
    ...factsOf(certificate),
  }
}

/** What is pending can come from a renewal, which may be for another key, or from a join that proved more or less. */
function says(certificate: CertificateRecord, { spkiHash, tier }: AttestationResult): boolean {
  return certificate.spkiHash === spkiHash && certificate.tier === tier
}

/** The device that this hardware is known as, by the anchor itself first. */
export function ownerOf(
  state: RegistryState,
  { anchor, aliases = [] }: Pick<AttestationResult, 'anchor' | 'aliases'>,
): DeviceId | undefined {
  return [anchor, ...aliases].map((one) => state.anchors.get(anchorKey(one))?.device).find((id) => id !== undefined)
}

/** The device that a join is for, and the token that says so where the hardware alone does not. */
interface Claim {
  readonly id: DeviceId
  readonly device: Device | undefined
  readonly token?: Token
}

function claimDevice(
  state: RegistryState,
  attestation: AttestationResult,
  credential: TokenCredential | undefined,
): Claim {
  const owner = ownerOf(state, attestation)
  if (owner !== undefined) return claimByAnchor(state, owner, attestation)
  if (credential === undefined || attestation.tier === 'tpm-unvouched') {
    throw new RegistryError('NOT_REGISTERED', 'neither the hardware nor a token says that this machine is ours')
  }
  return claimByToken(state, provenToken(state, credential), attestation)
}

function claimByAnchor(state: RegistryState, id: DeviceId, attestation: AttestationResult): Claim {
  const device = state.devices.get(id)
  if (device !== undefined) requireProfile(device.profile, attestation.profile)
  return { id, device }
}

function claimByToken(state: RegistryState, token: Token, attestation: AttestationResult): Claim {
  requireProfile(token.profile, attestation.profile)
  const id = token.device ?? derivedDeviceId(attestation)
  const device = state.devices.get(id)
  if (device !== undefined && !isFor(token, device) && !hasJoinedBefore(state, device, attestation)) {
    throw new RegistryError('ID_TAKEN', `device ${id} exists and has another key`)
  }
  return { id, device, token }
}

/**
 * It names the device, which has its labels: who made it for a device to come has a say about devices with these, and
 * none about what somebody else has made of the name since.
 */
function isFor(token: Token, device: Device): boolean {
  return token.device !== undefined && hasLabels(device.labels, token.labels)
}

/**
 * The secret comes first: what else is wrong with a token is told only to one who holds it.
 * @throws RegistryError TOKEN_UNKNOWN, TOKEN_MISMATCH, TOKEN_REVOKED
 */
export function provenToken(state: RegistryState, credential: TokenCredential): Token {
  const token = state.tokens.get(credential.id)
  if (token === undefined) throw new RegistryError('TOKEN_UNKNOWN', `token ${credential.id} is not known`)
  if (!timingSafeEqual(decodeHex(token.secretHash), decodeHex(credential.secretHash))) {
    throw new RegistryError('TOKEN_MISMATCH', `wrong secret for token ${credential.id}`)
  }
  if (token.revoked) throw new RegistryError('TOKEN_REVOKED', `token ${token.id} was revoked`)
  return token
}

/** `generation` of the instance that this token and key already made: until its first use the key may ask again. */
function requireUsable(token: Token, generation: 'new' | number, now: number): void {
  const isSpent = generation === 'new' ? token.uses.spent >= token.uses.allowed : generation > 0
  if (isSpent) throw new RegistryError('TOKEN_SPENT', `token ${token.id} was used ${token.uses.spent} times`)
  if (token.notAfter <= now) throw new RegistryError('TOKEN_EXPIRED', `token ${token.id} has expired`)
}

function requireProfile(expected: ProfileName, got: ProfileName): void {
  if (expected !== got) throw new RegistryError('PROFILE_MISMATCH', `expected profile ${expected}, got ${got}`)
}

/** Twelve digits can be made to collide; so a derived id is only given again to the very same key or hardware. */
function hasJoinedBefore(state: RegistryState, device: Device, attestation: AttestationResult): boolean {
  return device.instances.some((id) => {
    const { pending, current, previous } = state.instances.get(id) ?? {}
    return [pending, current, previous].some(
      (fingerprint) =>
        fingerprint !== undefined && state.certificates.get(fingerprint)?.spkiHash === attestation.spkiHash,
    )
  })
}

/** Readable, and the same at every try: after the hardware where it has proven itself, else after the key. */
export function derivedDeviceId({ anchor, spkiHash }: AttestationResult): DeviceId {
  return parseDeviceId(anchor.kind === 'ek' ? `tpm-${anchor.hash.slice(0, 12)}` : `dev-${spkiHash.slice(0, 12)}`)
}

/** The same at every try: what joins with this key as this device, recognised by this anchor. */
export function instanceIdOf(
  device: DeviceId,
  { anchor, spkiHash }: { anchor: Anchor; spkiHash: Fingerprint },
): InstanceId {
  const digest = createHash('sha256')
    .update(`${device}\n${anchorKey(anchor)}\n${spkiHash}`)
    .digest('hex')
  return parseInstanceId(`i-${digest.slice(0, 24)}`)
}
