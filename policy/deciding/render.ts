import { isName } from '#protocol'
import { always, type Circumstances, termOf, whereaboutsOf } from '../conditions/conditions.js'
import { listsOf } from '../matching/rule-list.js'
import { type Binding, type DeviceAttributes, policyLimits, type Role, type TopicPolicy } from '../policy.js'
import { bindingsOf, type BoundRole, boundRoles } from './bound-roles.js'
import { EffectivePolicy, type Rights } from './effective.js'
import { RateLimiter } from './rate-limiter.js'

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
  return new EffectivePolicy(policy, device, rightsOf(policy, device, circumstances), rates)
}

function rightsOf(policy: TopicPolicy, device: DeviceAttributes, circumstances: Circumstances): Rights {
  if (!isName(device.id)) return nothing(['device.id does not fit into one topic level'])
  const bindings = bindingsOf(policy, device)
  const common = commonRights(policy, bindings)
  if (common && isWholeFor(device, common)) return common
  const roles = boundRoles(policy, bindings, circumstances)
  if (roles.length > policyLimits.rolesPerDevice) {
    return nothing([`${roles.length} roles are bound, ${policyLimits.rolesPerDevice} is the limit`])
  }

  const conditions = bindings.flatMap(({ when }) => when ?? [])
  const extent = {
    term: termOf(conditions, circumstances.at),
    whereabouts: whereaboutsOf(conditions, circumstances.from),
  }
  const denying = roles.filter(({ bound }) => bound !== 'no')
  const denyErrors = denying.flatMap(({ role }) => listsOf(role).deny.problemsFor(device))
  if (denyErrors.length > 0) return { ...nothing(denyErrors), ...extent } // elsewhere, or later, it may not be bound

  const allowing = roles.filter(({ bound }) => bound === 'yes')
  const problems = allowing.map(({ role }) => problemsOf(role, device))
  const given = allowing.filter((_, at) => problems[at]?.length === 0)
  return {
    ...extent,
    maxSessions: maxSessionsOf(given),
    allow: given.map(({ role }) => listsOf(role).allow),
    deny: denying.map(({ role }) => listsOf(role).deny),
    discover: given.map(({ role }) => listsOf(role).discover),
    withheld: withheldFrom(roles, device),
    renderErrors: problems.flat(),
  }
}

/** Of what the role gives; what it denies is looked at before. */
function problemsOf(role: Role, device: DeviceAttributes): readonly string[] {
  const { allow, discover } = listsOf(role)
  return [...allow.problemsFor(device), ...discover.problemsFor(device)]
}

const nothingWithheld = { allow: [], deny: [], discover: [] }

const unconditional = { withheld: nothingWithheld, term: always, whereabouts: undefined }

function nothing(renderErrors: readonly string[]): Rights {
  return { ...unconditional, maxSessions: 1, allow: [], deny: [], discover: [], renderErrors }
}

/** By what binds them. */
const known = new WeakMap<TopicPolicy, Map<string, Rights>>()

/** Of kinds of devices. A fleet has a handful; where each device is bound by its own name, each has its own rights. */
const maxKinds = 256

/**
 * What all devices have in common that are bound like this, if nothing of it depends on where and when: worked out once,
 * so that a fleet can be held to another policy in no time. A device that lacks a label has less, see {@link isWholeFor}.
 */
function commonRights(policy: TopicPolicy, bindings: readonly Binding[]): Rights | undefined {
  if (bindings.some(({ when }) => when !== undefined)) return undefined
  let kinds = known.get(policy)
  if (kinds === undefined) known.set(policy, (kinds = new Map<string, Rights>()))
  const kind = bindings.length === 1 ? (bindings[0]?.at ?? '') : bindings.map(({ at }) => at).join(' ')
  const common = kinds.get(kind)
  if (common !== undefined || kinds.size >= maxKinds) return common
  const roles = boundRoles(policy, bindings, {})
  if (roles.length > policyLimits.rolesPerDevice) return undefined
  const rights = {
    ...unconditional,
    maxSessions: maxSessionsOf(roles),
    allow: roles.map(({ role }) => listsOf(role).allow),
    deny: roles.map(({ role }) => listsOf(role).deny),
    discover: roles.map(({ role }) => listsOf(role).discover),
    renderErrors: [],
  }
  kinds.set(kind, rights)
  return rights
}

function isWholeFor(device: DeviceAttributes, { allow, deny, discover }: Rights): boolean {
  for (const list of deny) if (list.problemsFor(device).length > 0) return false
  for (const list of allow) if (list.problemsFor(device).length > 0) return false
  for (const list of discover) if (list.problemsFor(device).length > 0) return false
  return true
}

function maxSessionsOf(roles: readonly BoundRole[]): number {
  return Math.max(1, ...roles.map(({ role }) => role.maxSessions))
}

/** What roles hold whose conditions do not: a rule that cannot be rendered would match nothing. */
function withheldFrom(roles: readonly BoundRole[], device: DeviceAttributes): Rights['withheld'] {
  if (roles.every(({ bound }) => bound === 'yes')) return nothingWithheld
  const denying = roles.filter(({ bound }) => bound === 'no')
  const allowing = roles.filter(({ bound }) => bound !== 'yes')
  return {
    allow: allowing.map(({ role }) => listsOf(role).allow.renderableFor(device)),
    deny: denying.map(({ role }) => listsOf(role).deny.renderableFor(device)),
    discover: allowing.map(({ role }) => listsOf(role).discover),
  }
}
