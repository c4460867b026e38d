import type { DeviceId, Labels, LockId, LockMode, LockTarget, OperatorFacts, RegistryEvent } from '#protocol'
import { RegistryError } from '../errors.js'
import type { Journal, Shutting } from '../journal.js'
import type { Lock, RegistryState } from '../state.js'
import { ActingLocks, type LockEnd } from './acting-locks.js'
import type { LeaseTerms } from './lease-terms.js'
import { type LockChange, LockFeed, type LockHold, type LockProgress } from './lock-feed.js'
import { LockGate } from './lock-gate.js'
import { isOn, LockIndex, type RolesOf } from './lock-index.js'
import type { LockOrder } from './lock-order.js'
import { planLock } from './lock-plan.js'
import type { Clocks } from './lock-times.js'
import { isKeptOut, type Standing, Standings, type StandingsChange } from './standings.js'
import { subjectOfDevice } from './subject.js'

/** What locks ask of the policy in force. */
export interface PolicyAnswers {
  readonly rolesOf: RolesOf
  /** Whether it says what is left to a device in quarantine. */
  readonly hasQuarantine: () => boolean
}

/** A lock that acts. */
export interface Locking extends Shutting {
  readonly lock: Lock
  /** Known devices that it is on. */
  readonly devices: number
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
  readonly #journal: Pick<Journal, 'change' | 'actFirst' | 'note'>
  readonly #standings: Standings
  readonly #feed: LockFeed
  readonly #acting: ActingLocks
  /** What they refuse to whoever shows a certificate, or asks for one. */
  readonly gate: LockGate
  #index: LockIndex
  #policy = noPolicy

  constructor(state: RegistryState, clocks: Clocks, journal: Pick<Journal, 'change' | 'actFirst' | 'note'>) {
    this.#state = state
    this.#clocks = clocks
    this.#journal = journal
    this.#acting = new ActingLocks(state, journal, clocks)
    this.#standings = new Standings(state)
    this.#index = this.#newIndex()
    this.#refresh(this.#allDevices())
    this.#feed = new LockFeed(clocks.elapsed, () => this.#standings.all(), state.epoch)
    this.gate = new LockGate(state, this)
  }

  /** See {@link Registry.addLock}. */
  add(order: LockOrder, by: OperatorFacts): Locking {
    const hitBy = (target: LockTarget) => this.devicesHitBy(target)
    const [added, ...revoked] = planLock(this.#state, order, { by, at: this.#clocks.now(), hitBy })
    const outcome = this.#journal.actFirst([added, ...revoked])
    const lock = this.#acting.begin(order.lock)
    this.#locksChanged(lock)
    return { ...outcome, lock, devices: added.devices, epoch: this.#state.epoch }
  }

  /** See {@link Registry.removeLock}. */
  async remove(lock: LockId, by: OperatorFacts): Promise<void> {
    return this.#end({ event: 'lock.remove', lock, revision: this.#state.epoch + 1, ...by })
  }

  /** See {@link Registry.expireLocks}. */
  async expire(): Promise<void> {
    for (const { id: lock } of this.#acting.due()) {
      if (!this.#acting.has(lock)) continue // it has ended while the one before was on its way to the disk
      await this.#end({ event: 'lock.expire', lock, revision: this.#state.epoch + 1 })
    }
  }

  /** All that act. */
  get acting(): readonly Lock[] {
    return this.#acting.all()
  }

  /** How many changes there were of who is kept out: the newest one's place among them. */
  get epoch(): number {
    return this.#state.epoch
  }

  /** By whom each of them is found. */
  get index(): LockIndex {
    return this.#index
  }

  /** Known devices that a target is on now. */
  devicesHitBy(target: LockTarget): readonly DeviceId[] {
    return this.#devicesNear(target).filter((id) => {
      const device = this.#state.devices.get(id)
      return device !== undefined && isOn(target, subjectOfDevice(this.#state, device), this.#policy.rolesOf)
    })
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

  /** The locks that are on a device, and would not be with these labels. */
  liftedBy(labels: Labels, id: DeviceId): readonly Lock[] {
    const device = this.#state.devices.get(id)
    if (device === undefined) return []
    const still = new Set(this.#index.hits(subjectOfDevice(this.#state, { ...device, labels })))
    return this.#index.hits(subjectOfDevice(this.#state, device)).filter((lock) => !still.has(lock))
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

  /** From here on this is asked; when it answers something else, {@link policyChanged} is to be called. */
  judgeBy(policy: PolicyAnswers): void {
    this.#policy = policy
    this.#index = this.#newIndex()
    this.policyChanged()
  }

  /** Another policy is in force. Returns how many devices stand otherwise because of that. */
  policyChanged(): number {
    const asks = ({ target, mode }: Lock) => 'role' in target || mode === 'quarantine'
    if (!this.acting.some(asks)) return 0
    const { locked, quarantined, restored, released } = this.#publish(this.#allDevices(), { always: false })
    return new Set([...locked, ...quarantined, ...restored, ...released]).size
  }

  /** Gives a broker the whole state, and every change from then on. */
  follow(name: string, apply: (change: LockChange, hold: LockHold) => void, terms?: LeaseTerms): LockHold {
    return this.#feed.follow(name, apply, terms)
  }

  progress(revision: number): LockProgress {
    return this.#feed.progress(revision)
  }

  /** An event about a device has changed the state: works out what follows, and tells every broker before it returns. */
  eventApplied(event: RegistryEvent): void {
    const isRevocation = event.event === 'device.revoke'
    const device = 'device' in event ? event.device : undefined
    if (device !== undefined) this.#publish([device], { always: isRevocation, device })
  }

  /** They are known no more, and a lock that was on one of them is on nobody. */
  devicesForgotten(devices: readonly DeviceId[]): void {
    this.#publish(devices, { always: false })
  }

  async #end(event: LockEnd): Promise<void> {
    const lock = await this.#acting.end(event)
    this.#locksChanged(lock)
  }

  #locksChanged({ target }: Lock): void {
    this.#index = this.#newIndex()
    this.#publish(this.#devicesNear(target), { always: true }) // also where it is on nobody: it can be on where they come from
  }

  /** Those that a target can be on: for one that names a device nobody goes through a whole fleet, while all others wait. */
  #devicesNear(target: LockTarget): readonly DeviceId[] {
    if ('device' in target) return [target.device]
    if (!('instance' in target)) return this.#allDevices()
    const instance = this.#state.instances.get(target.instance)
    return instance === undefined ? [] : [instance.device]
  }

  #newIndex(): LockIndex {
    return new LockIndex(this.acting, (device) => this.#policy.rolesOf(device))
  }

  #publish(
    devices: Iterable<DeviceId>,
    { always, device }: { readonly always: boolean; readonly device?: DeviceId },
  ): StandingsChange {
    const change = this.#refresh(devices)
    if (!always && Object.values(change).every((list: readonly DeviceId[]) => list.length === 0)) return change
    // What follows from a change of labels has its place among the revisions too, as has what was overtaken on its way.
    if (!always || this.#feed.revision === this.#state.epoch) this.#state.epoch++
    this.#feed.publish({ ...change, revision: this.#state.epoch, ...(device !== undefined && { device }) })
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
      if (lock) this.#journal.note({ event: 'device.quarantine', device: id, lock: lock.id, revision })
    }
    for (const device of released) this.#journal.note({ event: 'device.release', device, revision })
  }

  #allDevices(): readonly DeviceId[] {
    return this.#state.devices.values().map(({ id }) => id)
  }
}
