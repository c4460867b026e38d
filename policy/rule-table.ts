import { filterMatches, type SubscriptionName, type TopicAction, type TopicName } from '#protocol'
import { type Levels, overlaps } from './containment.js'
import type { AllowRule, Rule } from './policy.js'

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

type ByAction<R extends Rule> = Readonly<Record<TopicAction, readonly Rendered<R>[]>>

/** Topics remembered for each action; a client that invents topics clears them, and then costs a match per message. */
const maxRememberedTopics = 1024

/** In characters. Longer ones are worked out each time: a topic can have 65,535, and those would fill the memory. */
const maxRememberedTopic = 512

/** The rules of one device by action, and which of them match. */
export class RuleTable {
  readonly isEmpty: boolean
  readonly allow: ByAction<AllowRule>
  readonly deny: ByAction<Rule>
  /** Made when they are needed: most devices of a fleet say little, and each has a table. */
  readonly #remembered: Partial<Record<TopicAction, Map<TopicName, Matches>>> = {}

  constructor(allow: readonly Rendered<AllowRule>[], deny: readonly Rendered[]) {
    const silencing = forAction(deny, 'subscribe', 'receive')
    this.isEmpty = allow.length === 0
    this.allow = {
      publish: forAction(allow, 'publish'),
      will: forAction(allow, 'will'),
      subscribe: forAction(allow, 'subscribe'),
      receive: forAction(allow, 'receive').map(withoutGroups),
    }
    this.deny = {
      publish: forAction(deny, 'publish'),
      will: forAction(deny, 'will'),
      // To deny one is to deny the other: what is never delivered need not be asked for.
      subscribe: silencing,
      receive: silencing,
    }
  }

  /** The rules that match a topic name. Remembered, because the broker asks for every message and every recipient. */
  matching(action: TopicAction, topic: TopicName): Matches {
    const remembered = (this.#remembered[action] ??= new Map())
    const known = remembered.get(topic)
    if (known !== undefined) return known
    const levels = topic.split('/')
    const matches = this.#having(action, (filter) => filterMatches(filter, levels))
    remember(remembered, topic, matches)
    return matches
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
    return {
      deny: this.deny.subscribe.map(denying).filter(reach),
      allow: (share === undefined ? this.allow.subscribe : this.allow.subscribe.map(allowing)).filter(reach),
    }
  }

  #having(action: TopicAction, holds: (filter: Levels) => boolean): Matches {
    return {
      deny: this.deny[action].filter(({ filters }) => filters.some(holds)),
      allow: this.allow[action].filter(({ filters }) => filters.some(holds)),
    }
  }
}

/** A shared message arrives under its own topic: to receive a share is to receive what is behind it. */
function withoutGroups<R extends Rule>(entry: Rendered<R>): Rendered<R> {
  if (entry.shares.length === 0) return entry
  return { ...entry, filters: [...entry.filters, ...entry.shares.map(({ filter }) => filter)] }
}

function forAction<R extends Rule>(
  rules: readonly Rendered<R>[],
  ...actions: readonly TopicAction[]
): readonly Rendered<R>[] {
  return compact(rules.filter(({ rule }) => rule.actions.some((action) => actions.includes(action))))
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
