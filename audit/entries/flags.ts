import type { AuditEvent, AuditEventName } from '#protocol'
import { invalidEntry } from './invalid-entry.js'

/*
 * How a message or a subscription was treated, in one integer. The lower four bits are those of a PUBLISH packet (MQTT 5.0
 * §3.3.1), ours stand above them. Which of the properties an event has, its kind says.
 */

export type Flagged = Extract<AuditEvent, { readonly decision: unknown }>

/** The properties that are not fields of their own. */
export type FlagName = 'qos' | 'retain' | 'dup' | 'action' | 'decision'

export const deniedBit = 32
const bits = { retain: 1, qos: 6, dup: 8, will: 16, deny: deniedBit }
/** 3 is no QoS (MQTT 5.0 §3.3.1.2): of a subscription, that none was granted. */
const noQos = 3

/** What may be set in each of the events that have flags. */
const allowedBits: ReadonlyMap<AuditEventName, number> = new Map<Flagged['event'], number>([
  ['message.publish', bits.retain | bits.qos | bits.dup | bits.will | bits.deny],
  ['message.deliver', bits.retain | bits.qos | bits.dup | bits.deny],
  ['message.subscribe', bits.qos | bits.deny],
])

export function isFlagged(event: AuditEvent): event is Flagged {
  return allowedBits.has(event.event)
}

export function isFlaggedName(event: AuditEventName): boolean {
  return allowedBits.has(event)
}

/** @throws AuditError AUDIT_INVALID */
export function flagsOf(event: Flagged): number {
  const judged = bit(event.decision, 'deny', 'allow', bits.deny)
  if (event.event === 'message.subscribe') return judged | (event.qos === undefined ? noQos << 1 : qosBits(event.qos))
  const handled =
    judged | qosBits(event.qos) | bit(event.retain, true, false, bits.retain) | bit(event.dup, true, false, bits.dup)
  return event.event === 'message.publish' ? handled | bit(event.action, 'will', 'publish', bits.will) : handled
}

function qosBits(qos: number): number {
  if (qos !== 0 && qos !== 1 && qos !== 2) throw invalidEntry(`QoS ${qos}`)
  return qos << 1
}

function bit(value: unknown, set: unknown, clear: unknown, mask: number): number {
  if (value === set) return mask
  if (value === clear) return 0
  throw invalidEntry(`neither ${String(set)} nor ${String(clear)}`)
}

/** @throws AuditError AUDIT_INVALID when an event of this kind cannot have them */
export function requireFlags(event: AuditEventName, flags: number): void {
  const allowed = allowedBits.get(event)
  if (allowed === undefined) throw invalidEntry(`${event} with flags`)
  const isQos = (flags & bits.qos) !== noQos << 1 || event === 'message.subscribe'
  if (flags < 0 || flags > 63 || (flags & ~allowed) !== 0 || !isQos) throw invalidEntry(`${event} with flags ${flags}`)
}

/** The properties that they stand for. @throws AuditError AUDIT_INVALID */
export function readFlags(event: AuditEventName, flags: number): Readonly<Record<string, unknown>> {
  requireFlags(event, flags)
  const decision = (flags & bits.deny) !== 0 ? 'deny' : 'allow'
  const qos = (flags & bits.qos) >> 1
  if (event === 'message.subscribe') return qos === noQos ? { decision } : { decision, qos }
  const handled = { qos, retain: (flags & bits.retain) !== 0, dup: (flags & bits.dup) !== 0 }
  if (event === 'message.deliver') return { decision, ...handled }
  return { decision, action: (flags & bits.will) === 0 ? 'publish' : 'will', ...handled }
}
