import { type Decision, type DenyReason, denyReasonTexts, type TopicAction } from '#protocol'
import { type ReasonCode, reasonCodes } from './wire/reason-codes.js'

type Denied = Extract<Decision, { effect: 'deny' }>

/** What a client of MQTT 5 is told of a refusal, by the codes that PUBACK, PUBREC and SUBACK have (§3.4.2.1, §3.9.3). */
export function reasonCodeOf({ reason }: Denied): ReasonCode {
  return codes.get(reason) ?? reasonCodes.notAuthorized
}

const codes: ReadonlyMap<DenyReason, ReasonCode> = new Map([
  ['rate', reasonCodes.quotaExceeded],
  ['quota', reasonCodes.quotaExceeded],
  ['internal', reasonCodes.implementationSpecificError],
  ['invalid_share', reasonCodes.topicFilterInvalid],
])

/** Tells an authenticated client which of its own rights was missing; nothing about anybody else's. */
export function explainDenial(action: TopicAction, topic: string, { reason, rules }: Denied): string {
  const by = rules.length > 0 ? ` (${rules.join(', ')})` : ''
  return `${action} ${topic}: ${denyReasonTexts[reason]}${by}`
}
