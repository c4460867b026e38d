import {
  asksForServices,
  type Decision,
  type DenyReason,
  type Explanation,
  parseDeviceId,
  parseShare,
  type TopicFilter,
  type TopicName,
} from '#protocol'
import type { Term, Whereabouts } from '../conditions/conditions.js'
import { covered, type Levels } from '../matching/containment.js'
import { DiscoverList } from '../matching/discover-list.js'
import { type Prepared, type Rendered, renderRule, type RuleList } from '../matching/rule-list.js'
import { type Overlaps, remember, RuleTable } from '../matching/rule-table.js'
import type {
  AllowRule,
  DeviceAttributes,
  Discovering,
  DiscoverRule,
  Message,
  Offer,
  Qos,
  Question,
  Rule,
  TopicPolicy,
} from '../policy.js'
import { nearestMiss } from './nearest.js'
import type { RateLimiter } from './rate-limiter.js'

/** What a policy comes to for one device, or for all that are alike. Rules stand in the order of (role, rule id). */
export interface Rights {
  readonly maxSessions: number
  /** All of these can be rendered for each of them. */
  readonly allow: readonly RuleList<AllowRule>[]
  readonly deny: readonly RuleList[]
  readonly discover: readonly DiscoverList[]
  /** Of roles that are bound under conditions which do not hold: they decide nothing, and tell what was nearest. */
  readonly withheld: Pick<Rights, 'allow' | 'deny' | 'discover'>
  /** While no time limit passes and the device stays where it is, these are its rights. */
  readonly term: Term
  /** Where that is; undefined where nothing depends on it. */
  readonly whereabouts: Whereabouts | undefined
  /** Why a role or all rights are missing; for the audit log. */
  readonly renderErrors: readonly string[]
}

type Allowed = Extract<Decision, { effect: 'allow' }>
type Denied = Extract<Decision, { effect: 'deny' }>

/** An allow here says at which QoS: granted to a subscription, or the most that a delivery may have. */
export type QosDecision = (Allowed & { readonly qos: Qos }) | Denied

/** A decision, and the rule that pays for it. */
interface Judged {
  readonly decision: Decision
  readonly by?: AllowRule
}

/** Somebody whose rule a decision names. */
interface Naming {
  readonly rule: Pick<Rule, 'id'>
}

type Constraint = Extract<DenyReason, 'qos' | 'retain' | 'size' | 'rate'>
type Failure = Constraint | 'topic' | 'service' | 'condition'

/**
 * The rights of one device: any matching deny refuses; else any matching allow whose constraints all hold allows; else
 * it is refused. Answers at once and from memory. Made by `renderPolicy`, anew on any change of policy or device, when
 * its term is over, and where it depends on the address, for another one.
 */
export class EffectivePolicy {
  readonly version: number
  readonly maxSessions: number
  readonly quarantined: boolean
  readonly onDenyPublish: 'disconnect' | 'drop'
  readonly renderErrors: readonly string[]
  readonly term: Term
  readonly #whereabouts: Whereabouts | undefined
  readonly #device: DeviceAttributes
  readonly #onOverlap: 'filter' | 'reject'
  readonly #rules: RuleTable
  readonly #withheld: RuleTable
  readonly #discover: Record<'given' | 'withheld', readonly DiscoverList[]>
  readonly #rates: RateLimiter
  /** Decisions that were taken before and that nothing can change: the broker asks for every message and recipient. */
  #received: Map<TopicName, QosDecision> | undefined
  #allowances: Map<Prepared, Judged> | undefined

  constructor(policy: TopicPolicy, device: DeviceAttributes, rights: Rights, rates: RateLimiter) {
    this.version = policy.version
    this.maxSessions = rights.maxSessions
    this.quarantined = device.quarantined === true
    this.onDenyPublish = policy.onDenyPublish
    this.renderErrors = rights.renderErrors
    this.term = rights.term
    this.#whereabouts = rights.whereabouts
    this.#device = device
    this.#onOverlap = policy.onOverlap
    this.#rules = new RuleTable(rights, device)
    const { withheld } = rights
    const isNothingWithheld = withheld.allow.length + withheld.deny.length === 0
    this.#withheld = isNothingWithheld ? emptyTable : new RuleTable(withheld, device)
    this.#discover = { given: rights.discover, withheld: withheld.discover }
    this.#rates = rates
  }

  get dependsOnAddress(): boolean {
    return this.#whereabouts !== undefined
  }

