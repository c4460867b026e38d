import type { SubscriptionName, TopicAction, TopicName } from '#protocol'
import type { AllowRule, DeviceAttributes, Qos, Rule } from '../policy.js'
import { type Levels, overlaps } from './containment.js'
import { type Prepared, type Rendered, renderRule, type RuleList } from './rule-list.js'

/** The rules that have to do with one topic, in the order of (role, rule id). */
export interface Matches {
  readonly deny: readonly Prepared[]
  readonly allow: readonly Prepared<AllowRule>[]
}

/** The same for a filter, with those of their filters that count. */
export interface Overlaps {
  readonly deny: readonly Rendered[]
  readonly allow: readonly Rendered<AllowRule>[]
}

/** Topics remembered for each action; a client that invents topics clears them, and then costs a match per message. */
const maxRememberedTopics = 1024

/** In characters. Longer ones are worked out each time: a topic can have 65,535, and those would fill the memory. */
const maxRememberedTopic = 512

interface Lists {
  readonly allow: readonly RuleList<AllowRule>[]
  readonly deny: readonly RuleList[]
}

/** The rules of one device, and which of them match. All of them can be rendered for it; that was found out before. */
export class RuleTable {
  readonly isEmpty: boolean
  readonly #lists: Lists
  readonly #device: DeviceAttributes
  /** Made when they are needed: most devices of a fleet say little, and each has a table. */
  #remembered: Partial<Record<TopicAction, Map<TopicName, Matches>>> | undefined

  constructor(lists: Lists, device: DeviceAttributes) {
    this.isEmpty = lists.allow.every(({ isEmpty }) => isEmpty)
    this.#lists = lists
    this.#device = device
  }

  allow(action: TopicAction): readonly AllowRule[] {
    return this.#lists.allow.flatMap((list) => list.for(action).map(({ rule }) => rule))
  }

  deny(action: TopicAction): readonly Rule[] {
    return this.#lists.deny.flatMap((list) => list.for(action).map(({ rule }) => rule))
  }

  /** The rules that match a topic name, remembered for the next message of the same. */
  matching(action: TopicAction, topic: TopicName): Matches {
    const remembered = ((this.#remembered ??= {})[action] ??= new Map())
    const known = remembered.get(topic)
    if (known !== undefined) return known
    const matches = this.match(action, topic)
    remember(remembered, topic, matches)
    return matches
  }

  /** The same for somebody who remembers what comes of it. */
  match(action: TopicAction, topic: TopicName): Matches {
    const levels = topic.split('/')
    return {
      deny: thatMatch(this.#lists.deny, action, levels, this.#device),
      allow: thatMatch(this.#lists.allow, action, levels, this.#device),
    }
  }

  /**
   * The allow by which a filter is granted at this QoS, found without rendering a rule; undefined where that takes a
   * closer look, because a deny may have a say, or because what is allowed first does not cover all of it alone.
   */
  granting(filter: Levels, qos: Qos): AllowRule | undefined {
    const { allow, deny } = this.#lists
    for (const list of deny) {
      for (const { topics } of list.for('subscribe')) if (mayReach(topics, filter, this.#device)) return undefined
    }
    for (const list of allow) {
      for (const { rule, topics } of list.for('subscribe')) {
        if (rule.maxQos < qos || !mayReach(topics, filter, this.#device)) continue
        return topics.some((topic) => topic.covers(filter, this.#device)) ? rule : undefined
      }
    }
    return undefined
  }

  /**
   * The rules that match at least one of the topics a requested filter matches: a share is allowed by its own group's
   * grants only, and denied by all that denies what is behind it.
   */
  overlapping({ share, filter }: Extract<SubscriptionName, { valid: true }>): Overlaps {
    const levels = filter.split('/')
    const reach = ({ filters }: Rendered): boolean => filters.some((other) => overlaps(levels, other))
    const inGroup = ({ shares }: Rendered): readonly Levels[] =>
      shares.filter(({ group }) => group === share).map(({ filter }) => filter)
    const denying = (entry: Rendered) => ({ ...entry, filters: [...entry.filters, ...inGroup(entry)] })
    const allowing = (entry: Rendered<AllowRule>) => ({ ...entry, filters: inGroup(entry) })
    const allow = renderedNear('subscribe', this.#lists.allow, levels, this.#device)
    return {
      deny: renderedNear('subscribe', this.#lists.deny, levels, this.#device).map(denying).filter(reach),
      allow: (share === undefined ? allow : allow.map(allowing)).filter(reach),
    }
  }

  /** The rules that match the topic of at least one message that comes by this filter, whoever shares it. */
  receiving(levels: Levels): Overlaps {
    const reach = ({ filters }: Rendered): boolean => filters.some((other) => overlaps(levels, other))
    const behindShares = (entry: Rendered<AllowRule>) => {
      return { ...entry, filters: [...entry.filters, ...entry.shares.map(({ filter }) => filter)] }
    }
    return {
      deny: renderedNear('receive', this.#lists.deny, levels, this.#device).filter(reach),
      allow: renderedNear('receive', this.#lists.allow, levels, this.#device).map(behindShares).filter(reach),
    }
  }
}

/** Written out, for it is done for every topic that is new, and mostly finds one or none. */
function thatMatch<R extends Rule>(
  lists: readonly RuleList<R>[],
  action: TopicAction,
  topic: Levels,
  device: DeviceAttributes,
): readonly Prepared<R>[] {
  let found: Prepared<R>[] | undefined
  for (const list of lists) {
    for (const prepared of list.for(action)) {
      if (!isMatched(prepared, topic, device)) continue
      if (found) found.push(prepared)
      else found = [prepared]
    }
  }
  return found ?? nothing
}

function isMatched({ topics }: Prepared, topic: Levels, device: DeviceAttributes): boolean {
  for (const matcher of topics) if (matcher.matches(topic, device)) return true
  return false
}

/** Of the rules for an action those that can have to do with a filter at all. */
function renderedNear<R extends Rule>(
  action: TopicAction,
  lists: readonly RuleList<R>[],
  filter: Levels,
  device: DeviceAttributes,
): readonly Rendered<R>[] {
  return lists.flatMap((list) =>
    list
      .for(action)
      .filter(({ topics, behindShares }) => mayReach(topics, filter, device) || mayReach(behindShares, filter, device))
      .map(({ rule }) => renderRule(rule, device)),
  )
}

function mayReach(topics: Prepared['topics'], filter: Levels, device: DeviceAttributes): boolean {
  for (const topic of topics) if (topic.mayOverlap(filter, device)) return true
  return false
}

const nothing: readonly never[] = []

/** Starts anew when there are too many. */
export function remember<Value>(remembered: Map<TopicName, Value>, topic: TopicName, value: Value): void {
  if (topic.length > maxRememberedTopic) return
  if (remembered.size >= maxRememberedTopics) remembered.clear()
  remembered.set(topic, value)
}
