import type { PolicyDifference } from '#protocol'
import type { Binding, Role, TopicPolicy } from '../policy.js'
import { type Brings, compareSets, opposite } from './brings.js'
import { formatConditions, formatMatch } from './format.js'

type BindingChange = Omit<PolicyDifference, 'about' | 'role'>

/** Who has a role, and when. Bindings have no names: those that match the same are taken together. */
export function diffBindings(role: string, from: TopicPolicy, to: TopicPolicy): readonly BindingChange[] {
  const [before, after] = [byMatch(role, from), byMatch(role, to)]
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((match): readonly BindingChange[] => {
    const [older, newer] = [before.get(match), after.get(match)]
    if (older && newer) return diffConditions(match, older, newer, worthOf(to.roles.get(role)))
    const said = (bound: Bound) => `${match}${bound.when.has(always) ? '' : ` (${formatWhen(bound)})`}`
    if (newer) return [{ what: 'binding', brings: worthOf(to.roles.get(role)), to: said(newer), at: newer.at }]
    if (!older) return []
    return [{ what: 'binding', brings: opposite(worthOf(from.roles.get(role))), from: said(older), at: older.at }]
  })
}

/** What bindings with the same `match` say. */
interface Bound {
  readonly at: string
  /** Each of them is enough. */
  readonly when: Set<string>
}

const always = formatConditions()

function byMatch(role: string, { bindings }: TopicPolicy): ReadonlyMap<string, Bound> {
  const found = new Map<string, Bound>()
  for (const binding of bindings.filter((binding: Binding) => binding.role === role)) {
    const match = formatMatch(binding)
    const bound = found.get(match) ?? { at: binding.at, when: new Set() }
    bound.when.add(formatConditions(binding.when))
    found.set(match, bound)
  }
  return found
}

/** Which of two conditions holds more often is not judged, but for none at all. */
function diffConditions(match: string, older: Bound, newer: Bound, worth: Brings): readonly BindingChange[] {
  const wider = compareConditions(older, newer)
  if (wider === undefined) return []
  const brings = wider === 'other' ? 'other' : wider === 'more' ? worth : opposite(worth)
  const said = (bound: Bound) => `${match} (${formatWhen(bound)})`
  return [{ what: 'when', brings, from: said(older), to: said(newer), at: newer.at }]
}

function compareConditions(older: Bound, newer: Bound): Brings | undefined {
  if (older.when.has(always) !== newer.when.has(always)) return newer.when.has(always) ? 'more' : 'less'
  return older.when.has(always) ? undefined : compareSets(older.when, newer.when)
}

function formatWhen({ when }: Bound): string {
  return [...when].toSorted().join(' or ')
}

/** To have a role that only denies is to have less. */
function worthOf(role: Role | undefined): Brings {
  if (role === undefined || role.deny.length === 0) return 'more'
  return role.allow.length + role.discover.length === 0 ? 'less' : 'other'
}
