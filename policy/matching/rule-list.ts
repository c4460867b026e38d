import type { TopicAction } from '#protocol'
import type { AllowRule, DeviceAttributes, Role, Rule, Variable } from '../policy.js'
import type { Levels } from './containment.js'
import { DiscoverList } from './discover-list.js'
import { hasValue, renderTemplate } from './template.js'
import { TopicMatcher } from './topic-matcher.js'

/** A rule as far as it is the same for all devices. */
export interface Prepared<R extends Rule = Rule> {
  readonly rule: R
  /** Topics of which it decides for the action. */
  readonly topics: readonly TopicMatcher[]
  /** What lies behind the groups that it names: to share it is another right, see {@link Share}. */
  readonly behindShares: readonly TopicMatcher[]
}

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

/**
 * What a role allows, or what it denies. All devices of the role share it: what does not differ between them is found
 * out once for each policy, so that a device costs next to nothing until it asks.
 */
export class RuleList<R extends Rule = Rule> {
  readonly #rules: readonly Prepared<R>[]
  readonly #effect: 'allow' | 'deny'
  readonly #byAction = new Map<TopicAction, readonly Prepared<R>[]>()
  /** Each that occurs, once: a device that has these has all. */
  readonly #variables: readonly Variable[]
  readonly #mayOverflow: boolean

  constructor(rules: readonly R[], effect: 'allow' | 'deny') {
    this.#rules = rules.map(prepare)
    this.#effect = effect
    const topics = this.#rules.flatMap((rule) => [...rule.topics, ...rule.behindShares])
    const variables = topics.flatMap((topic) => topic.variables)
    this.#variables = [...new Map(variables.map((variable) => [JSON.stringify(variable), variable])).values()]
    this.#mayOverflow = topics.some(({ mayOverflow }) => mayOverflow)
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  for(action: TopicAction): readonly Prepared<R>[] {
    const known = this.#byAction.get(action)
    if (known) return known
    const actions = this.#effect === 'deny' && silencing.includes(action) ? silencing : [action]
    const isHearing = this.#effect === 'allow' && action === 'receive'
    const rules = this.#rules
      .filter(({ rule }) => rule.actions.some((one) => actions.includes(one)))
      .map((prepared) => (isHearing ? withoutGroups(prepared) : prepared))
    this.#byAction.set(action, rules)
    return rules
  }

  /** Why it cannot be rendered for a device; mostly there is nothing, which is told without rendering it. */
  problemsFor(device: DeviceAttributes): readonly string[] {
    const isWhole = this.#variables.every((variable) => hasValue(variable, device))
    if (isWhole && !this.#mayOverflow) return none
    return this.#rules.flatMap(({ rule }) => {
      const problem = problemOf(rule, device)
      return problem === undefined ? [] : [`${rule.at}: ${rule.id}: ${problem}`]
    })
  }

  /** Those of its rules that can be rendered; mostly itself. */
  renderableFor(device: DeviceAttributes): RuleList<R> {
    if (this.problemsFor(device).length === 0) return this
    const rules = this.#rules.map(({ rule }) => rule).filter((rule) => problemOf(rule, device) === undefined)
    return new RuleList(rules, this.#effect)
  }
}

interface Lists {
  readonly allow: RuleList<AllowRule>
  readonly deny: RuleList
  readonly discover: DiscoverList
}

const known = new WeakMap<Role, Lists>()

export function listsOf(role: Role): Lists {
  const found = known.get(role)
  if (found) return found
  const lists = {
    allow: new RuleList(role.allow, 'allow'),
    deny: new RuleList(role.deny, 'deny'),
    discover: new DiscoverList(role.discover),
  }
  known.set(role, lists)
  return lists
}

/** @throws TypeError where an attribute of the device is missing or does not fit */
export function renderRule<R extends Rule>(rule: R, device: DeviceAttributes): Rendered<R> {
  const filters: Levels[] = []
  const shares: Share[] = []
  for (const topic of rule.topics) {
    const levels = renderTemplate(topic, device)
    const [first, group = '', ...filter] = levels
    if (first === '$share') shares.push({ group, filter })
    else filters.push(levels)
  }
  return { rule, filters, shares }
}

/** To deny one is to deny the other: what is never delivered need not be asked for. */
const silencing: readonly TopicAction[] = ['subscribe', 'receive']

const none: readonly never[] = []

function prepare<R extends Rule>(rule: R): Prepared<R> {
  const plain = rule.topics.filter(([first]) => first !== '$share')
  const shared = rule.topics.filter(([first]) => first === '$share').map(([, , ...filter]) => filter)
  const matcherOf = (topic: R['topics'][number]) => new TopicMatcher(topic)
  return { rule, topics: plain.map(matcherOf), behindShares: shared.map(matcherOf) }
}

/** A shared message arrives under its own topic: to receive a share is to receive what is behind it. */
function withoutGroups<R extends Rule>({ rule, topics, behindShares }: Prepared<R>): Prepared<R> {
  return { rule, topics: [...topics, ...behindShares], behindShares: none }
}

function problemOf(rule: Rule, device: DeviceAttributes): string | undefined {
  try {
    renderRule(rule, device)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'not rendered'
  }
}
