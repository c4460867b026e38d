import { isName, type Labels } from '#protocol'
import { always, any, type Circumstances, evaluate, type Holding, termOf } from './conditions.js'
import { EffectivePolicy } from './effective.js'
import {
  type AllowRule,
  type Binding,
  type DeviceAttributes,
  policyLimits,
  type Role,
  type Rule,
  type TopicPolicy,
} from './policy.js'
import { RateLimiter } from './rate-limiter.js'
import { compact, type Rendered } from './rule-table.js'
import { ownLabel, renderTemplate } from './template.js'

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
    new EffectivePolicy({ ...noRights, policy, device: device.id, renderErrors }, rates)
  if (!isName(device.id)) return nothing(['device.id does not fit into one topic level'])
  const bindings = policy.bindings.filter((binding) => matches(binding, device))
  const roles = boundRoles(policy, bindings, circumstances)
  if (roles.length > policyLimits.rolesPerDevice) {
    return nothing([`${roles.length} roles are bound, ${policyLimits.rolesPerDevice} is the limit`])
  }

  const rendered = roles.map(({ role, bound }) => ({
    ...{ role, bound },
    allow: render<AllowRule>(role.allow, device),
    deny: render<Rule>(role.deny, device),
  }))
  const denying = rendered.filter(({ bound }) => bound !== 'no')
  const denyErrors = denying.flatMap(({ deny }) => deny.errors)
  if (denyErrors.length > 0) return nothing(denyErrors)

  const allowing = rendered.filter(({ bound }) => bound === 'yes')
  const given = allowing.filter(({ allow }) => allow.errors.length === 0)
  const conditions = bindings.flatMap(({ when }) => when ?? [])
  return new EffectivePolicy(
    {
      policy,
      device: device.id,
      maxSessions: Math.max(1, ...given.map(({ role }) => role.maxSessions)),
      allow: given.flatMap(({ allow }) => allow.rules),
      deny: denying.flatMap(({ deny }) => deny.rules),
      withheld: {
        allow: rendered.filter(({ bound }) => bound !== 'yes').flatMap(({ allow }) => allow.rules),
        deny: rendered.filter(({ bound }) => bound === 'no').flatMap(({ deny }) => deny.rules),
      },
      term: termOf(conditions, circumstances.at),
      dependsOnAddress: conditions.some(({ networks }) => networks !== undefined),
      renderErrors: compact(allowing.flatMap(({ allow }) => allow.errors)),
    },
    rates,
  )
}

const noRights = {
  maxSessions: 1,
  ...{ allow: [], deny: [], withheld: { allow: [], deny: [] } },
  ...{ term: always, dependsOnAddress: false },
}

/** The roles that a policy binds to a device, under whatever conditions. */
export function rolesOf(policy: TopicPolicy, device: DeviceAttributes): readonly string[] {
  return [...new Set(policy.bindings.filter((binding) => matches(binding, device)).map(({ role }) => role))]
}

/** Each role once, by name. */
function boundRoles(
  policy: TopicPolicy,
  bindings: readonly Binding[],
  circumstances: Circumstances,
): readonly { readonly role: Role; readonly bound: Holding }[] {
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
  return labels === undefined || hasLabels(device, labels)
}

function hasLabels(device: DeviceAttributes, labels: Labels): boolean {
  return Object.entries(labels).every(([name, value]) => ownLabel(device, name) === value)
}

function render<R extends Rule>(rules: readonly R[], device: DeviceAttributes) {
  const rendered: Rendered<R>[] = []
  const errors: string[] = []
  for (const rule of rules) {
    try {
      const topics = rule.topics.map((topic) => renderTemplate(topic, device))
      rendered.push({
        rule,
        filters: compact(topics.filter(([first]) => first !== '$share')),
        shares: compact(
          topics.flatMap(([first, group = '', ...filter]) => (first === '$share' ? [{ group, filter }] : [])),
        ),
      })
    } catch (error) {
      errors.push(`${rule.at}: ${rule.id}: ${error instanceof Error ? error.message : 'not rendered'}`)
    }
  }
  return { rules: rendered, errors }
}
