import type { DeviceId, LockMode } from '#protocol'
import type { RegistryState } from '../state.js'
import type { LockIndex } from './lock-index.js'
import { subjectOfDevice } from './subject.js'

/** How a device stands that is not free: kept out, for good or for now, or connected with next to no rights. */
export type Standing = 'revoked' | 'locked' | 'quarantined'

/** What has changed about who stands how. */
export interface StandingsChange {
  readonly revoked: readonly DeviceId[]
  readonly locked: readonly DeviceId[]
  /** From now on with no role but the one for quarantine. */
  readonly quarantined: readonly DeviceId[]
  /** No longer kept out. */
  readonly restored: readonly DeviceId[]
  /** No longer in quarantine, and not kept out either. */
  readonly released: readonly DeviceId[]
}

/**
 * How every device stands that is not free: worked out when a lock or a device changes, so that nothing has to be
 * matched while messages flow.
 */
export class Standings {
  readonly #state: RegistryState
  readonly #devices = new Map<DeviceId, Standing>()

  constructor(state: RegistryState) {
    this.#state = state
  }

  of(device: DeviceId): Standing | undefined {
    return this.#devices.get(device)
  }

  /** All of them, as a change from a fleet in which everyone is free. */
  all(): StandingsChange {
    const all = [...this.#devices]
    const those = (wanted: Standing) => all.flatMap(([device, standing]) => (standing === wanted ? [device] : []))
    return {
      revoked: those('revoked'),
      locked: those('locked'),
      quarantined: those('quarantined'),
      ...{ restored: [], released: [] },
    }
  }

  /** Looks at these devices again. `standingBy`: what a lock of this mode comes to now. */
  refresh(devices: Iterable<DeviceId>, locks: LockIndex, standingBy: (mode: LockMode) => Standing): StandingsChange {
    const change: Lists = { revoked: [], locked: [], quarantined: [], restored: [], released: [] }
    for (const device of devices) {
      const before = this.#devices.get(device)
      const now = this.#standing(device, locks, standingBy)
      if (now === before) continue
      if (now === undefined) this.#devices.delete(device)
      else this.#devices.set(device, now)
      if (now !== undefined) change[now].push(device)
      else if (before === 'quarantined') change.released.push(device)
      if (isKeptOut(before) && !isKeptOut(now)) change.restored.push(device)
    }
    return change
  }

  #standing(id: DeviceId, locks: LockIndex, standingBy: (mode: LockMode) => Standing): Standing | undefined {
    const device = this.#state.devices.get(id)
    if (device === undefined) return undefined
    if (device.state === 'revoked') return 'revoked'
    const lock = locks.hit(subjectOfDevice(this.#state, device))
    return lock && standingBy(lock.mode)
  }
}

export function isKeptOut(standing: Standing | undefined): boolean {
  return standing === 'revoked' || standing === 'locked'
}

type Lists = { readonly [List in keyof StandingsChange]: DeviceId[] }
