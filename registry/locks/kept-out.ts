import type { DeviceId } from '#protocol'
import type { RegistryState } from '../state.js'
import type { LockIndex } from './lock-index.js'
import { subjectOfDevice } from './subject.js'

/** What has changed about who is kept out. */
export interface KeptOutChange {
  readonly revoked: readonly DeviceId[]
  readonly locked: readonly DeviceId[]
  /** No longer kept out. */
  readonly restored: readonly DeviceId[]
}

/**
 * Every device that is kept out now, and why: worked out when a lock or a device changes, so that nothing has to be
 * matched while messages flow.
 */
export class KeptOut {
  readonly #state: RegistryState
  readonly #devices = new Map<DeviceId, 'revoked' | 'locked'>()

  constructor(state: RegistryState) {
    this.#state = state
  }

  has(device: DeviceId): boolean {
    return this.#devices.has(device)
  }

  /** All of them, as a change from nobody. */
  all(): KeptOutChange {
    const all = [...this.#devices]
    const those = (why: 'revoked' | 'locked') => all.flatMap(([device, reason]) => (reason === why ? [device] : []))
    return { revoked: those('revoked'), locked: those('locked'), restored: [] }
  }

  /** Looks at these devices again. */
  refresh(locks: LockIndex, devices: Iterable<DeviceId>): KeptOutChange {
    const change = { revoked: [] as DeviceId[], locked: [] as DeviceId[], restored: [] as DeviceId[] }
    for (const device of devices) {
      const before = this.#devices.get(device)
      const now = this.#reason(locks, device)
      if (now === before) continue
      if (now === undefined) this.#devices.delete(device)
      else this.#devices.set(device, now)
      change[now ?? 'restored'].push(device)
    }
    return change
  }

  #reason(locks: LockIndex, id: DeviceId): 'revoked' | 'locked' | undefined {
    const device = this.#state.devices.get(id)
    if (device === undefined) return undefined
    if (device.state === 'revoked') return 'revoked'
    return locks.hit(subjectOfDevice(this.#state, device)) ? 'locked' : undefined
  }
}
