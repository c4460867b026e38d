import type { AuditRecord } from '#protocol'
import { Answers, type Correlation } from './answers.js'
import { Buckets } from './buckets.js'
import type { ModelPolicy } from './policies.js'
import {
  type Granted,
  isAskedFor,
  isUnruled,
  lettingSpeak,
  mayHear,
  maySubscribe,
  type NamedRule,
  rightsOf,
} from './reference.js'
import { addressOf, type RecordOf, Standing } from './standing.js'

/** What was judged, and what should not have been let through, or not refused. */
export interface Verdict {
  readonly counts: Counts
  readonly wrong: readonly Wrong[]
}

export interface Wrong {
  readonly sequence: number
  readonly what: string
}

/** Decisions by kind; a will and an answer are messages too. */
export type Counts = Readonly<Record<keyof typeof none, number>>
export const none = { connects: 0, subscriptions: 0, messages: 0, wills: 0, answers: 0, deliveries: 0, denials: 0 }

/** What the log alone does not tell. */
export interface Beside {
  readonly policies: ReadonlyMap<number, ModelPolicy>
  /** Of the message on record there. */
  readonly correlationOf: (sequence: number) => Correlation
  /** What time it was when the broker had last looked at the clock, for one that was set. */
  readonly noticedAt: (sequence: number) => number
}

/**
 * Reads an audit log from its beginning, and holds each decision in it to the policy, labels, certificates, locks and
 * revocations that stood in the log before it.
 */
export function judge(records: readonly AuditRecord[], beside: Beside): Verdict {
  const reading = new Reading(beside)
  for (const record of records) reading.read(record)
  return reading
}

type Decided = RecordOf<'message.subscribe' | 'message.publish' | 'message.deliver'>
type Said = RecordOf<'message.publish'>

class Reading implements Verdict {
  readonly counts = { ...none }
  readonly wrong: Wrong[] = []
  readonly #beside: Beside
  readonly #standing: Standing
  readonly #answers: Answers
  readonly #buckets = new Buckets()
  /** By sequence number, with the publisher's own rule that has let it through. */
  readonly #said = new Map<number, { readonly said: Said; readonly rule: NamedRule | undefined }>()

  constructor(beside: Beside) {
    this.#beside = beside
    this.#standing = new Standing(beside.policies)
    this.#answers = new Answers(this.#standing)
  }

  read(record: AuditRecord): void {
    const { event } = record
    if (event === 'device.enroll' || event === 'device.renew') this.#judgeCertificate(record)
    this.#standing.follow(record)
    if (event === 'session.connect') this.#judgeConnect(record)
    else if (event === 'message.subscribe' || event === 'message.publish' || event === 'message.deliver') {
      this.#judgeDecision(record)
    }
  }

