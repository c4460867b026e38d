import { hasLabels, type PolicyDifference } from '#protocol'
import type { Grant, OperatorPolicy } from '../operators/operator-policy.js'
import { compareNumbers, compareReach, compareSets } from './brings.js'
import { compareRules, type Parts } from './compare-rules.js'
import { formatLabels } from './format.js'

/** What people may do: role by role what it lets them, and who has it. */
export function diffOperators(from: OperatorPolicy = nobody, to: OperatorPolicy = nobody): readonly PolicyDifference[] {
  const roles = [...new Set([...from.roles.keys(), ...to.roles.keys()])].sort()
  return roles.flatMap((role) =>
    [...diffGrants(from.roles.get(role) ?? [], to.roles.get(role) ?? []), ...diffHolders(role, from, to)].map(
      (change) => ({ about: 'operators', role, ...change }) as const,
    ),
  )
}

const nobody: OperatorPolicy = { roles: new Map(), bindings: [] }

type GrantChange = Omit<PolicyDifference, 'about' | 'role'>

const parts: Parts<Grant> = {
  acts: {
    what: 'acts',
    format: ({ acts }) => [...acts].toSorted().join(', '),
    compare: (from, to) => compareSets(from.acts, to.acts),
  },
  labels: {
    what: 'labels',
    format: ({ labels }) => formatLabels(labels),
    compare: (from, to) => compareReach(hasLabels(to.labels, from.labels), hasLabels(from.labels, to.labels)),
  },
  maxDevices: {
    what: 'maxDevices',
    format: ({ maxDevices }) => formatCount(maxDevices),
    compare: (from, to) => compareNumbers(from.maxDevices, to.maxDevices),
  },
}

function diffGrants(from: readonly Grant[], to: readonly Grant[]): readonly GrantChange[] {
  const format = (grant: Grant) =>
    [parts.acts, parts.labels, parts.maxDevices].map((part) => part.format(grant)).join('; ')
  return compareRules(from, to, { parts, format }).map((change) => ({ effect: 'allow', ...change }) as const)
}

function diffHolders(role: string, from: OperatorPolicy, to: OperatorPolicy): readonly GrantChange[] {
  const holders = ({ bindings }: OperatorPolicy) =>
    bindings.filter((binding) => binding.role === role).flatMap(({ operators }) => operators)
  const [before, after] = [holders(from), holders(to)]
  const brings = compareSets(before, after)
  return brings ? [{ what: 'binding', brings, from: formatHolders(before), to: formatHolders(after) }] : []
}

function formatHolders(operators: readonly string[]): string {
  return [...new Set(operators)].toSorted().join(', ') || 'nobody'
}

function formatCount(devices: number): string {
  return devices === Infinity ? 'no limit' : String(devices)
}
