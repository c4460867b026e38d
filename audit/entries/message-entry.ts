import type { AuditEvent } from '#protocol'
import type { CborWriter } from './cbor.js'
import { fields, flagsKey } from './fields.js'
import { flagsOf } from './flags.js'

/*
 * The two records that every message brings, with each field named where it is read. To look fields up in a table, as
 * all other events do, costs the engine several times as much. Tests hold both ways to the same bytes.
 */

type Publish = Extract<AuditEvent, { readonly event: 'message.publish' }>
type Deliver = Extract<AuditEvent, { readonly event: 'message.deliver' }>

const decided = ['event', 'device', 'session', 'sessionIndex', 'topic', 'decision', 'reason', 'rules', 'policyVersion']
const message = ['qos', 'retain', 'dup', 'messageId', 'size']

/** The properties that are written; an event that has more or fewer of them goes the general way. */
export const publishNames: readonly string[] = [...decided, 'action', ...message, 'recipients']
export const deliverNames: readonly string[] = [...decided, ...message, 'publisher', 'origin']

/** In the order of the keys, as the deterministic form asks. */
export function writePublish(writer: CborWriter, event: Publish): void {
  writeMessage(writer, event)
  writer.key(fields.recipients[0])
  writer.integer(event.recipients)
  writeReason(writer, event)
}

export function writeDeliver(writer: CborWriter, event: Deliver, sequence: number): void {
  writeMessage(writer, event)
  if (event.publisher !== undefined) {
    writer.key(fields.publisher[0])
    writer.text(event.publisher)
  }
  if (event.origin !== undefined) {
    writer.key(fields.origin[0])
    writer.integer(sequence - event.origin)
  }
  writeReason(writer, event)
}

/** Of the fields that may be left out, so many are. */
export function absentIn(event: Publish | Deliver): number {
  let absent = 0
  if (event.reason === undefined) absent++
  if (event.messageId === undefined) absent++
  if (event.event === 'message.publish') return absent
  if (event.publisher === undefined) absent++
  if (event.origin === undefined) absent++
  return absent
}

function writeMessage(writer: CborWriter, event: Publish | Deliver): void {
  writer.key(fields.device[0])
  writer.text(event.device)
  writer.key(fields.session[0])
  writer.sessionName(event.session)
  writer.key(fields.sessionIndex[0])
  writer.integer(event.sessionIndex)
  writer.key(fields.topic[0])
  writer.text(event.topic)
  writer.key(flagsKey)
  writer.integer(flagsOf(event))
  writer.key(fields.rules[0])
  writer.texts(event.rules)
  writer.key(fields.policyVersion[0])
  writer.integer(event.policyVersion)
  if (event.messageId !== undefined) {
    writer.key(fields.messageId[0])
    writer.integer(event.messageId)
  }
  writer.key(fields.size[0])
  writer.integer(event.size)
}

function writeReason(writer: CborWriter, { reason }: Publish | Deliver): void {
  if (reason === undefined) return
  writer.key(fields.reason[0])
  writer.text(reason)
}