  /** Whether they are the device's rights at this address too. */
  holdAt(from: string | undefined): boolean {
    return this.#whereabouts?.includes(from) ?? true
  }

  /** Pays from the bucket of the rule that allows it. */
  publish(message: Message): Decision {
    const { decision, by } = this.#judgeMessage('publish', message)
    if (by?.rate) this.#rates.spend(this.#bucketOf(by), by.rate)
    return decision
  }

  /** Asked at CONNECT and again when the will fires; the rate of publishing is neither asked nor paid. */
  will(message: Message): Decision {
    return this.#judgeMessage('will', message).decision
  }

  /** Exact: granted only where the allowed filters together cover all that the requested one matches. */
  subscribe(name: TopicFilter, requestedQos: Qos): QosDecision {
    const subscription = parseShare(name)
    if (!subscription.valid) return this.#denied('invalid_share', [])
    if (asksForServices(subscription.filter)) return this.#judgeServiceTopics(subscription.share !== undefined)
    const requested = subscription.filter.split('/')
    const granting = subscription.share === undefined ? this.#rules.granting(requested, requestedQos) : undefined
    if (granting) return { ...this.#allowed([{ rule: granting }]), qos: requestedQos }
    const { deny, allow } = this.#rules.overlapping(subscription)
    if (covered(requested, filtersOf(deny))) return this.#denied('denied', deny) // nothing of it would be left
    const qos = ([2, 1, 0] as const).find(
      (qos) => qos <= requestedQos && covered(requested, filtersOf(atQos(allow, qos))),
    )
    if (qos === undefined)
      return this.#uncovered(name, requested, allow, this.#withheld.overlapping(subscription).allow)
    if (this.#onOverlap === 'reject' && deny.length > 0) return this.#denied('overlaps_deny', deny)
    const together = atQos(allow, qos)
    const alone = together.find(({ filters }) => covered(requested, filters))
    return { ...this.#allowed(alone ? [alone] : together), qos }
  }

  /** Asked at every delivery, so that a change of policy acts on live subscriptions at once. */
  receive(topic: TopicName): QosDecision {
    const received = (this.#received ??= new Map())
    const known = received.get(topic)
    if (known) return known
    const decision = this.#judgeReceive(topic)
    remember(received, topic, decision)
    return decision
  }

  /** Whether there is any service that it may see. */
  get discovers(): boolean {
    return this.#discover.given.some(({ isEmpty }) => !isEmpty)
  }

  /** Whether the device may know of a service that another offers. */
  discover(offer: Offer): Decision {
    const rule = this.#discovering('given', offer)
    if (rule !== undefined) return this.#allowed([{ rule }])
    const withheld = this.#discovering('withheld', offer)
    if (withheld !== undefined) return this.#denied('condition', [{ rule: withheld }])
    if (this.quarantined) return this.#denied('quarantined', [])
    return this.#denied(this.#isEmpty ? 'no_rights' : 'no_rule', [])
  }

  /** The decision that would be taken, by the same code, without paying. */
  judge(question: Question | Discovering): Decision {
    switch (question.action) {
      case 'discover':
        return this.discover(question.offer)
      case 'publish':
      case 'will':
        return this.#judgeMessage(question.action, question).decision
      case 'subscribe':
        return this.subscribe(question.filter, question.qos)
      case 'receive':
        return this.receive(question.topic)
    }
  }

  /** The same, and what each rule had to do with it. */
  explain(question: Question | Discovering): Explanation {
    if (question.action === 'discover') return this.#explainDiscover(question.offer)
    if (question.action === 'subscribe' && asksForServices(question.filter)) return this.#explainServiceTopics(question)
    const { action } = question
    const decision = this.judge(question)
    const reason = decision.effect === 'deny' ? decision.reason : undefined
    const covers = reason !== 'not_contained' && reason !== 'condition'
    const involved = involvedIn(this.#rules, question)
    const withheld = involvedIn(this.#withheld, question)
    const failingAllow = (rule: AllowRule): Failure | undefined => {
      const matches = involved.has(rule) && (covers || action !== 'subscribe')
      return matches ? this.#failingOf(rule, question) : 'topic'
    }
    const failingDeny = (rule: Rule): Failure | undefined => (involved.has(rule) ? undefined : 'topic')
    const failingWithheld = (rule: Rule): Failure =>
      withheld.has(rule) && reason !== 'not_contained' ? 'condition' : 'topic'
    const looked = [
      ...this.#rules.deny(action).map((rule) => considered(rule, 'deny', failingDeny(rule))),
      ...this.#rules.allow(action).map((rule) => considered(rule, 'allow', failingAllow(rule))),
      ...this.#withheld.deny(action).map((rule) => considered(rule, 'deny', failingWithheld(rule))),
      ...this.#withheld.allow(action).map((rule) => considered(rule, 'allow', failingWithheld(rule))),
    ]
    const isSettled = reason === undefined || reason === 'denied' || reason === 'overlaps_deny'
    const allows = [...this.#rules.allow(action), ...this.#withheld.allow(action)]
    const nearest = isSettled
      ? undefined
      : nearestMiss(
          looked,
          allows.map((rule) => renderRule(rule, this.#device)),
          question,
        )
    return { decision, considered: looked, ...(nearest && { nearest }) }
  }

  #explainDiscover(offer: Offer): Explanation {
    const look = (which: 'given' | 'withheld', failed: Failure | undefined): readonly Considered[] =>
      this.#discover[which].flatMap((list) =>
        list.rules.map((rule) => {
          const isMatching = new DiscoverList([rule]).matching(offer, this.#device) !== undefined
          return considered(rule, 'allow', isMatching ? failed : 'service')
        }),
      )
    const looked = [...look('given', undefined), ...look('withheld', 'condition')]
    return { decision: this.discover(offer), considered: looked }
  }

  #explainServiceTopics(question: Question): Explanation {
    const look = (which: 'given' | 'withheld', failed: Failure | undefined): readonly Considered[] =>
      this.#discoverRules(which).map((rule) => considered(rule, 'allow', failed))
    return {
      decision: this.judge(question),
      considered: [...look('given', undefined), ...look('withheld', 'condition')],
    }
  }

  /** Whoever may see any service may ask: which of them it hears of is decided one by one, by {@link discover}. */
  #judgeServiceTopics(isShared: boolean): QosDecision {
    if (isShared) return this.#denied('reserved', []) // what one may see is not for another of a group
    if (this.discovers) return { ...this.#allowed(naming(this.#discoverRules('given'))), qos: 0 }
    const withheld = this.#discoverRules('withheld')
    if (withheld.length > 0) return this.#denied('condition', naming(withheld))
    if (this.quarantined) return this.#denied('quarantined', [])
    return this.#denied(this.#isEmpty ? 'no_rights' : 'reserved', [])
  }

  #discoverRules(which: 'given' | 'withheld'): readonly DiscoverRule[] {
    return this.#discover[which].flatMap(({ rules }) => rules)
  }

  get #isEmpty(): boolean {
    return this.#rules.isEmpty && !this.discovers
  }

  #discovering(which: 'given' | 'withheld', offer: Offer): DiscoverRule | undefined {
    for (const list of this.#discover[which]) {
      const rule = list.matching(offer, this.#device)
      if (rule !== undefined) return rule
    }
    return undefined
  }

  /** The rules that let through some of what a subscription matches, and those that withhold some. */
  receiving(name: TopicFilter): Overlaps {
    const subscription = parseShare(name)
    return subscription.valid ? this.#rules.receiving(subscription.filter.split('/')) : { deny: [], allow: [] }
  }

  #judgeReceive(topic: TopicName): QosDecision {
    const { deny, allow } = this.#rules.match('receive', topic)
    if (deny.length > 0) return this.#denied('denied', deny)
    const widest = allow.reduce<Prepared<AllowRule> | undefined>(
      (best, next) => (best === undefined || next.rule.maxQos > best.rule.maxQos ? next : best),
      undefined,
    )
    if (widest === undefined) return this.#unmatched(topic, 'no_rule', this.#withheld.match('receive', topic).allow)
    return { effect: 'allow', rules: [widest.rule.id], policyVersion: this.version, qos: widest.rule.maxQos }
  }

  #judgeMessage(action: 'publish' | 'will', message: Message): Judged {
    const { deny, allow } = this.#rules.matching(action, message.topic)
    if (deny.length > 0) return { decision: this.#denied('denied', deny) }
    for (const entry of allow) {
      if (this.#failing(entry.rule, action, message) === undefined) return this.#allowedBy(entry)
    }
    const [nearest] = allow
    if (nearest === undefined) {
      const { allow: withheld } = this.#withheld.matching(action, message.topic)
      return { decision: this.#unmatched(message.topic, 'no_rule', withheld) }
    }
    const constraint = this.#failing(nearest.rule, action, message)
    return { decision: this.#denied(constraint ?? 'internal', [nearest]) }
  }

  /** A subscription is granted at a lower QoS instead, a delivery made at one. */
  #failingOf(rule: AllowRule, question: Question): Constraint | undefined {
    if (question.action === 'subscribe' || question.action === 'receive') return undefined
    return this.#failing(rule, question.action, question)
  }

  /** The first constraint that keeps a matching allow from deciding. */
  #failing(rule: AllowRule, action: 'publish' | 'will', { qos, retain, size }: Message): Constraint | undefined {
    if (qos > rule.maxQos) return 'qos'
    if (retain && !rule.retain) return 'retain'
    if (size > rule.maxPayloadBytes) return 'size'
    const paid = action === 'publish' && rule.rate !== undefined
    if (paid && !this.#rates.has(this.#bucketOf(rule), rule.rate)) return 'rate'
    return undefined
  }

  #bucketOf(rule: AllowRule): string {
    return `${this.#device.id}/${rule.id}`
  }

  #uncovered(name: TopicFilter, requested: Levels, allow: readonly Rendered[], withheld: readonly Rendered[]): Denied {
    if (covered(requested, filtersOf([...allow, ...withheld]))) return this.#denied('condition', withheld)
    return allow.length > 0 ? this.#denied('not_contained', []) : this.#unmatched(name, 'not_contained', [])
  }

  /** `withheld`: the rules that would match if the conditions of their roles held. */
  #unmatched(topic: TopicName | TopicFilter, reason: 'no_rule' | 'not_contained', withheld: readonly Naming[]): Denied {
    if (withheld.length > 0) return this.#denied('condition', withheld)
    if (this.quarantined) return this.#denied('quarantined', [])
    if (this.#isEmpty) return this.#denied('no_rights', [])
    return this.#denied(topic.startsWith('$') ? 'reserved' : reason, [])
  }

  /** What a rule allows, it always allows in the same words. */
  #allowedBy(entry: Prepared<AllowRule>): Judged {
    const allowances = (this.#allowances ??= new Map())
    let judged = allowances.get(entry)
    if (!judged) {
      const { rule } = entry
      const answers = rule.answerMs === undefined ? {} : { answerMs: rule.answerMs }
      allowances.set(entry, (judged = { decision: { ...this.#allowed([entry]), ...answers }, by: rule }))
    }
    return judged
  }

  #allowed(rules: readonly Naming[]): Allowed {
    return { effect: 'allow', rules: rules.map(({ rule }) => rule.id), policyVersion: this.version }
  }

  #denied(reason: DenyReason, rules: readonly Naming[]): Denied {
    return { effect: 'deny', reason, rules: rules.map(({ rule }) => rule.id), policyVersion: this.version }
  }
}

const emptyTable = new RuleTable({ allow: [], deny: [] }, { id: parseDeviceId('nobody'), tier: 'token', labels: {} })

function naming(rules: readonly DiscoverRule[]): readonly Naming[] {
  return rules.map((rule) => ({ rule }))
}

/** The rules that have to do with the topic or filter of a question. */
function involvedIn(rules: RuleTable, question: Question): ReadonlySet<Naming['rule']> {
  const { deny, allow } = matchesOf(rules, question)
  return new Set([...deny, ...allow].map(({ rule }) => rule))
}

function matchesOf(
  rules: RuleTable,
  question: Question,
): { readonly deny: readonly Naming[]; readonly allow: readonly Naming[] } {
  if (question.action !== 'subscribe') return rules.matching(question.action, question.topic)
  const subscription = parseShare(question.filter)
  return subscription.valid ? rules.overlapping(subscription) : { deny: [], allow: [] }
}

function atQos(allows: readonly Rendered<AllowRule>[], qos: Qos): readonly Rendered<AllowRule>[] {
  return allows.filter(({ rule }) => rule.maxQos >= qos)
}

function filtersOf(rules: readonly Rendered[]): readonly Levels[] {
  return rules.flatMap(({ filters }) => filters)
}

type Considered = Explanation['considered'][number]

function considered(rule: Pick<Rule, 'id' | 'at'>, effect: 'allow' | 'deny', failed: Failure | undefined): Considered {
  return { rule: rule.id, effect, at: rule.at, ...(failed === undefined ? {} : { failed }) }
}
