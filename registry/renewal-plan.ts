import type {
  CertificateFacts,
  DeviceId,
  DeviceIdentity,
  Fingerprint,
  InstanceId,
  ProfileName,
  RegistryEvent,
  RenewalAttestation,
  Tier,
  TpmState,
} from '#protocol'
import { factsOf } from './certificate-facts.js'
import { RegistryError } from './errors.js'
import { isRepeatable } from './repeatable.js'
import type { CertificateRecord, Instance, RegistryState } from './state.js'
import { continuesHistory } from './tpm-history.js'

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
  readonly attestation?: RenewalAttestation
  readonly presented: DeviceIdentity
  /** Of the instance when this was planned, and what was pending: a change since makes the plan stale. */
  readonly seen: { readonly generation: number; readonly pending?: Fingerprint }
  /** The presented certificate is pending: showing it here was its first use. */
  readonly promotesFirst: boolean
}

/** The key that a renewal is for, and the evidence that came of it. */
export interface RenewalKey {
  readonly spkiHash: Fingerprint
  readonly attestation?: RenewalAttestation | undefined
}

/**
 * The table of spec §5, row by row, for a certificate whose key the other end has just shown to hold.
 * @throws RegistryError
 */
export function planRenewal(
  state: RegistryState,
  presented: DeviceIdentity,
  key: RenewalKey,
  now: number,
): RenewalPlan {
  const { spkiHash, attestation } = key
  const { certificate, instance } = knownLine(state, presented)
  requireNotRevoked(state, certificate)
  if (certificate.notAfter <= now) throw refuse('CERTIFICATE_EXPIRED', certificate, 'has expired')

  const pending = certificateOf(state, instance.pending)
  const current = certificateOf(state, instance.current)
  const proven = (): Proven => {
    const line = [certificate, pending, current].filter((one) => one !== undefined)
    return { spkiHash, tier: provenTier({ certificate, line, known: instance.tpm }, key) }
  }
  const issue = ({ tier }: Proven): RenewalIssue => ({
    kind: 'issue',
    device: certificate.device,
    instance: instance.id,
    profile: instance.profile,
    spkiHash,
    tier,
    ...(attestation !== undefined && { attestation }),
    presented,
    seen: { generation: instance.generation, ...(instance.pending !== undefined && { pending: instance.pending }) },
    promotesFirst: certificate.state === 'pending',
  })
  switch (certificate.state) {
    case 'current': // nothing pending, or for another key: issue; for the same key: its pending certificate again
      return repeatOf(pending, proven(), now) ?? issue(proven())
    case 'pending': // promoted first, and then nothing is pending any more
      return issue(proven())
    case 'previous': // the key was kept and the file lost; any other key is a second copy of this machine
      if (current?.spkiHash !== spkiHash) throw refuse('CLONE_SUSPECTED', certificate, 'was replaced')
      return repeatOf(current, proven(), now) ?? repeatOf(pending, proven(), now) ?? issue(proven())
    case 'superseded':
      throw refuse('SUPERSEDED', certificate, 'was superseded')
    case 'revoked':
      throw refuse('DEVICE_REVOKED', certificate, 'was revoked')
  }
}

/** The renewal as it is recorded: another pending certificate for the instance. */
export function renewalOf(
  { device, instance, presented, attestation }: RenewalIssue,
  certificate: CertificateFacts,
  { peer }: { readonly peer?: string },
): RegistryEvent {
  return {
    event: 'device.renew',
    ...{ device, instance, presentedSerial: presented.serial },
    ...(attestation !== undefined && { binding: attestation.binding, ...attestation.tpm }),
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

/** What a request shows of its key: a certificate that says the same may be given again. */
type Proven = Pick<CertificateRecord, 'spkiHash' | 'tier'>

interface Line {
  /** The one presented. */
  readonly certificate: CertificateRecord
  /** That, and what the instance holds beside it. */
  readonly line: readonly CertificateRecord[]
  readonly known: TpmState | undefined
}

/**
 * A renewal inherits no tier. Another key of a TPM must be certified anew by the attestation key that joined. The same
 * key still lives in its TPM and so keeps `tpm` without; what PCRs said then is not said now.
 */
function provenTier({ certificate, line, known }: Line, { spkiHash, attestation }: RenewalKey): Tier {
  switch (certificate.tier) {
    case 'token':
      return 'token'
    case 'tpm':
    case 'tpm-unvouched':
    case 'tpm+pcr':
      if (attestation !== undefined) requireHistory(certificate, known, attestation)
      else if (!line.some((one) => one.spkiHash === spkiHash && isResident(one.tier))) {
        throw refuse('KEY_NOT_CERTIFIED', certificate, 'is for a key in a TPM')
      }
      return certificate.tier === 'tpm-unvouched' ? 'tpm-unvouched' : (attestation?.tier ?? 'tpm')
    case 'idevid':
      return 'token' // the new key is proven by the old one only
    case 'oidc-sim':
      throw refuse('CERTIFICATE_EXPIRED', certificate, 'is for one run and not renewable')
  }
}

function isResident(tier: Tier): boolean {
  return tier === 'tpm' || tier === 'tpm-unvouched' || tier === 'tpm+pcr'
}

/** Since the TPM was last attested it was neither cleared nor copied; if it was, the EK must be proven again by a join. */
function requireHistory(certificate: CertificateRecord, known: TpmState | undefined, now: RenewalAttestation): void {
  if (known !== undefined && continuesHistory(known, now.tpm)) return
  throw refuse('TPM_HISTORY_BROKEN', certificate, 'is for a TPM whose counters went back')
}

function certificateOf(state: RegistryState, fingerprint: Fingerprint | undefined): CertificateRecord | undefined {
  return fingerprint === undefined ? undefined : state.certificates.get(fingerprint)
}

function repeatOf(
  certificate: CertificateRecord | undefined,
  { spkiHash, tier }: Proven,
  now: number,
): RenewalRepeat | undefined {
  if (certificate?.spkiHash !== spkiHash || certificate.tier !== tier) return undefined
  return isRepeatable(certificate, now) ? { kind: 'repeat', certificate } : undefined
}

function refuse(code: RegistryError['code'], certificate: CertificateRecord, problem: string): RegistryError {
  return new RegistryError(code, `certificate ${certificate.serial} of ${certificate.device} ${problem}`)
}
