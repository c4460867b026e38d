import type { PolicyDifference } from '#protocol'
import type { Role, TopicPolicy } from '../policy.js'
import { diffBindings } from './bindings.js'
import { diffDiscovers } from './discover.js'
import { diffOperators } from './operators.js'
import { diffAllows, diffDenies } from './rules.js'

/**
 * Where two policies differ in what they give: first what is about everyone, then role by role, then what people may do.
 * By structure, so a rule that moves to another role is taken from the one and given to the other. Empty where only
 * comments, order, tests or names differ.
 */
export function diffPolicies(from: TopicPolicy, to: TopicPolicy): readonly PolicyDifference[] {
  const roles = [...new Set([...from.roles.keys(), ...to.roles.keys()])].sort()
  return [
    ...diffSettings(from, to),
    ...roles.flatMap((role) => diffRole(role, from, to)),
    ...diffOperators(from.operators, to.operators),
  ]
}

function diffSettings(from: TopicPolicy, to: TopicPolicy): readonly PolicyDifference[] {
  const changed = (
    what: 'onDenyPublish' | 'onOverlap',
    brings: PolicyDifference['brings'],
  ): readonly PolicyDifference[] =>
    from[what] === to[what] ? [] : [{ about: 'everyone', what, brings, from: from[what], to: to[what] }]
  return [
    ...diffQuarantine(from, to),
    ...changed('onDenyPublish', 'other'),
    ...changed('onOverlap', to.onOverlap === 'filter' ? 'more' : 'less'),
  ]
}

/** Without one, a device in quarantine has no rights. */
function diffQuarantine(
  { quarantineRole: from }: TopicPolicy,
  { quarantineRole: to }: TopicPolicy,
): readonly PolicyDifference[] {
  if (from === to) return []
  const brings = from === undefined ? 'more' : to === undefined ? 'less' : 'other'
  const sides = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
  return [{ about: 'everyone', what: 'quarantine', brings, ...sides }]
}

function diffRole(name: string, from: TopicPolicy, to: TopicPolicy): readonly PolicyDifference[] {
  const [older, newer] = [from.roles.get(name) ?? noRole, to.roles.get(name) ?? noRole]
  const changes = [
    ...diffSessions(older, newer),
    ...diffAllows(older.allow, newer.allow),
    ...diffDenies(older.deny, newer.deny),
    ...diffDiscovers(older.discover, newer.discover),
    ...diffBindings(name, from, to),
  ]
  return changes.map((change) => ({ about: 'role', role: name, ...change }))
}

/** What a role that is not there gives. */
const noRole: Omit<Role, 'name'> = { maxSessions: 1, allow: [], deny: [], discover: [] }

function diffSessions(
  { maxSessions: from }: Pick<Role, 'maxSessions'>,
  { maxSessions: to }: Pick<Role, 'maxSessions'>,
): readonly Omit<PolicyDifference, 'about'>[] {
  if (from === to) return []
  return [{ what: 'sessions', brings: from < to ? 'more' : 'less', from: String(from), to: String(to) }]
}
