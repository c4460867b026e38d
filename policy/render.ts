import { isName, type Labels } from '#protocol'
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
 * a missing label never opens anything.
 *
 * `rates` holds the buckets and outlives this object; without it each bucket is filled once, which is right for a
 * question asked offline.
 */
export function renderPolicy(
  policy: TopicPolicy,
  device: DeviceAttributes,
  rates: RateLimiter = new RateLimiter({ now: () => 0 }),
): EffectivePolicy {
  const nothing = (renderErrors: readonly string[]) =>
    new EffectivePolicy({ policy, device: device.id, maxSessions: 1, allow: [], deny: [], renderErrors }, rates)
  if (!isName(device.id)) return nothing(['device.id does not fit into one topic level'])
  const roles = boundRoles(policy, device)
  if (roles.length > policyLimits.rolesPerDevice) {
    return nothing([`${roles.length} roles are bound, ${policyLimits.rolesPerDevice} is the limit`])
  }

  const denies = render<Rule>(
    roles.flatMap((role) => role.deny),
    device,
  )
  if (denies.errors.length > 0) return nothing(denies.errors)

  const rendered = roles.map((role) => ({ role, ...render<AllowRule>(role.allow, device) }))
  const given = rendered.filter(({ errors }) => errors.length === 0)
  return new EffectivePolicy(
    {
      policy,
      device: device.id,
      maxSessions: Math.max(1, ...given.map(({ role }) => role.maxSessions)),
      allow: given.flatMap(({ rules }) => rules),
      deny: denies.rules,
      renderErrors: compact(rendered.flatMap(({ errors }) => errors)),
    },
    rates,
  )
}

/** Each role once, by name. */
function boundRoles(policy: TopicPolicy, device: DeviceAttributes): readonly Role[] {
  const names = new Set(policy.bindings.filter((binding) => matches(binding, device)).map(({ role }) => role))
  return [...names].sort().flatMap((name) => policy.roles.get(name) ?? [])
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
