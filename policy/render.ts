import { hasLabels, isName } from '#protocol'
import { always, any, type Circumstances, evaluate, type Holding, termOf, whereaboutsOf } from './conditions.js'
import { EffectivePolicy, type Rights } from './effective.js'
import { type Binding, type DeviceAttributes, policyLimits, type Role, type TopicPolicy } from './policy.js'
import { RateLimiter } from './rate-limiter.js'
import { listsOf } from './rule-list.js'

/**
 * The rights that a policy gives to one device: the union of its roles, with its attributes in the place of variables.
 * An allow that cannot be rendered takes all allows of its role with it, a deny that cannot be rendered takes all rights:
 * a missing label never opens anything. Of a role whose conditions cannot be judged, the denies alone count.
 *
 * `rates` holds the buckets and outlives this object; without it each bucket is filled once, which is right for a
 * question asked offline.
 */
export function renderPolicy(
  policy: TopicPolicy,
  device: DeviceAttributes,
  circumstances: Circumstances = {},
  rates: RateLimiter = new RateLimiter({ now: () => 0 }),
): EffectivePolicy {
  const nothing = (renderErrors: readonly string[]) =>
    new EffectivePolicy({ ...noRights, policy, device, renderErrors }, rates)
  if (!isName(device.id)) return nothing(['device.id does not fit into one topic level'])
  const bindings = bindingsOf(policy, device)
  const roles = boundRoles(policy, bindings, circumstances)
  if (roles.length > policyLimits.rolesPerDevice) {
    return nothing([`${roles.length} roles are bound, ${policyLimits.rolesPerDevice} is the limit`])
  }

  const denying = roles.filter(({ bound }) => bound !== 'no')
  const denyErrors = denying.flatMap(({ role }) => listsOf(role).deny.problemsFor(device))
  if (denyErrors.length > 0) return nothing(denyErrors)

  const allowing = roles.filter(({ bound }) => bound === 'yes')
  const problems = allowing.map(({ role }) => listsOf(role).allow.problemsFor(device))
  const given = allowing.filter((_, at) => problems[at]?.length === 0)
  const conditions = bindings.flatMap(({ when }) => when ?? [])
  return new EffectivePolicy(
    {
      policy,
      device,
      maxSessions: Math.max(1, ...given.map(({ role }) => role.maxSessions)),
      allow: given.map(({ role }) => listsOf(role).allow),
      deny: denying.map(({ role }) => listsOf(role).deny),
      withheld: withheldFrom(roles, device),
      term: termOf(conditions, circumstances.at),
      whereabouts: whereaboutsOf(conditions, circumstances.from),
      renderErrors: problems.flat(),
    },
    rates,
  )
}

const nothingWithheld = { allow: [], deny: [] }

const noRights = {
  maxSessions: 1,
  ...{ allow: [], deny: [], withheld: nothingWithheld },
  ...{ term: always, whereabouts: undefined },
}

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

interface BoundRole {
  readonly role: Role
  readonly bound: Holding
}

/** Each role once, by name. */
function boundRoles(
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

/** What roles hold whose conditions do not: a rule that cannot be rendered would match nothing. */
function withheldFrom(roles: readonly BoundRole[], device: DeviceAttributes): Rights['withheld'] {
  if (roles.every(({ bound }) => bound === 'yes')) return nothingWithheld
  const denying = roles.filter(({ bound }) => bound === 'no')
  const allowing = roles.filter(({ bound }) => bound !== 'yes')
  return {
    allow: allowing.map(({ role }) => listsOf(role).allow.renderableFor(device)),
    deny: denying.map(({ role }) => listsOf(role).deny.renderableFor(device)),
  }
}
