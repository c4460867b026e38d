import type { Record } from '../commands/audit/record.js'

/** Why what a device did is not done again, and as a person is told. */
export const omissions = {
  denied: 'policy refused it when it was recorded',
  no_topic: 'the record counts refusals on many topics and names none',
  shortened: 'the log holds only the beginning of a topic that long',
  too_long: 'with the prefix the topic is longer than MQTT allows',
} as const

export type Omission = keyof typeof omissions

/** What a device did in a session, as it can be done again. */
export type Act =
  | { readonly does: 'connect' | 'end' }
  | { readonly does: 'publish'; readonly message: RecordedMessage }
  | { readonly does: 'subscribe'; readonly filter: string; readonly qos: Qos }
  | { readonly does: 'unsubscribe'; readonly filter: string }
  | { readonly does: 'nothing'; readonly why: Omission }

export interface RecordedMessage {
  readonly sequence: number
  readonly topic: string
  readonly qos: Qos
  readonly retain: boolean
  readonly size: number
}

export type Qos = 0 | 1 | 2

export interface ActOptions {
  readonly prefix: string
  /** Also what policy refused. */
  readonly denied: boolean
}

/** Undefined for what was not the device's doing: what it received or lost, and what an operator did. */
export function actOf(record: Record, { prefix, denied }: ActOptions): Act | undefined {
  switch (record.event) {
    case 'session.connect':
      return { does: 'connect' }
    case 'session.end':
      return { does: 'end' }
    case 'message.publish':
    case 'message.subscribe':
    case 'message.unsubscribe':
      break
    default:
      return undefined
  }
  if (record['decision'] === 'deny' && !denied) return { does: 'nothing', why: 'denied' }
  const recorded = textOf(record, 'topic')
  if (recorded === '') return { does: 'nothing', why: 'no_topic' }
  if (isShortened(recorded)) return { does: 'nothing', why: 'shortened' }
  if (record.event === 'message.publish') {
    const topic = `${prefix}${recorded}`
    return isTooLong(topic) ? tooLong : { does: 'publish', message: { ...messageOf(record), topic } }
  }
  const filter = prefixed(recorded, prefix)
  if (isTooLong(filter)) return tooLong
  if (record.event === 'message.unsubscribe') return { does: 'unsubscribe', filter }
  return { does: 'subscribe', filter, qos: qosOf(record) }
}

const tooLong = { does: 'nothing', why: 'too_long' } as const

function messageOf(record: Record): Omit<RecordedMessage, 'topic'> {
  const { sequence, retain, size } = record
  return { sequence, qos: qosOf(record), retain: retain === true, size: typeof size === 'number' ? size : 0 }
}

/** What a shared subscription shares is found behind its group: `$share/GROUP/FILTER` (MQTT 5.0 §4.8.2). */
function prefixed(filter: string, prefix: string): string {
  const [, share = '', rest = filter] = /^(\$share\/[^/]+\/)(.*)$/s.exec(filter) ?? []
  return `${share}${prefix}${rest}`
}

/** The log keeps the beginning of long text, and says how long it was. */
export function isShortened(text: string): boolean {
  return /… \[\d+ bytes, SHA-256 [0-9a-f]{64}\]$/.test(text)
}

/** MQTT 5.0 §1.5.4 */
function isTooLong(text: string): boolean {
  return Buffer.byteLength(text) > 0xffff
}

function qosOf({ qos }: Record): Qos {
  return qos === 1 || qos === 2 ? qos : 0
}

function textOf(record: Record, name: string): string {
  const value = record[name]
  return typeof value === 'string' ? value : ''
}
