import { rolesOf } from '../deciding/bound-roles.js'
import type { DeviceAttributes, TopicPolicy } from '../policy.js'

/** Which labels all devices of a role have: a rule that names another one would leave some without the role. */
export class SharedLabels {
  readonly #policy: TopicPolicy
  readonly #ofRoles = new Map<string, Set<string>>()

  constructor(policy: TopicPolicy) {
    this.#policy = policy
  }

  add(device: DeviceAttributes): void {
    for (const role of rolesOf(this.#policy, device)) {
      const shared = this.#ofRoles.get(role)
      if (shared === undefined) this.#ofRoles.set(role, new Set(Object.keys(device.labels)))
      else for (const label of shared) if (!Object.hasOwn(device.labels, label)) shared.delete(label)
    }
  }

  of(role: string): ReadonlySet<string> {
    return this.#ofRoles.get(role) ?? new Set()
  }
}
