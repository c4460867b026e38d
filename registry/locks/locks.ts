import type {
  AttestationResult,
  CertificateFacts,
  CertificateHolder,
  DeviceId,
  DeviceIdentity,
  LockId,
  LockMode,
  LockTarget,
  RegistryEvent,
  ServiceEvent,
} from '#protocol'
import type { EnrollmentPlan } from '../enrollment-plan.js'
import { LockedError, RegistryError } from '../errors.js'
import type { Lock, RegistryState } from '../state.js'
import { addressOf } from './address-range.js'
import { type FollowOptions, type LockChange, LockFeed, type LockHold, type LockProgress } from './lock-feed.js'
import { isOn, isSignedBy, LockIndex, type RolesOf } from './lock-index.js'
import { isKeptOut, type Standing, Standings, type StandingsChange } from './standings.js'
import { type Subject, subjectOfCertificate, subjectOfDevice, subjectOfJoin } from './subject.js'

/** Milliseconds since 1970, and by a clock that nobody sets. */
export interface Clocks {
  readonly now: () => number
  readonly elapsed: () => number
}

/** What locks ask of the policy in force. */
export interface PolicyAnswers {
  readonly rolesOf: RolesOf
  /** Whether it says what is left to a device in quarantine. */
  readonly hasQuarantine: () => boolean
}

/** Until a policy is known: every device that has a certificate is taken to have every role, and quarantine keeps out. */
const noPolicy: PolicyAnswers = {
  rolesOf: () => {
    throw new RegistryError('CONFLICT', 'no policy is in force yet')
  },
  hasQuarantine: () => false,
}

/** The locks as they act now: whom they keep out, who is told of it, and when they end. */
export class Locks {
  readonly #state: RegistryState
  readonly #clocks: Clocks
  readonly #note: (event: ServiceEvent) => void
  readonly #standings: Standings
  readonly #feed: LockFeed
  /** By the clock that nobody sets, when a lock's time is over: a clock that is set forward must not open anything. */
  readonly #overAt = new Map<LockId, number>()
  #index: LockIndex
  #policy = noPolicy

  /** `note`: writes down what has happened already. */
  constructor(state: RegistryState, clocks: Clocks, note: (event: ServiceEvent) => void) {
    this.#state = state
    this.#clocks = clocks
    this.#note = note
    this.#standings = new Standings(state)
    this.#index = this.#newIndex()
    this.#refresh(this.#allDevices())
    this.#feed = new LockFeed(clocks.elapsed, () => ({ ...this.#standings.all(), revision: this.#state.epoch }))
    for (const lock of state.locks.values()) this.#begin(lock)
  }

  /** Known devices that a target is on now. */
  devicesHitBy(target: LockTarget): readonly DeviceId[] {
    const hit = this.#state.devices
      .values()
      .filter((device) => isOn(target, subjectOfDevice(this.#state, device), this.#policy.rolesOf))
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
    return isKeptOut(this.#standings.of(device))
  }

  /** Whether a device has no role but the one for quarantine. */
  isQuarantined(device: DeviceId): boolean {
    return this.#standings.of(device) === 'quarantined'
  }

  /** What a lock of this mode does to whom it is on: where the policy in force knows no quarantine, that keeps out too. */
  standingBy(mode: LockMode): Standing {
    return mode === 'quarantine' && this.#policy.hasQuarantine() ? 'quarantined' : 'locked'
  }

  /** What keeps out who shows this certificate. `unknown`: it is none of ours, which opens nothing where there are locks. */
  keepsOutCertificate(holder: CertificateHolder, address: string | undefined): LockId | 'unknown' | undefined {
    if (this.#state.locks.size === 0) return undefined
    const certificate = this.#state.certificates.get(holder.fingerprint)
    const subject = certificate && subjectOfCertificate(this.#state, certificate, address)
    if (subject === undefined) return 'unknown'
    const lock = this.#index.hit(subject)
    return lock && isKeptOut(this.standingBy(lock.mode)) ? lock.id : undefined
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
    const lock = this.keepsOutCertificate(identity, peer === undefined ? undefined : addressOf(peer))
    if (lock !== undefined) throw new LockedError(lock, identity.deviceId)
  }

  /** @throws RegistryError LOCKED where the key that has signed this certificate is locked: then it is thrown away */
  requireUnlockedIssuer(certificate: CertificateFacts): void {
    const issuer = certificate.issuer ?? 'unknown'
    const signed = ({ target }: Lock) => 'issuer' in target && isSignedBy(target.issuer, issuer)
    const lock = this.#state.locks.values().find(signed)
    if (lock) throw new LockedError(lock.id, `the key ${issuer} that signs now`)
  }

  /** From here on this is asked; when it answers something else, {@link policyChanged} is to be called. */
  judgeBy(policy: PolicyAnswers): void {
    this.#policy = policy
    this.#index = this.#newIndex()
    this.policyChanged()
  }

  /** Another policy is in force. Returns how many devices stand otherwise because of that. */
  policyChanged(): number {
    const asks = ({ target, mode }: Lock) => 'role' in target || mode === 'quarantine'
    if (!this.#state.locks.values().some(asks)) return 0
    const { locked, quarantined, restored, released } = this.#publish(this.#allDevices(), { always: false })
    return new Set([...locked, ...quarantined, ...restored, ...released]).size
  }

  /** Gives a broker the whole state, and every change from then on. */
  follow(name: string, apply: (change: LockChange, hold: LockHold) => void, options?: FollowOptions): LockHold {
    return this.#feed.follow(name, apply, options)
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
    return new LockIndex(this.#state.locks.values(), (device) => this.#policy.rolesOf(device))
  }

  #publish(devices: Iterable<DeviceId>, { always }: { readonly always: boolean }): StandingsChange {
    const change = this.#refresh(devices)
    if (!always && Object.values(change).every((list: readonly DeviceId[]) => list.length === 0)) return change
    if (!always) this.#state.epoch++ // what follows from a change of labels has its place among the revisions too
    this.#feed.publish({ ...change, revision: this.#state.epoch })
    this.#noteQuarantine(change)
    return change
  }

  #refresh(devices: Iterable<DeviceId>): StandingsChange {
    return this.#standings.refresh(devices, this.#index, (mode) => this.standingBy(mode))
  }

  #noteQuarantine({ quarantined, released }: StandingsChange): void {
    const { epoch: revision } = this.#state
    for (const id of quarantined) {
      const device = this.#state.devices.get(id)
      const lock = device && this.#index.hit(subjectOfDevice(this.#state, device))
      if (lock) this.#note({ event: 'device.quarantine', device: id, lock: lock.id, revision })
    }
    for (const device of released) this.#note({ event: 'device.release', device, revision })
  }

  #begin({ id, notAfter }: Lock): void {
    const { now, elapsed } = this.#clocks
    if (notAfter !== undefined && !this.#overAt.has(id)) this.#overAt.set(id, elapsed() + Math.max(0, notAfter - now()))
  }

  #requireUnlocked(subject: Subject): void {
    const lock = this.#index.hit(subject)
    if (lock) throw new LockedError(lock.id, subject.device)
  }

  #allDevices(): readonly DeviceId[] {
    return this.#state.devices.values().map(({ id }) => id)
  }
}
