import type { Action, ModelLabels, ModelPolicy, ModelRule } from './policies.js'

/*
 * What a policy says, worked out as naively as can be from its JSON: split and compare, all topics there are one by one.
 * Nothing of the policy room is used here.
 */

export interface Who {
  readonly id: string
  readonly labels: ModelLabels
}

interface Granted {
  readonly allow: readonly ModelRule[]
  readonly deny: readonly ModelRule[]
}

/** Roles under any conditions: those that a lock on a role is on. */
export function rolesOf(policy: ModelPolicy, who: Who): readonly string[] {
  return policy.bindings.filter(({ match }) => isMatched(match, who)).map(({ role }) => role)
}

/** May say it, by all that is known beforehand; how often is not looked at. */
export function maySpeak(
  policy: ModelPolicy,
  who: Who,
  action: 'publish' | 'will',
  message: { readonly topic: string; readonly qos: number; readonly retain: boolean; readonly size: number },
): boolean {
  const { allow, deny } = rulesOf(policy, who)
  if (deny.some((rule) => concerns(rule, [action], message.topic))) return false
  return allow.some(
    (rule) =>
      concerns(rule, [action], message.topic) &&
      message.qos <= (rule.qos?.max ?? 2) &&
      (!message.retain || rule.retain === true) &&
      message.size <= (rule.payload?.maxBytes ?? Infinity),
  )
}

export function mayHear(policy: ModelPolicy, who: Who, topic: string, qos: number): boolean {
  const { allow, deny } = rulesOf(policy, who)
  if (deny.some((rule) => concerns(rule, ['receive', 'subscribe'], topic))) return false
  return allow.some((rule) => concerns(rule, ['receive'], topic) && qos <= (rule.qos?.max ?? 2))
}

/** Every topic that the filter matches must be one that may be asked for, under the filter's group where it has one. */
export function maySubscribe(policy: ModelPolicy, who: Who, name: string, qos: number): boolean {
  const { allow, deny } = rulesOf(policy, who)
  const { group, filter } = withoutGroup(name)
  const asked = universe.filter((topic) => isTopicOf(filter, topic))
  const isGranted = (topic: string) =>
    allow.some(
      (rule) =>
        rule.actions.includes('subscribe') &&
        qos <= (rule.qos?.max ?? 2) &&
        rule.topics.map(withoutGroup).some((other) => other.group === group && isTopicOf(other.filter, topic)),
    )
  if (!asked.every(isGranted)) return false
  const isDenied = (topic: string) => deny.some((rule) => concerns(rule, ['subscribe', 'receive'], topic))
  return policy.onOverlap === 'filter' || !asked.some(isDenied)
}

/** All topics of up to four levels over what policies name, what they do not, and `$`. */
const universe = topicsUpTo(4, ['a', 'b', 'd1', 'd2', 'z', '$z'])

function topicsUpTo(depth: number, levels: readonly string[]): readonly string[] {
  if (depth === 1) return levels
  return levels.flatMap((level) => [level, ...topicsUpTo(depth - 1, levels).map((rest) => `${level}/${rest}`)])
}

/** Everyone connects from loopback, so a condition either holds or does not. */
function rulesOf(policy: ModelPolicy, who: Who): Granted {
  const bound = policy.bindings.filter(({ match, when }) => isMatched(match, who) && when?.cidr !== '10.0.0.0/8')
  const roles = [...new Set(bound.map(({ role }) => role))].flatMap((name) => policy.roles[name] ?? [])
  const denies = roles.flatMap(({ deny = [] }) => deny).map((rule) => filledIn(rule, who))
  if (denies.includes(undefined)) return { allow: [], deny: [] }
  const allows = roles
    .map(({ allow }) => allow.map((rule) => filledIn(rule, who)))
    .filter((rules) => !rules.includes(undefined))
  return { allow: allows.flat().flatMap((rule) => rule ?? []), deny: denies.flatMap((rule) => rule ?? []) }
}

function isMatched({ tier, ids, labels = {} }: ModelPolicy['bindings'][number]['match'], who: Who): boolean {
  if (tier !== undefined && tier !== 'tpm') return false
  if (ids !== undefined && !ids.includes(who.id)) return false
  return Object.entries(labels).every(([name, value]) => who.labels[name] === value)
}

/** Undefined where a label is missing. */
function filledIn(rule: ModelRule, { id, labels }: Who): ModelRule | undefined {
  const topics: string[] = []
  for (const topic of rule.topics) {
    const { site } = labels
    if (topic.includes('${device.labels.site}') && site === undefined) return undefined
    topics.push(topic.replaceAll('${device.id}', id).replaceAll('${device.labels.site}', site ?? ''))
  }
  return { ...rule, topics }
}

function concerns(rule: ModelRule, actions: readonly Action[], topic: string): boolean {
  if (!rule.actions.some((action) => actions.includes(action))) return false
  return rule.topics.some((filter) => isTopicOf(withoutGroup(filter).filter, topic))
}

function withoutGroup(name: string): { readonly group: string | undefined; readonly filter: string } {
  const [first, group, ...rest] = name.split('/')
  return first === '$share' ? { group, filter: rest.join('/') } : { group: undefined, filter: name }
}

function isTopicOf(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && !filter.startsWith('$')) return false
  const asked = filter.split('/')
  const levels = topic.split('/')
  if (asked.at(-1) === '#') {
    const head = asked.slice(0, -1)
    return levels.length >= head.length && head.every((level, at) => level === '+' || level === levels[at])
  }
  return asked.length === levels.length && asked.every((level, at) => level === '+' || level === levels[at])
}
