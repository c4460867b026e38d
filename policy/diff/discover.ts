import { hasLabels, type PolicyDifference } from '#protocol'
import type { DiscoverRule } from '../policy.js'
import { type Brings, compareReach } from './brings.js'
import { compareRules, type Parts } from './compare-rules.js'
import { formatLabels, formatTemplate } from './format.js'

type RuleChange = Omit<PolicyDifference, 'about' | 'role'>

const parts: Parts<DiscoverRule> = {
  labels: {
    what: 'labels',
    format: (rule) => formatLabels(written(rule)),
    compare: (from, to) => compareLabels(written(from), written(to)),
  },
  services: {
    what: 'services',
    format: ({ services }) => formatPatterns(services),
    compare: (from, to) => comparePatterns(from.services, to.services),
  },
  protocols: {
    what: 'protocols',
    format: ({ protocols }) => formatPatterns(protocols),
    compare: (from, to) => comparePatterns(from.protocols, to.protocols),
  },
}

/** Which services of others a role lets see. */
export function diffDiscovers(from: readonly DiscoverRule[], to: readonly DiscoverRule[]): readonly RuleChange[] {
  const format = (rule: DiscoverRule) =>
    `discover: services ${parts.services.format(rule)}; protocols ${parts.protocols.format(rule)}; labels ${parts.labels.format(rule)}`
  return compareRules(from, to, { parts, format }).map((change) => ({ effect: 'allow', ...change }) as const)
}

function written({ labels }: DiscoverRule): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, formatTemplate([value])]))
}

/** Who names more labels sees fewer devices. */
function compareLabels(
  from: Readonly<Record<string, string>>,
  to: Readonly<Record<string, string>>,
): Brings | undefined {
  return compareReach(hasLabels(to, from), hasLabels(from, to))
}

function formatPatterns(patterns: readonly string[] | undefined): string {
  return patterns?.toSorted().join(', ') ?? 'any'
}

/** By what they match: `opc*` beside `*` brings nothing. */
function comparePatterns(from: readonly string[] = ['*'], to: readonly string[] = ['*']): Brings | undefined {
  const isCovered = (pattern: string, others: readonly string[]) =>
    others.some((other) => (other.endsWith('*') ? pattern.startsWith(other.slice(0, -1)) : pattern === other))
  return compareReach(
    to.every((pattern) => isCovered(pattern, from)),
    from.every((pattern) => isCovered(pattern, to)),
  )
}
