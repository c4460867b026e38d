import { filterMatches, type SubscriptionName, type TopicAction, type TopicName } from '#protocol'
import { type Levels, overlaps } from './containment.js'
import type { AllowRule, DeviceAttributes, Rule } from './policy.js'
import { renderTemplate } from './template.js'

/** A rule with its filters as they are for one device. */
export interface Rendered<R extends Rule = Rule> {
  readonly rule: R
  readonly filters: readonly Levels[]
  /** Filters that it names only as shared in a group. */
  readonly shares: readonly Share[]
}

/** `$share/<group>/<filter>`: each message goes to one session of the group (MQTT 5.0 §4.8.2). */
interface Share {
  readonly group: string
  readonly filter: Levels
}

/** The rules that have to do with one topic or filter, in the order of (role, rule id). */
export interface Matches {
  readonly deny: readonly Rendered[]
  readonly allow: readonly Rendered<AllowRule>[]
}

type ByAction<R extends Rule> = Partial<Record<TopicAction, readonly Rendered<R>[]>>

/** Topics remembered for each action; a client that invents topics clears them, and then costs a match per message. */
const maxRememberedTopics = 1024

/** In characters. Longer ones are worked out each time: a topic can have 65,535, and those would fill the memory. */
const maxRememberedTopic = 512

/**
 * The rules of one device by action, and which of them match. Each action's are rendered when it is first asked for: most
 * devices of a fleet say little, each has a table, and a change of policy makes all of them anew.
 */
export class RuleTable {
  readonly isEmpty: boolean
  readonly #rules: { readonly allow: readonly AllowRule[]; readonly deny: readonly Rule[] }
  readonly #device: DeviceAttributes
  readonly #allow: ByAction<AllowRule> = {}
  readonly #deny: ByAction<Rule> = {}
  readonly #remembered: Partial<Record<TopicAction, Map<TopicName, Matches>>> = {}

  /** All of them can be rendered for this device; that was found out before. */
  constructor(allow: readonly AllowRule[], deny: readonly Rule[], device: DeviceAttributes) {
    this.isEmpty = allow.length === 0
    this.#rules = { allow, deny }
    this.#device = device
  }

  allow(action: TopicAction): readonly Rendered<AllowRule>[] {
    return (this.#allow[action] ??= this.#renderAllow(action))
  }

  deny(action: TopicAction): readonly Rendered[] {
    return (this.#deny[action] ??= this.#renderDeny(action))
  }

  /** The rules that match a topic name, remembered for the next message of the same. */
  matching(action: TopicAction, topic: TopicName): Matches {
    const remembered = (this.#remembered[action] ??= new Map())
    const known = remembered.get(topic)
    if (known !== undefined) return known
    const matches = this.match(action, topic)
    remember(remembered, topic, matches)
    return matches
  }

  /** The same for somebody who remembers what comes of it. */
  match(action: TopicAction, topic: TopicName): Matches {
    const levels = topic.split('/')
    return { deny: thatMatch(this.deny(action), levels), allow: thatMatch(this.allow(action), levels) }
  }

  /**
   * The rules that match at least one of the topics a requested filter matches, with those of their filters that count:
   * a share is allowed by its own group's grants only, and denied by all that denies what is behind it.
   */
  overlapping({ share, filter }: Extract<SubscriptionName, { valid: true }>): Matches {
    const levels = filter.split('/')
    const reach = ({ filters }: Rendered): boolean => filters.some((other) => overlaps(levels, other))
    const inGroup = ({ shares }: Rendered): readonly Levels[] =>
      shares.filter(({ group }) => group === share).map(({ filter }) => filter)
    const denying = (entry: Rendered) => ({ ...entry, filters: [...entry.filters, ...inGroup(entry)] })
    const allowing = (entry: Rendered<AllowRule>) => ({ ...entry, filters: inGroup(entry) })
    const allow = this.allow('subscribe')
    return {
      deny: this.deny('subscribe').map(denying).filter(reach),
      allow: (share === undefined ? allow : allow.map(allowing)).filter(reach),
    }
  }

  #renderAllow(action: TopicAction): readonly Rendered<AllowRule>[] {
    const rendered = render(this.#rules.allow, [action], this.#device)
    return action === 'receive' ? rendered.map(withoutGroups) : rendered
  }

  /** To deny one of subscribe and receive is to deny the other: what is never delivered need not be asked for. */
  #renderDeny(action: TopicAction): readonly Rendered[] {
    const isSilencing = action === 'subscribe' || action === 'receive'
    return render(this.#rules.deny, isSilencing ? ['subscribe', 'receive'] : [action], this.#device)
  }
}

function render<R extends Rule>(
  rules: readonly R[],
  actions: readonly TopicAction[],
  device: DeviceAttributes,
): readonly Rendered<R>[] {
  return compact(
    rules
      .filter((rule) => rule.actions.some((action) => actions.includes(action)))
      .map((rule) => renderRule(rule, device)),
  )
}

function renderRule<R extends Rule>(rule: R, device: DeviceAttributes): Rendered<R> {
  const filters: Levels[] = []
  const shares: Share[] = []
  for (const topic of rule.topics) {
    const levels = renderTemplate(topic, device)
    const [first, group = '', ...filter] = levels
    if (first === '$share') shares.push({ group, filter })
    else filters.push(levels)
  }
  return { rule, filters: compact(filters), shares: compact(shares) }
}

/** Written out, for it is done for every topic that is new, and mostly finds one or none. */
function thatMatch<R extends Rule>(rules: readonly Rendered<R>[], topic: Levels): readonly Rendered<R>[] {
  let found: Rendered<R>[] | undefined
  for (const entry of rules) {
    if (!isMatched(entry.filters, topic)) continue
    if (found) found.push(entry)
    else found = [entry]
  }
  return found ?? nothing
}

function isMatched(filters: readonly Levels[], topic: Levels): boolean {
  for (const filter of filters) if (filterMatches(filter, topic)) return true
  return false
}

/** A shared message arrives under its own topic: to receive a share is to receive what is behind it. */
function withoutGroups<R extends Rule>(entry: Rendered<R>): Rendered<R> {
  if (entry.shares.length === 0) return entry
  return { ...entry, filters: [...entry.filters, ...entry.shares.map(({ filter }) => filter)] }
}

/** For lists that are kept for every device: what `filter` and `push` make has room for sixteen more. */
export function compact<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? nothing : [...list]
}

const nothing: readonly never[] = []

/** Starts anew when there are too many. */
export function remember<Value>(remembered: Map<TopicName, Value>, topic: TopicName, value: Value): void {
  if (topic.length > maxRememberedTopic) return
  if (remembered.size >= maxRememberedTopics) remembered.clear()
  remembered.set(topic, value)
}
