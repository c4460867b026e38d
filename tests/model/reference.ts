import type { Action, ModelBinding, ModelConditions, ModelLabels, ModelPolicy, ModelRule } from './policies.js'

/*
 * What a policy says, worked out as naively as can be from its JSON: split and compare, all topics there are one by one.
 * Nothing of the policy room is used here.
 */

export interface Who {
  readonly id: string
  readonly labels: ModelLabels
  /** Undefined for one without a certificate. */
  readonly tier: string | undefined
  readonly quarantined: boolean
}

/** When, and where from. */
export interface Circumstances {
  /** In milliseconds since 1970. */
  readonly at: number
  readonly from: string
}

export interface NamedRule extends ModelRule {
  /** `role/rule`, as decisions name it. */
  readonly name: string
}

/** What a device has; in the order of (role, rule id). */
export interface Granted {
  readonly id: string
  readonly allow: readonly NamedRule[]
  readonly deny: readonly NamedRule[]
  readonly onOverlap: ModelPolicy['onOverlap']
}

export interface Spoken {
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
  /** In bytes. */
  readonly size: number
}

/** Roles under any conditions: those that a lock on a role is on. */
export function rolesOf(policy: ModelPolicy, who: Omit<Who, 'quarantined'>): readonly string[] {
  return policy.bindings.filter(({ match }) => isMatched(match, who)).map(({ role }) => role)
}

/** In quarantine nothing but the one role that is named for it. */
export function rightsOf(policy: ModelPolicy, who: Who, circumstances: Circumstances): Granted {
  const bound = policy.bindings.filter(({ match, when }) => isMatched(match, who) && holds(when, circumstances))
  const names = who.quarantined ? [policy.quarantine?.role ?? ''] : bound.map(({ role }) => role)
  const roles = [...new Set(names)].sort().flatMap((name) => {
    const { allow = [], deny = [] } = policy.roles[name] ?? {}
    return [{ allow: filledIn(name, allow, who), deny: filledIn(name, deny, who) }]
  })
  const { id } = who
  const { onOverlap } = policy
  if (roles.some(({ deny }) => deny === undefined)) return { id, allow: [], deny: [], onOverlap }
  const [allow, deny] = [roles.flatMap(({ allow = [] }) => allow), roles.flatMap(({ deny = [] }) => deny)]
  return { id, allow, deny, onOverlap }
}

/** The rules of which any may let it be said, if that is not too often; none where a deny stands against it. */
export function lettingSpeak(
  { allow, deny }: Granted,
  action: 'publish' | 'will',
  spoken: Spoken,
): readonly NamedRule[] {
  if (deny.some((rule) => concerns(rule, [action], spoken.topic))) return []
  return allow.filter(
    (rule) =>
      concerns(rule, [action], spoken.topic) &&
      spoken.qos <= (rule.qos?.max ?? 2) &&
      (!spoken.retain || rule.retain === true) &&
      spoken.size <= (rule.payload?.maxBytes ?? Infinity),
  )
}

/** Whether no rule, of either kind, has anything to say about it. */
export function isUnruled({ allow, deny }: Granted, topic: string): boolean {
  return [...allow, ...deny].every((rule) => !concerns(rule, ['publish'], topic))
}

export function mayHear({ allow, deny }: Granted, topic: string, qos: number): boolean {
  if (deny.some((rule) => concerns(rule, ['receive', 'subscribe'], topic))) return false
  return allow.some((rule) => concerns(rule, ['receive'], topic) && qos <= (rule.qos?.max ?? 2))
}

/** Every topic that the filter matches must be one that may be asked for, under the filter's group where it has one. */
export function maySubscribe({ id, allow, deny, onOverlap }: Granted, name: string, qos: number): boolean {
  const { group, filter } = withoutGroup(name)
  const asked = universeOf(id, filter).filter((topic) => isTopicOf(filter, topic))
  const granted = allow
    .filter((rule) => rule.actions.includes('subscribe') && qos <= (rule.qos?.max ?? 2))
    .flatMap(({ topics }) => topics.map(withoutGroup).filter((other) => other.group === group))
  if (!asked.every((topic) => granted.some((other) => isTopicOf(other.filter, topic)))) return false
  const hearing: readonly Action[] = ['subscribe', 'receive']
  const denied = deny.filter(({ actions }) => actions.some((action) => hearing.includes(action)))
  const isDenied = (topic: Levels) =>
    denied.some(({ topics }) => topics.some((other) => isTopicOf(split(other), topic)))
  if (denied.length === 0) return true
  return onOverlap === 'filter' ? !asked.every(isDenied) : !asked.some(isDenied)
}

