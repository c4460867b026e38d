import type {
  AttestationResult,
  CertificateFacts,
  CertificateHolder,
  DeviceIdentity,
  LockId,
  LockMode,
} from '#protocol'
import { derivedDeviceId, type EnrollmentPlan, instanceIdOf } from '../enrollment-plan.js'
import { LockedError } from '../errors.js'
import type { Lock, RegistryState } from '../state.js'
import { addressOf } from './address-range.js'
import { isSignedBy, type LockIndex } from './lock-index.js'
import { isKeptOut, type Standing } from './standings.js'
import { subjectOfCertificate, subjectOfDevice, subjectOfJoin } from './subject.js'

/** The locks as they act at this moment. */
interface ActingLocks {
  readonly acting: readonly Lock[]
  readonly index: LockIndex
  /** What a lock of this mode does to whom it is on. */
  standingBy(mode: LockMode): Standing
}

/** What locks refuse to whoever shows a certificate, or asks for one. */
export class LockGate {
  readonly #state: RegistryState
  readonly #locks: ActingLocks

  constructor(state: RegistryState, locks: ActingLocks) {
    this.#state = state
    this.#locks = locks
  }

  /** What keeps out who shows this certificate. `unknown`: it is none of ours, which opens nothing where there are locks. */
  keepsOut(holder: CertificateHolder, address: string | undefined): LockId | 'unknown' | undefined {
    if (this.#locks.index.isEmpty) return undefined
    const certificate = this.#state.certificates.get(holder.fingerprint)
    const subject = certificate && subjectOfCertificate(this.#state, certificate, address)
    if (subject === undefined) return 'unknown'
    const lock = this.#locks.index.hit(subject)
    return lock && isKeptOut(this.#locks.standingBy(lock.mode)) ? lock.id : undefined
  }

  /** @throws RegistryError LOCKED where no certificate may be issued for this join */
  requireJoin(plan: EnrollmentPlan, attestation: AttestationResult, peer: string | undefined): void {
    if (this.#locks.index.isEmpty) return
    const { device, instance } = plan.kind === 'issue' ? plan : plan.certificate
    const { anchor, profile, tier, token } = attestation
    const bearer = token ?? (plan.kind === 'issue' ? plan.token?.id : this.#state.instances.get(instance)?.token)
    const labels = plan.kind === 'issue' ? plan.labels : (this.#state.devices.get(device)?.labels ?? {})
    const joining = { device, instance, labels, tier, profile, anchor, token: bearer, address: addressIn(peer) }
    const subject = subjectOfJoin(this.#state, joining)
    // Roles can go with a tier: who is locked as what it is does not get out by proving more, or less.
    const known = this.#state.devices.get(device)
    const { tier: tierNow = tier } = known ? subjectOfDevice(this.#state, known) : {}
    const lock = this.#locks.index.hit(subject) ?? this.#locks.index.hit({ ...subject, tier: tierNow })
    if (lock) throw new LockedError(lock.id, device)
  }

  /** @throws RegistryError LOCKED where hardware that nobody has registered could not join if somebody did */
  requireStranger(attestation: AttestationResult, peer: string | undefined): void {
    if (this.#locks.index.isEmpty) return
    const { anchor, profile, tier } = attestation
    const device = derivedDeviceId(attestation)
    const named = { device, instance: instanceIdOf(device, attestation), labels: {} }
    const lock = this.#locks.index.hit(
      subjectOfJoin(this.#state, { ...named, anchor, profile, tier, address: addressIn(peer) }),
    )
    if (lock) throw new LockedError(lock.id, `${anchor.kind} ${anchor.hash}`)
  }

  /** @throws RegistryError LOCKED where this certificate may not be renewed */
  requireRenewal(identity: DeviceIdentity, peer: string | undefined): void {
    const lock = this.keepsOut(identity, addressIn(peer))
    if (lock !== undefined) throw new LockedError(lock, identity.deviceId)
  }

  /** @throws RegistryError LOCKED where the key that has signed this certificate is locked: then it is thrown away */
  requireIssuer(certificate: CertificateFacts): void {
    const issuer = certificate.issuer ?? 'unknown'
    const signed = ({ target }: Lock) => 'issuer' in target && isSignedBy(target.issuer, issuer)
    const lock = this.#locks.acting.find(signed)
    if (lock) throw new LockedError(lock.id, `the key ${issuer} that signs now`)
  }
}

function addressIn(peer: string | undefined): string | undefined {
  return peer === undefined ? undefined : addressOf(peer)
}
