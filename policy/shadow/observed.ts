import {
  addressIn,
  CodedError,
  type DeviceId,
  parseDeviceId,
  parseTopicFilter,
  parseTopicName,
  serviceTopicRoot,
} from '#protocol'
import type { Qos, Question } from '../policy.js'

/** A decision on record, as a question that any policy can be asked. */
export interface Decided {
  readonly device: DeviceId
  readonly session: string | undefined
  /** Undefined where no policy can be asked about it afterwards, and why. */
  readonly question: Question | 'notByPolicy' | 'withoutTopic'
  readonly effect: 'allow' | 'deny'
  /** The rules that decided, by the policy of then. */
  readonly rules: readonly string[]
  readonly count: number
}

/** What a line of the log says to one who asks what was decided: that, where a session came from, or nothing. */
export type Observed =
  | { readonly kind: 'decision'; readonly time: string; readonly decided: Decided }
  | { readonly kind: 'connect'; readonly session: string; readonly from: string }

/** Reasons that a policy gives, and gives again when it is asked again: not what depends on how much came before. */
const reasonsOfPolicy: ReadonlySet<unknown> = new Set([
  ...['no_rule', 'denied', 'not_contained', 'overlaps_deny', 'qos', 'retain', 'size'],
  ...['condition', 'reserved', 'no_rights', 'quarantined'],
])

/** Of a will that refused its CONNECT only the topic is on record. */
const reasonsOfTopic: ReadonlySet<unknown> = new Set(['no_rule', 'denied', 'condition', 'reserved', 'no_rights'])

/** Reads a record as the log's search gives it; undefined for one that says nothing of the kind, or cannot be read. */
export function readObserved(record: unknown): Observed | undefined {
  if (typeof record !== 'object' || record === null) return undefined
  const fields: Readonly<Record<string, unknown>> = { ...record }
  const { event, session, peer, time } = fields
  if (event === 'session.connect') {
    return typeof session === 'string' && typeof peer === 'string'
      ? { kind: 'connect', session, from: addressIn(peer) }
      : undefined
  }
  const decided = readDecided(fields)
  return decided && { kind: 'decision', time: String(time), decided }
}

function readDecided(fields: Readonly<Record<string, unknown>>): Decided | undefined {
  const { event, device, session, decision, reason, rules, count } = fields
  const isRefusedWill = event === 'session.refuse' && reason === 'will'
  if (!isRefusedWill && decision !== 'allow' && decision !== 'deny') return undefined
  if (typeof device !== 'string') return undefined
  try {
    return {
      device: parseDeviceId(device),
      session: typeof session === 'string' ? session : undefined,
      question: isRefusedWill ? willOf(fields['comment']) : questionOf(fields),
      effect: decision === 'allow' ? 'allow' : 'deny',
      rules: Array.isArray(rules) ? rules.map(String) : [],
      count: typeof count === 'number' ? count : 1,
    }
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}

function questionOf(fields: Readonly<Record<string, unknown>>): Decided['question'] {
  const { event, topic, decision, reason, action, qos, retain, size } = fields
  if (decision === 'deny' && !reasonsOfPolicy.has(reason)) return 'notByPolicy'
  if (typeof topic !== 'string' || topic === '') return 'withoutTopic'
  if (topic.startsWith(`${serviceTopicRoot}/`)) return 'notByPolicy' // which labels the offering device had is not on record
  switch (event) {
    case 'message.subscribe':
      return { action: 'subscribe', filter: parseTopicFilter(topic), qos: qosOf(qos) }
    case 'message.deliver':
      return { action: 'receive', topic: parseTopicName(topic) }
    default: {
      const message = { topic: parseTopicName(topic), qos: qosOf(qos), retain: retain === true, size: Number(size) }
      return { action: action === 'will' ? 'will' : 'publish', ...message }
    }
  }
}

function willOf(comment: unknown): Decided['question'] {
  const [, topic, reason] = /^(.+): (\w+)$/s.exec(String(comment)) ?? []
  if (topic === undefined || !reasonsOfTopic.has(reason)) return 'notByPolicy'
  return { action: 'will', topic: parseTopicName(topic), qos: 0, retain: false, size: 0 }
}

/** The granted one; of a subscription that was refused the least, as nothing else is on record. */
function qosOf(value: unknown): Qos {
  return value === 1 ? 1 : value === 2 ? 2 : 0
}
