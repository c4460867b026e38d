import type { AttestationResult, DeviceId, DeviceIdentity, LockId, LockTarget, RegistryEvent } from '#protocol'
import type { EnrollmentPlan } from '../enrollment-plan.js'
import { RegistryError } from '../errors.js'
import type { Lock, RegistryState } from '../state.js'
import { addressOf } from './address-range.js'
import { KeptOut, type KeptOutChange } from './kept-out.js'
import { type LockChange, LockFeed, type LockLease, type LockProgress } from './lock-feed.js'
import { isOn, LockIndex, type RolesOf } from './lock-index.js'
import { type Subject, subjectOfCertificate, subjectOfDevice, subjectOfJoin } from './subject.js'

/** Milliseconds since 1970, and by a clock that nobody sets. */
export interface Clocks {
  readonly now: () => number
  readonly elapsed: () => number
}

/** The locks as they act now: whom they keep out, who is told of it, and when they end. */
export class Locks {
  readonly #state: RegistryState
  readonly #clocks: Clocks
  readonly #keptOut: KeptOut
  readonly #feed = new LockFeed()
  /** By the clock that nobody sets, when a lock's time is over: a clock that is set forward must not open anything. */
  readonly #overAt = new Map<LockId, number>()
  #index: LockIndex
  /** Until it is told, by no policy: then every device that has a certificate is taken to have every role. */
  #rolesOf: RolesOf = () => {
    throw new RegistryError('CONFLICT', 'no policy is in force yet')
  }

  constructor(state: RegistryState, clocks: Clocks) {
    this.#state = state
    this.#clocks = clocks
    this.#keptOut = new KeptOut(state)
    this.#index = this.#newIndex()
    this.#keptOut.refresh(this.#index, this.#allDevices())
    for (const lock of state.locks.values()) this.#begin(lock)
  }

  /** Known devices that a target is on now. */
  devicesHitBy(target: LockTarget): readonly DeviceId[] {
    const hit = this.#state.devices
      .values()
      .filter((device) => isOn(target, subjectOfDevice(this.#state, device), this.#rolesOf))
    return hit.map(({ id }) => id)
  }

  /** How many known devices each lock is on, in one pass over them. */
  countDevices(): ReadonlyMap<LockId, number> {
    const counts = new Map<LockId, number>()
    for (const device of this.#state.devices.values()) {
      for (const { id } of this.#index.hits(subjectOfDevice(this.#state, device))) {
        counts.set(id, (counts.get(id) ?? 0) + 1)
      }
    }
    return counts
  }

  /** Whether a device is locked or revoked: it says and hears nothing. */
  keepsOut(device: DeviceId): boolean {
    return this.#keptOut.has(device)
  }

  /** Whether a lock is on who shows this certificate. */
  isOnCertificate(identity: DeviceIdentity, address: string | undefined): boolean {
    if (this.#state.locks.size === 0) return false
    const certificate = this.#state.certificates.get(identity.fingerprint)
    const subject = certificate && subjectOfCertificate(this.#state, certificate, address)
    return subject === undefined || this.#index.hit(subject) !== undefined
  }

  /** @throws RegistryError LOCKED where no certificate may be issued for this join */
  requireUnlockedJoin(plan: EnrollmentPlan, attestation: AttestationResult, peer: string | undefined): void {
    if (this.#state.locks.size === 0) return
    const { device, instance } = plan.kind === 'issue' ? plan : plan.certificate
    const { anchor, profile, tier, token } = attestation
    const bearer = token ?? (plan.kind === 'issue' ? plan.token?.id : this.#state.instances.get(instance)?.token)
    const labels = plan.kind === 'issue' ? plan.labels : (this.#state.devices.get(device)?.labels ?? {})
    const address = peer === undefined ? undefined : addressOf(peer)
    this.#requireUnlocked(
      subjectOfJoin(this.#state, { device, instance, labels, tier, profile, anchor, token: bearer, address }),
    )
  }

  /** @throws RegistryError LOCKED where this certificate may not be renewed */
  requireUnlockedRenewal(identity: DeviceIdentity, peer: string | undefined): void {
    if (!this.isOnCertificate(identity, peer === undefined ? undefined : addressOf(peer))) return
    throw new RegistryError('LOCKED', `device ${identity.deviceId} is locked`)
  }

  /** From here on roles are what this says; to be called again by {@link rolesChanged} when it says something else. */
  judgeRolesBy(rolesOf: RolesOf): void {
    this.#rolesOf = rolesOf
    this.#index = this.#newIndex()
    this.rolesChanged()
  }

  /** Another policy is in force. Returns how many devices are kept out, or no longer, because of that. */
  rolesChanged(): number {
    if (!this.#state.locks.values().some(({ target }) => 'role' in target)) return 0
    const { locked, restored } = this.#publish(this.#allDevices(), { always: false })
    return locked.length + restored.length
  }

  /** Gives a broker the whole state, and every change from then on. */
  follow(name: string, apply: (change: LockChange, lease: LockLease) => void): LockLease {
    return this.#feed.follow(name, apply, { ...this.#keptOut.all(), revision: this.#state.epoch })
  }

  progress(revision: number): LockProgress {
    return this.#feed.progress(revision)
  }

  /** An event has changed the state: works out whom that keeps out, and tells every broker before it returns. */
  eventApplied(event: RegistryEvent): void {
    if ('lock' in event && event.event !== 'device.revoke') {
      this.#locksChanged(event.lock)
      return
    }
    const isRevocation = event.event === 'device.revoke'
    if ('device' in event && event.device !== undefined) this.#publish([event.device], { always: isRevocation })
  }

  /** Locks whose time is over, by both clocks. */
  due(): readonly LockId[] {
    const { now, elapsed } = this.#clocks
    const isOver = ({ id, notAfter = Infinity }: Lock) => notAfter <= now() && (this.#overAt.get(id) ?? 0) <= elapsed()
    return this.#state.locks
      .values()
      .filter(isOver)
      .map(({ id }) => id)
  }

  #locksChanged(id: LockId): void {
    const lock = this.#state.locks.get(id)
    if (lock) this.#begin(lock)
    else this.#overAt.delete(id)
    this.#index = this.#newIndex()
    this.#publish(this.#allDevices(), { always: true }) // also where it is on nobody: it can be on where they come from
  }

  #newIndex(): LockIndex {
    return new LockIndex(this.#state.locks.values(), (device) => this.#rolesOf(device))
  }

  #publish(devices: Iterable<DeviceId>, { always }: { readonly always: boolean }): KeptOutChange {
    const change = this.#keptOut.refresh(this.#index, devices)
    if (!always && Object.values(change).every((list: readonly DeviceId[]) => list.length === 0)) return change
    if (!always) this.#state.epoch++ // what follows from a change of labels has its place among the revisions too
    this.#feed.publish({ ...change, revision: this.#state.epoch })
    return change
  }

  #begin({ id, notAfter }: Lock): void {
    const { now, elapsed } = this.#clocks
    if (notAfter !== undefined && !this.#overAt.has(id)) this.#overAt.set(id, elapsed() + Math.max(0, notAfter - now()))
  }

  #requireUnlocked(subject: Subject): void {
    const lock = this.#index.hit(subject)
    if (lock) throw new RegistryError('LOCKED', `lock ${lock.id} is on ${subject.device}`)
  }

  #allDevices(): readonly DeviceId[] {
    return this.#state.devices.values().map(({ id }) => id)
  }
}
