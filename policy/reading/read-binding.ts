import { tiers } from '#protocol'
import type { Conditions } from '../conditions/conditions.js'
import { parseNetwork } from '../conditions/networks.js'
import { PolicyError } from '../errors.js'
import { type Binding, policyLimits, type Role } from '../policy.js'
import { Fields, mismatch, oneOrMore, parsed, type Read, text, word } from './fields.js'
import { deviceId, readLabels, time } from './values.js'

/** Who has a role, and under which conditions. */
export function readBinding(roles: ReadonlyMap<string, Role>): Read<Binding> {
  return (node) => {
    const fields = new Fields(node, ['role', 'match', 'when'])
    return {
      at: node.at,
      role: readRoleName(fields, roles),
      ...fields.required('match', readMatch),
      ...(fields.has('when') ? { when: fields.required('when', readWhen) } : {}),
    }
  }
}

/** One of the policy's own. @throws PolicyError POLICY_UNKNOWN_ROLE */
export function readRoleName(fields: Fields, roles: ReadonlyMap<string, Role>): string {
  const role = fields.required('role', text)
  if (roles.has(role)) return role
  throw new PolicyError('POLICY_UNKNOWN_ROLE', fields.atOf('role'), `there is no role ${JSON.stringify(role)}`)
}

/**
 * Roles that every device of a tier has are counted here; with labels and ids it shows at the device, which then has no
 * rights. @throws PolicyError POLICY_LIMIT
 */
export function requireFewRoles(bindings: readonly Binding[]): void {
  for (const tier of tiers) {
    const roles = new Set<string>()
    for (const { at, role, tiers: named, labels, ids } of bindings) {
      if (!named?.includes(tier) || labels !== undefined || ids !== undefined) continue
      if (roles.add(role).size <= policyLimits.rolesPerDevice) continue
      const problem = `a device has at most ${policyLimits.rolesPerDevice} roles, and every device of tier ${tier} would have more`
      throw new PolicyError('POLICY_LIMIT', at, problem)
    }
  }
}

/** At least one condition: a role for everyone is written as the list of all tiers, never by leaving something out. */
const readMatch: Read<Pick<Binding, 'tiers' | 'labels' | 'ids'>> = (node) => {
  const fields = new Fields(node, ['tier', 'labels', 'ids'])
  const conditions = {
    ...(fields.has('tier') ? { tiers: fields.required('tier', oneOrMore(word(...tiers))) } : {}),
    ...(fields.has('labels') ? { labels: fields.required('labels', readLabels) } : {}),
    ...(fields.has('ids') ? { ids: fields.required('ids', oneOrMore(deviceId)) } : {}),
  }
  if (Object.keys(conditions).length === 0) throw mismatch(node, 'tier, labels or ids')
  return conditions
}

/** What nothing can ever meet is a mistake, as is a condition that is none. */
const readWhen: Read<Conditions> = (node) => {
  const fields = new Fields(node, ['cidr', 'notBefore', 'notAfter'])
  const conditions: Conditions = {
    ...(fields.has('cidr') ? { networks: fields.required('cidr', oneOrMore(network)) } : {}),
    ...(fields.has('notBefore') ? { notBefore: fields.required('notBefore', time) } : {}),
    ...(fields.has('notAfter') ? { notAfter: fields.required('notAfter', time) } : {}),
  }
  if (Object.keys(conditions).length === 0) throw mismatch(node, 'cidr, notBefore or notAfter')
  if ((conditions.notBefore ?? -Infinity) >= (conditions.notAfter ?? Infinity)) {
    throw new PolicyError('POLICY_NO_EFFECT', fields.atOf('notAfter'), 'notAfter must be later than notBefore')
  }
  return conditions
}

const network = parsed(parseNetwork, 'POLICY_INVALID_VALUE')