/** Whether a topic is one of those that a subscription asks for. */
export function isAskedFor(name: string, topic: string): boolean {
  return isTopicOf(withoutGroup(name).filter, split(topic))
}

export function isInside(network: string, address: string): boolean {
  const [base = '', bits = '32'] = network.split('/')
  const head = (text: string) => Math.floor(numberOf(text) / 2 ** (32 - Number(bits)))
  return head(base) === head(address)
}

/** Of `10s`. */
export function millisecondsOf(duration: string): number {
  return 1000 * Number(duration.replace('s', ''))
}

/** All topics of up to four levels over the words that policies know, some that they do not, and `$`. */
function universeOf(id: string, filter: Levels): readonly Levels[] {
  const named = filter.filter((level) => level !== '+' && level !== '#')
  const words = [...new Set(['a', 'b', 'd1', 'd2', 'z', '$z', id, ...named])]
  const known = universes.get(words.join()) ?? topicsUpTo(4, words)
  universes.set(words.join(), known)
  return known
}

const universes = new Map<string, readonly Levels[]>()

function topicsUpTo(depth: number, words: readonly string[]): readonly Levels[] {
  if (depth === 0) return []
  return words.flatMap((word) => [[word], ...topicsUpTo(depth - 1, words).map((rest) => [word, ...rest])])
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function holds({ cidr, notBefore, notAfter }: ModelConditions = {}, { at, from }: Circumstances): boolean {
  if (cidr !== undefined && !isInside(cidr, from)) return false
  return (
    (notBefore === undefined || Date.parse(notBefore) <= at) && (notAfter === undefined || at < Date.parse(notAfter))
  )
}

function isMatched({ tier, ids, labels = {} }: ModelBinding['match'], who: Omit<Who, 'quarantined'>): boolean {
  if (tier !== undefined && ![tier].flat().includes(who.tier ?? '')) return false
  if (ids !== undefined && !ids.includes(who.id)) return false
  return Object.entries(labels).every(([name, value]) => who.labels[name] === value)
}

/** Undefined where a label is missing: then all of it is. */
function filledIn(role: string, rules: readonly ModelRule[], who: Who): readonly NamedRule[] | undefined {
  const { site } = who.labels
  const isMissing = ({ topics }: ModelRule) => topics.some((topic) => topic.includes('${device.labels.site}'))
  if (site === undefined && rules.some(isMissing)) return undefined
  const fill = (topic: string) =>
    topic.replaceAll('${device.id}', who.id).replaceAll('${device.labels.site}', site ?? '')
  return rules.map((rule) => ({ ...rule, name: `${role}/${rule.id}`, topics: rule.topics.map(fill) }))
}

function concerns(rule: ModelRule, actions: readonly Action[], topic: string): boolean {
  if (!rule.actions.some((action) => actions.includes(action))) return false
  return rule.topics.some((filter) => isTopicOf(withoutGroup(filter).filter, split(topic)))
}

function withoutGroup(name: string): { readonly group: string | undefined; readonly filter: Levels } {
  const [first, group, ...rest] = split(name)
  return first === '$share' ? { group, filter: rest } : { group: undefined, filter: split(name) }
}

type Levels = readonly string[]

function split(topic: string): Levels {
  return topic.split('/')
}

function isTopicOf(asked: Levels, topic: Levels): boolean {
  if (topic[0]?.startsWith('$') && !asked[0]?.startsWith('$')) return false
  const isOpen = asked.at(-1) === '#'
  const head = isOpen ? asked.slice(0, -1) : asked
  if (isOpen ? topic.length < head.length : topic.length !== head.length) return false
  return head.every((level, at) => level === '+' || level === topic[at])
}
