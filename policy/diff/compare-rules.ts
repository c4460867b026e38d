import type { PolicyDifference } from '#protocol'
import type { Brings } from './brings.js'

/** What a rule says of one thing, and what saying it otherwise brings to whom the rule allows something. */
interface Part<Rule> {
  readonly what: PolicyDifference['what']
  readonly format: (rule: Rule) => string
  /** Undefined where it comes to the same. */
  readonly compare: (from: Rule, to: Rule) => Brings | undefined
}

type RuleChange = Omit<PolicyDifference, 'about' | 'role'>

/** Of everything that a rule says, so that nothing new is left out of the comparison. */
export type Parts<Rule extends Named> = { readonly [Field in Exclude<keyof Rule, 'id' | 'at'>]-?: Part<Rule> }

interface Named {
  readonly id: string
  readonly at: string
}

/** Rules are known by their ids: under another id it is another one. */
export function compareRules<Rule extends Named>(
  from: readonly Rule[],
  to: readonly Rule[],
  { parts, format }: { readonly parts: Parts<Rule>; readonly format: (rule: Rule) => string },
): readonly RuleChange[] {
  const [before, after] = [byId(from), byId(to)]
  return [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((rule): readonly RuleChange[] => {
    const [older, newer] = [before.get(rule), after.get(rule)]
    if (older && newer) return compareParts(Object.values<Part<Rule>>(parts), older, newer)
    if (newer) return [{ rule, what: 'rule', brings: 'more', to: format(newer), at: newer.at }]
    return older ? [{ rule, what: 'rule', brings: 'less', from: format(older), at: older.at }] : []
  })
}

function compareParts<Rule extends Named>(
  parts: readonly Part<Rule>[],
  older: Rule,
  newer: Rule,
): readonly RuleChange[] {
  return parts.flatMap(({ what, format, compare }) => {
    const brings = compare(older, newer)
    return brings ? [{ rule: newer.id, what, brings, from: format(older), to: format(newer), at: newer.at }] : []
  })
}

function byId<Rule extends Named>(rules: readonly Rule[]): ReadonlyMap<string, Rule> {
  return new Map(rules.map((rule) => [rule.id, rule]))
}
