import { hasLabels } from '#protocol'
import { any, type Circumstances, evaluate, type Holding } from '../conditions/conditions.js'
import type { Binding, DeviceAttributes, Role, TopicPolicy } from '../policy.js'

/** What gives a device its roles: in quarantine one, everywhere and always; where the policy names none, it has no rights. */
export function bindingsOf(policy: TopicPolicy, device: DeviceAttributes): readonly Binding[] {
  const { quarantineRole: role } = policy
  if (device.quarantined === true) return role === undefined ? [] : [{ at: 'quarantine', role }]
  return policy.bindings.filter((binding) => matches(binding, device))
}

/** The roles that a policy binds to a device, under whatever conditions, and whether or not it is in quarantine. */
export function rolesOf(policy: TopicPolicy, device: DeviceAttributes): readonly string[] {
  return [...new Set(policy.bindings.filter((binding) => matches(binding, device)).map(({ role }) => role))]
}

/** A role of a device, and whether the conditions hold under which it has it. */
export interface BoundRole {
  readonly role: Role
  readonly bound: Holding
}

/** Each role once, by name. */
export function boundRoles(
  policy: TopicPolicy,
  bindings: readonly Pick<Binding, 'role' | 'when'>[],
  circumstances: Circumstances,
): readonly BoundRole[] {
  const holdings = new Map<string, Holding>()
  for (const { role, when = {} } of bindings) {
    holdings.set(role, any([holdings.get(role) ?? 'no', evaluate(when, circumstances)]))
  }
  const names = [...holdings].sort(([one], [other]) => (one < other ? -1 : 1))
  return names.flatMap(([name, bound]) => {
    const role = policy.roles.get(name)
    return role ? [{ role, bound }] : []
  })
}

function matches({ tiers, labels, ids }: Binding, device: DeviceAttributes): boolean {
  if (tiers !== undefined && !tiers.includes(device.tier)) return false
  if (ids !== undefined && !ids.includes(device.id)) return false
  return labels === undefined || hasLabels(device.labels, labels)
}
