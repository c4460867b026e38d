import { parseShare } from '#protocol'
import { rolesOf } from '../deciding/bound-roles.js'
import { covered, type Levels, overlaps } from '../matching/containment.js'
import { renderTemplate } from '../matching/template.js'
import type { AllowRule, DeviceAttributes, Question, TopicPolicy } from '../policy.js'
import { named } from './naming.js'
import { RuleUse } from './rule-use.js'

/** Something that a device was allowed. */
export interface Allowed {
  readonly question: Question
  /** The rules that decided, as far as that is known. */
  readonly rules: readonly string[]
  readonly count: number
  readonly at: string | undefined
}

interface RenderedAllow {
  readonly use: RuleUse
  readonly filters: readonly Levels[]
}

/** Devices whose rules are kept rendered; the log is much the same ones again and again. */
const maxDevices = 1024

/**
 * By which rules of a policy devices did what they were allowed. Conditions are left out: what a role allows under one is
 * used by who was there. Where more rules than one allow something, those on record count, else all of them.
 */
export class PolicyUsage {
  /** In the order of the policy. */
  readonly uses: ReadonlyMap<string, RuleUse>
  /** Allowed by the policy of then to the device as it was; not by this one as it is. */
  notAllowedNow = 0
  readonly #policy: TopicPolicy
  readonly #labelsOf: (role: string) => ReadonlySet<string>
  readonly #devices = new Map<string, readonly RenderedAllow[]>()

  /** `labelsOf`: the labels that every device of a role has. */
  constructor(policy: TopicPolicy, labelsOf: (role: string) => ReadonlySet<string>) {
    this.#policy = policy
    this.#labelsOf = labelsOf
    const rules = [...policy.roles.values()].flatMap(({ allow }) => allow)
    this.uses = new Map(rules.map((rule) => [rule.id, new RuleUse(rule)]))
  }

  add(device: DeviceAttributes, allowed: Allowed): void {
    const allows = this.#allowsOf(device)
    const { question } = allowed
    const found = question.action === 'subscribe' ? subscribable(allows, question) : matching(allows, question)
    const onRecord = found.filter(({ use }) => allowed.rules.includes(use.rule.id))
    const alone = found.find((allow) => isEnough([allow], question))
    const chosen = isEnough(onRecord, question) ? onRecord : question.action === 'subscribe' && alone ? [alone] : found
    if (!isEnough(chosen, question)) {
      this.notAllowedNow += allowed.count
      return
    }
    for (const { use } of chosen) this.#note(use, device, allowed)
    if (question.action === 'subscribe') noteReceiving(allows, chosen, question.filter)
  }

  #note(use: RuleUse, device: DeviceAttributes, { question, count, at }: Allowed): void {
    const { rule } = use
    const levels = topicOf(question).split('/')
    const labels = this.#labelsOf(roleOf(rule))
    const names = rule.topics.map((topic) => named(levels, topic, device, labels)).find((name) => name !== undefined)
    use.add(question.action, { levels: names, count, at })
    if (question.action !== 'receive') use.demand(question)
    if (question.action === 'subscribe') use.actions.add('receive') // where it may: what was asked for is to come
  }

  /** Of the roles that can be rendered for it; another gives it nothing. */
  #allowsOf(device: DeviceAttributes): readonly RenderedAllow[] {
    const known = this.#devices.get(device.id)
    if (known) return known
    const allows = rolesOf(this.#policy, device).flatMap((role) => {
      try {
        return (this.#policy.roles.get(role)?.allow ?? []).flatMap((rule) => {
          const filters = rule.topics.map((topic) => renderTemplate(topic, device))
          const use = this.uses.get(rule.id)
          return use ? [{ use, filters }] : []
        })
      } catch {
        return []
      }
    })
    if (this.#devices.size >= maxDevices) this.#devices.clear()
    this.#devices.set(device.id, allows)
    return allows
  }
}

type Subscribing = Extract<Question, { readonly action: 'subscribe' }>

function matching(
  allows: readonly RenderedAllow[],
  question: Exclude<Question, Subscribing>,
): readonly RenderedAllow[] {
  const levels = [question.topic.split('/')]
  return allows.filter(({ use: { rule }, filters }) => {
    if (!rule.actions.includes(question.action)) return false
    if (question.action === 'receive') return filters.some((filter) => isCovered(levels, [behindShare(filter)]))
    const { qos, retain, size } = question
    const holds = qos <= rule.maxQos && (!retain || rule.retain) && size <= rule.maxPayloadBytes
    return holds && isCovered(levels, filters)
  })
}

/** Those that may have to do with it; whether they are enough together is another question. */
function subscribable(allows: readonly RenderedAllow[], { filter, qos }: Subscribing): readonly RenderedAllow[] {
  const levels = filter.split('/')
  return allows.filter(({ use: { rule }, filters }) => {
    if (!rule.actions.includes('subscribe') || rule.maxQos < qos) return false
    return filters.some((allowed) => overlaps(levels, allowed))
  })
}

function isEnough(found: readonly RenderedAllow[], question: Question): boolean {
  if (question.action !== 'subscribe') return found.length > 0
  return (
    found.length > 0 &&
    covered(
      question.filter.split('/'),
      found.flatMap(({ filters }) => filters),
    )
  )
}

/** Another rule by which something of the subscription is received stays as it is: nobody knows what will come by it. */
function noteReceiving(
  allows: readonly RenderedAllow[],
  chosen: readonly RenderedAllow[],
  filter: Subscribing['filter'],
) {
  const name = parseShare(filter)
  if (!name.valid) return
  const levels = name.filter.split('/')
  for (const allow of allows) {
    const { use, filters } = allow
    if (chosen.includes(allow) || !mayReceive(use.rule)) continue
    if (!filters.some((other) => overlaps(levels, behindShare(other)))) continue
    use.actions.add('receive')
    use.staysWide = true
  }
}

function mayReceive({ actions }: AllowRule): boolean {
  return actions.includes('receive')
}

/** `$share/<group>/<filter>` lets a message through by its filter (MQTT 5.0 §4.8.2). */
function behindShare(filter: Levels): Levels {
  return filter[0] === '$share' ? filter.slice(2) : filter
}

function isCovered(topics: readonly Levels[], filters: readonly Levels[]): boolean {
  return topics.every((topic) => covered(topic, filters))
}

function topicOf(question: Question): string {
  return question.action === 'subscribe' ? question.filter : question.topic
}

export function roleOf({ id }: AllowRule): string {
  return id.slice(0, id.indexOf('/'))
}