  #judgeCertificate(record: RecordOf<'device.enroll' | 'device.renew'>): void {
    const { event, device, peer = '' } = record
    const how = event === 'device.enroll' ? 'isLocked' : 'isKeptOut'
    const isOut = this.#standing[how](device, addressOf(peer))
    if (isOut) this.#blame(record, 'is given a certificate') // in quarantine it may renew and not join: docs/decisions/0010
  }

  #judgeConnect(record: RecordOf<'session.connect'>): void {
    this.counts.connects++
    if (this.#isKeptOut(record)) this.#blame(record, 'is kept out')
    if (this.#standing.serialOf(record.device) !== record.serial)
      this.#blame(record, 'shows a certificate that is over')
  }

  #judgeDecision(record: Decided): void {
    if (record.decision === 'deny') return this.#judgeRefusal(record)
    if (record.policyVersion !== this.#standing.version) this.#blame(record, 'is judged by another policy on')
    if (this.#isKeptOut(record)) this.#blame(record, 'is kept out and speaks or hears')
    if (record.event === 'message.subscribe') this.#judgeSubscription(record)
    else if (record.event === 'message.publish') this.#judgeMessage(record)
    else this.#judgeDelivery(record)
  }

  #judgeSubscription(record: RecordOf<'message.subscribe'>): void {
    this.counts.subscriptions++
    const { session, topic, qos = 0 } = record
    this.#standing.connected.get(session)?.asked.push(topic)
    const may = this.#rights(record).some((granted) => maySubscribe(granted, topic, qos))
    if (!may) this.#blame(record, 'may not subscribe to')
  }

  #judgeMessage(record: Said): void {
    const { action, sequence } = record
    const correlation = this.#beside.correlationOf(sequence)
    const rule = this.#ownRule(record)
    this.#said.set(sequence, { said: record, rule })
    this.counts.messages++
    if (action === 'will') this.counts.wills++
    if (!rule && !this.#isAnswer(record, correlation)) this.#blame(record, `may not ${action}`)
    const { responseTopic } = correlation
    if (responseTopic !== undefined && !this.#rights(record).some((granted) => mayHear(granted, responseTopic, 0))) {
      this.#blame(record, `may not hear answers on ${responseTopic}, and asks on`)
    }
  }

  /** The one that is named: the first of those that hold and can be paid. It is paid. */
  #ownRule(record: Said): NamedRule | undefined {
    const { device, action, time } = record
    const first = this.#rights(record).flatMap((granted) => {
      const rules = lettingSpeak(granted, action, record)
      return rules.find((rule) => action === 'will' || this.#buckets.mayPay(device, rule, time)) ?? []
    })
    const rule = first.find(({ name }) => name === record.rules[0])
    if (rule && action === 'publish') this.#buckets.pay(device, rule, time)
    return rule
  }

  /** No rule of its own says anything, and it was asked to. */
  #isAnswer(record: Said, correlation: Correlation): boolean {
    if (record.action === 'will' || !this.#rights(record).some((granted) => isUnruled(granted, record.topic)))
      return false
    if (!this.#answers.take(record, correlation)) return false
    this.counts.answers++
    return true
  }

  #judgeDelivery(record: RecordOf<'message.deliver'>): void {
    this.counts.deliveries++
    const { session, topic, origin = -1, publisher, retain, dup } = record
    const qos = dup ? 0 : record.qos // what is sent again is sent as it was [MQTT-4.4.0-1]
    if (!this.#rights(record).some((granted) => mayHear(granted, topic, qos))) this.#blame(record, 'may not hear')
    const { asked = [] } = this.#standing.connected.get(session) ?? {}
    if (!asked.some((filter) => isAskedFor(filter, topic))) this.#blame(record, 'has not asked for')
    const { said, rule } = this.#said.get(origin) ?? {}
    if (said?.topic !== topic || said.device !== publisher) return this.#blame(record, 'hears what nobody said on')
    if (this.#standing.isTakenBack(said)) this.#blame(record, `hears ${said.device}, which was kept out since, on`)
    const isLive = said.qos === 0 && !retain // it has waited for nothing but its own record
    if (isLive && this.#standing.wasQuarantinedSince(said)) {
      this.#blame(record, `hears ${said.device}, which was put in quarantine since, on`)
    }
    this.#answers.give(record, said, rule, this.#beside.correlationOf(origin))
  }

  /** Whoever may do something is not refused it, or a change for the better would not have acted. */
  #judgeRefusal(record: Decided): void {
    this.counts.denials += record.count ?? 1
    const isCounted = record.count !== undefined || record.topic === '' // some time later
    if (isCounted || !byRules.has(record.reason ?? '') || this.#isKeptOut(record)) return
    if (this.#standing.isQuarantined(record.device)) return // a change that puts it there may first be held against the rest
    const rights = this.#rights(record)
    const may = rights.every((granted) => this.#mayNow(record, granted))
    if (may) this.#blame(record, `is refused (${record.reason}) what it may on`)
  }

  #mayNow(record: Decided, granted: Granted): boolean {
    const { event, device, topic, time } = record
    if (event === 'message.subscribe') return maySubscribe(granted, topic, 0)
    if (event === 'message.deliver') return mayHear(granted, topic, 0)
    const rules = lettingSpeak(granted, record.action, record)
    return rules.some((rule) => record.action === 'will' || this.#buckets.mayPay(device, rule, time))
  }

  /** For each time and place that it may have been. */
  #rights(record: Decided): readonly Granted[] {
    const { policy } = this.#standing
    if (!policy) return []
    const who = this.#standing.who(record.device)
    const times = [...new Set([record.time, this.#beside.noticedAt(record.sequence)])]
    const places = this.#standing.whereabouts(record)
    const circumstances = places.flatMap((from) => times.map((at) => ({ from, at })))
    return who.flatMap((one) => circumstances.map((when) => rightsOf(policy, one, when)))
  }

  #isKeptOut(record: Decided | RecordOf<'session.connect'>): boolean {
    const places = this.#standing.whereabouts(record)
    return places.every((address) => this.#standing.isKeptOut(record.device, address))
  }

  #blame(record: AuditRecord & { readonly device?: string; readonly topic?: string }, what: string): void {
    const { sequence, event, device = '', topic = '' } = record
    this.wrong.push({ sequence, what: `record ${sequence}, ${event}: ${device} ${what} ${topic}` })
  }
}

/** Reasons that the rules of a policy alone give; others come from quotas, from who asks, or from what has come since. */
const byRules: ReadonlySet<string> = new Set([
  'no_rule',
  'denied',
  'qos',
  'retain',
  'size',
  'rate',
  'no_rights',
  'condition',
  'not_contained',
  'overlaps_deny',
])
