import type { DeviceId, RegistryEvent } from '#protocol'
import { RegistryError } from './errors.js'
import type { Journal, Recording } from './journal.js'
import type { Locks } from './locks/locks.js'
import type { RegistryState } from './state.js'

export interface RegistryChange {
  /**
   * `promoted`: a certificate was used for the first time, so that others of the device are over. `cloned`: see
   * device.clone. `reported`: it says something new of itself, or a machine of its that joined does. `forgotten`: it is
   * known no more.
   */
  readonly kind: 'revoked' | 'labels' | 'promoted' | 'cloned' | 'reported' | 'forgotten'
  readonly device: DeviceId
}

export interface RegistrarOptions {
  readonly state: RegistryState
  readonly journal: Journal
  readonly locks: Locks
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/**
 * Enters what was checked, and sees to what follows: who is kept out now, and who is to hear of it. All parts of the
 * registry that change something do it here.
 */
export class Registrar {
  readonly state: RegistryState
  readonly locks: Locks
  readonly now: () => number
  readonly #journal: Journal
  readonly #listeners = new Set<(change: RegistryChange) => void>()

  constructor({ state, journal, locks, now }: RegistrarOptions) {
    this.state = state
    this.locks = locks
    this.now = now
    this.#journal = journal
  }

  /** Acts before this returns, and resolves when log and store hold it. */
  enter(event: RegistryEvent): Promise<void> {
    return this.#journal.change(event, () => this.locks.eventApplied(event))
  }

  /** What shuts somebody out: it acts whether it can be recorded or not. */
  shut(event: RegistryEvent): Recording {
    const recording = this.#journal.actFirst([event])
    this.locks.eventApplied(event)
    return recording
  }

  /** Called synchronously with each change, before it is durable. Listeners must not throw. Returns the way to stop. */
  onChange(listener: (change: RegistryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(change: RegistryChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  /** Resolves when all changes so far are durable. @throws RegistryError REGISTRY_FAILED */
  settled(): Promise<void> {
    return this.#journal.settled()
  }

  /** @throws RegistryError DEVICE_UNKNOWN */
  requireDevice(id: DeviceId): void {
    if (!this.state.devices.has(id)) throw new RegistryError('DEVICE_UNKNOWN', `device ${id} is not known`)
  }
}
