import type { TopicAction } from '#protocol'
import { covered, type Levels, overlaps } from '../matching/containment.js'
import type { AllowRule, Qos, TopicPolicy } from '../policy.js'
import { writtenLevels } from './naming.js'
import type { RuleUse } from './rule-use.js'
import { type PolicyUsage, roleOf } from './usage.js'

/** More topics than this are no help to who reads them: then the rule keeps its own. */
const maxTopics = 16

/** What a rule could be, so that all that was seen is still allowed. */
export interface RuleProposal {
  readonly use: RuleUse
  /** Undefined: nothing was seen of it, and it could go. */
  readonly narrowed: NarrowedRule | undefined
}

export interface NarrowedRule {
  readonly actions: readonly TopicAction[]
  /** As they stand in the file. */
  readonly topics: readonly string[]
  readonly maxQos: Qos
  readonly retain: boolean
}

/**
 * For each allow of the roles; what is denied stays denied. The role for quarantine is left alone: that it was not needed
 * is no reason.
 */
export function proposeRules(
  policy: TopicPolicy,
  usage: PolicyUsage,
  isAsked: (role: string) => boolean,
): readonly RuleProposal[] {
  const uses = [...usage.uses.values()].filter(({ rule }) => {
    return isAsked(roleOf(rule)) && roleOf(rule) !== policy.quarantineRole
  })
  keepReceiving(uses)
  return uses.map((use) => ({ use, narrowed: use.actions.size > 0 ? narrow(use) : undefined }))
}

/** A role that subscribes must receive something; where nothing says what, it receives what it may now. */
function keepReceiving(uses: readonly RuleUse[]): void {
  for (const role of new Set(uses.map(({ rule }) => roleOf(rule)))) {
    const ofRole = uses.filter(({ rule }) => roleOf(rule) === role)
    const keeps = (action: TopicAction) =>
      ofRole.some(({ actions, rule }) => actions.has(action) && rule.actions.includes(action))
    if (!keeps('subscribe') || keeps('receive')) continue
    for (const use of ofRole) {
      if (!use.rule.actions.includes('receive')) continue
      use.actions.add('receive')
      use.staysWide = true
    }
  }
}

function narrow({ rule, actions, maxQos, retained, topics, staysWide }: RuleUse): NarrowedRule {
  const used = rule.actions.filter((action) => actions.has(action))
  const isAskedAtQos = used.some((action) => action !== 'receive')
  const own = rule.topics.map(writtenLevels).map(asWords)
  const seen = staysWide ? undefined : topics.filters()
  const filters = seen === undefined ? own : within(own, seen.map(asWords))
  return {
    actions: used,
    topics: (filters.length > maxTopics ? own : filters).map(written),
    maxQos: isAskedAtQos && maxQos < rule.maxQos ? maxQos : rule.maxQos,
    retain: rule.retain && retained,
  }
}

/** Nothing beyond the rule's own topics, which take the place of what would be. Variables are words here, so it is exact. */
function within(own: readonly Levels[], seen: readonly Levels[]): readonly Levels[] {
  const kept = seen.flatMap((filter) => {
    return covered(filter, own) ? [filter] : own.filter((other) => overlaps(filter, other))
  })
  const distinct = [...new Map(kept.map((filter) => [filter.join('/'), filter])).values()]
  return distinct.filter((filter, at) => {
    return !distinct.some(
      (other, place) => place !== at && covered(filter, [other]) && !(covered(other, [filter]) && place > at),
    )
  })
}

/** A variable is a word that no other level is, and never begins with `$`: no id and no label does. */
function asWords(levels: Levels): Levels {
  return levels.map((level) => (level.startsWith('${') ? `\0${level}` : level))
}

function written(levels: Levels): string {
  return levels.join('/').replaceAll('\0', '')
}

/** Whether the proposal is what the rule is already. */
export function isUnchanged(rule: AllowRule, { actions, topics, maxQos, retain }: NarrowedRule): boolean {
  const own = new Set(rule.topics.map((topic) => writtenLevels(topic).join('/')))
  return (
    actions.length === new Set(rule.actions).size &&
    topics.length === own.size &&
    topics.every((topic) => own.has(topic)) &&
    maxQos === rule.maxQos &&
    retain === rule.retain
  )
}
