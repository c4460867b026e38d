import type {
  CertificateFacts,
  DeviceId,
  DeviceIdentity,
  Fingerprint,
  InstanceId,
  ProfileName,
  RegistryEvent,
  Tier,
} from '#protocol'
import { factsOf } from './certificate-facts.js'
import { RegistryError } from './errors.js'
import { hasHalfItsLife } from './half-life.js'
import type { CertificateRecord, Instance, RegistryState } from './state.js'

/** What a renewal comes to: the certificate that the key already has, or what a new one has to say. */
export type RenewalPlan = RenewalRepeat | RenewalIssue

export interface RenewalRepeat {
  readonly kind: 'repeat'
  readonly certificate: CertificateRecord
}

export interface RenewalIssue {
  readonly kind: 'issue'
  readonly device: DeviceId
  readonly instance: InstanceId
  readonly profile: ProfileName
  readonly spkiHash: Fingerprint
  /** What this request proves of the key, and no more. */
  readonly tier: Tier
  readonly presented: DeviceIdentity
  /** Of the instance when this was planned, and what was pending: a change since makes the plan stale. */
  readonly seen: { readonly generation: number; readonly pending?: Fingerprint }
  /** The presented certificate is pending: showing it here was its first use. */
  readonly promotesFirst: boolean
}

/**
 * The table of spec §5, row by row, for a certificate whose key the other end has just shown to hold.
 * @throws RegistryError
 */
export function planRenewal(
  state: RegistryState,
  presented: DeviceIdentity,
  spkiHash: Fingerprint,
  now: number,
): RenewalPlan {
  const { certificate, instance } = knownLine(state, presented)
  requireNotRevoked(state, certificate)
  if (certificate.notAfter <= now) throw refuse('CERTIFICATE_EXPIRED', certificate, 'has expired')

  const issue = (): RenewalIssue => ({
    kind: 'issue',
    device: certificate.device,
    instance: instance.id,
    profile: instance.profile,
    spkiHash,
    tier: provenTier(certificate, spkiHash),
    presented,
    seen: { generation: instance.generation, ...(instance.pending !== undefined && { pending: instance.pending }) },
    promotesFirst: certificate.state === 'pending',
  })
  const pending = certificateOf(state, instance.pending)
  const current = certificateOf(state, instance.current)
  switch (certificate.state) {
    case 'current': // nothing pending, or for another key: issue; for the same key: its pending certificate again
      return repeatOf(pending, spkiHash, now) ?? issue()
    case 'pending': // promoted first, and then nothing is pending any more
      return issue()
    case 'previous': // the key was kept and the file lost; any other key is a second copy of this machine
      if (current?.spkiHash !== spkiHash) throw refuse('CLONE_SUSPECTED', certificate, 'was replaced')
      return repeatOf(current, spkiHash, now) ?? repeatOf(pending, spkiHash, now) ?? issue()
    case 'superseded':
      throw refuse('SUPERSEDED', certificate, 'was superseded')
    case 'revoked':
      throw refuse('DEVICE_REVOKED', certificate, 'was revoked')
  }
}

/** The renewal as it is recorded: another pending certificate for the instance. */
export function renewalOf(
  { device, instance, presented }: RenewalIssue,
  certificate: CertificateFacts,
  { peer }: { readonly peer?: string },
): RegistryEvent {
  return {
    event: 'device.renew',
    ...{ device, instance, presentedSerial: presented.serial },
    ...(peer !== undefined && { peer }),
    ...factsOf(certificate),
  }
}

function knownLine(
  state: RegistryState,
  presented: DeviceIdentity,
): { readonly certificate: CertificateRecord; readonly instance: Instance } {
  const certificate = state.certificates.get(presented.fingerprint)
  const instance = certificate && state.instances.get(certificate.instance)
  if (instance === undefined || certificate?.device !== presented.deviceId) {
    throw new RegistryError('UNKNOWN_CERTIFICATE', `certificate ${presented.serial} was not issued here`)
  }
  return { certificate, instance }
}

function requireNotRevoked(state: RegistryState, certificate: CertificateRecord): void {
  if (state.devices.get(certificate.device)?.state === 'revoked') {
    throw refuse('DEVICE_REVOKED', certificate, 'belongs to a revoked device')
  }
}

/**
 * A renewal inherits no tier. A key that was certified to live in a TPM still lives there, so the same key keeps `tpm`;
 * what PCRs said then is not said now, and another key would have to be certified anew.
 */
function provenTier(certificate: CertificateRecord, spkiHash: Fingerprint): Tier {
  switch (certificate.tier) {
    case 'token':
      return 'token'
    case 'tpm':
    case 'tpm-unvouched':
    case 'tpm+pcr':
      if (spkiHash !== certificate.spkiHash) throw refuse('KEY_NOT_CERTIFIED', certificate, 'is for a key in a TPM')
      return certificate.tier === 'tpm-unvouched' ? 'tpm-unvouched' : 'tpm'
    case 'idevid':
      return 'token' // the new key is proven by the old one only
    case 'oidc-sim':
      throw refuse('CERTIFICATE_EXPIRED', certificate, 'is for one run and not renewable')
  }
}

function certificateOf(state: RegistryState, fingerprint: Fingerprint | undefined): CertificateRecord | undefined {
  return fingerprint === undefined ? undefined : state.certificates.get(fingerprint)
}

function repeatOf(
  certificate: CertificateRecord | undefined,
  spkiHash: Fingerprint,
  now: number,
): RenewalRepeat | undefined {
  if (certificate?.spkiHash !== spkiHash || !hasHalfItsLife(certificate, now)) return undefined
  return { kind: 'repeat', certificate }
}

function refuse(code: RegistryError['code'], certificate: CertificateRecord, problem: string): RegistryError {
  return new RegistryError(code, `certificate ${certificate.serial} of ${certificate.device} ${problem}`)
}
