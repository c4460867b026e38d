import { covered, intersection, type Levels } from '../matching/containment.js'
import type { Rendered } from '../matching/rule-list.js'
import type { Overlaps } from '../matching/rule-table.js'
import type { Rule } from '../policy.js'

/**
 * A rule because of which some topic of a filter is received in one case and not in the other; undefined when all that is
 * received in the one is received in the other too. Exact: f ∩ A \ D ⊆ A' \ D' is asked as f ∩ a ⊆ A' ∪ D and
 * f ∩ a ∩ d' ⊆ D, for every a of A and d' of D'; and what two filters have in common is a filter.
 */
export function receivedOnlyIn(one: Overlaps, other: Overlaps, filter: Levels): Difference | undefined {
  const allowedElsewhere = [...filtersOf(other.allow), ...filtersOf(one.deny)]
  const deniedHere = filtersOf(one.deny)
  for (const { rule, filters } of one.allow) {
    for (const allowed of filters) {
      const part = intersection(filter, allowed)
      if (part === undefined) continue
      const denying = other.deny.find(({ filters }) => filters.some((denied) => takesFrom(part, denied, deniedHere)))
      if (denying !== undefined) return { allowing: rule, denying: denying.rule }
      if (!covered(part, allowedElsewhere)) return { allowing: rule, denying: undefined }
    }
  }
  return undefined
}

export interface Difference {
  /** Lets it through in the one case. */
  readonly allowing: Rule
  /** Withholds it in the other; undefined where nothing allows it there. */
  readonly denying: Rule | undefined
}

function takesFrom(part: Levels, denied: Levels, deniedBefore: readonly Levels[]): boolean {
  const taken = intersection(part, denied)
  return taken !== undefined && !covered(taken, deniedBefore)
}

function filtersOf(rules: readonly Rendered[]): readonly Levels[] {
  return rules.flatMap(({ filters }) => filters)
}
