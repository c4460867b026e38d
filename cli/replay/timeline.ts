import { formatBytes } from '../commands/arguments.js'
import { formatValue, type Record } from '../commands/audit/record.js'
import type { Cell } from '../output.js'

/** Who did something: the device that the session is of, the broker, or somebody else. */
interface Line {
  readonly mark: string
  readonly what: string
  readonly topic?: string
  readonly detail: readonly (string | undefined)[]
}

/**
 * A record of a session as a line of its time line, seen from the device: `→` is what it said, `←` what it heard.
 * `outcome` is what became of it when it was done again.
 */
export function timelineCells(record: Record, offsetMs: number, outcome?: string): readonly Cell[] {
  return [...cellsOf(lineOf(record), offsetMs, outcome), { text: `#${record.sequence}`, wide: true }]
}

/** What arrives while a session is played again, which no record speaks of. */
export function arrivalCells({ topic, ...message }: Arrival, offsetMs: number): readonly Cell[] {
  return cellsOf(
    { mark: '←', what: 'arrives', topic: formatValue(topic), detail: messageDetail(message) },
    offsetMs,
    '',
  )
}

export interface Arrival {
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
  readonly size: number
}

function cellsOf({ mark, what, topic = '', detail }: Line, offsetMs: number, outcome?: string): readonly Cell[] {
  return [
    { text: formatOffset(offsetMs), width: 11 },
    { text: mark, width: 2 },
    { text: what, width: 12 },
    { text: topic, width: 36 },
    ...(outcome === undefined ? [] : [{ text: outcome, width: 13 }]),
    { text: detail.filter(Boolean).join('  ') },
  ]
}

function lineOf(record: Record): Line {
  const topic = textOf(record, 'topic')
  switch (record.event) {
    case 'session.connect':
      return { mark: '●', what: 'connects', detail: connectDetail(record) }
    case 'session.end':
      return { mark: '○', what: 'ends', detail: [textOf(record, 'reason'), textOf(record, 'comment')] }
    case 'session.kick':
      return { mark: '!', what: 'kicked', detail: [`by ${textOf(record, 'operator')}`, textOf(record, 'comment')] }
    case 'message.subscribe':
      return { mark: '+', what: 'subscribes', topic, detail: [qosOf(record), ...decisionOf(record)] }
    case 'message.unsubscribe':
      return { mark: '-', what: 'unsubscribes', topic, detail: [] }
    case 'message.publish': {
      const what = record['action'] === 'will' ? 'last will' : 'publishes'
      return { mark: '→', what, topic, detail: [...messageDetail(record), ...decisionOf(record)] }
    }
    case 'message.deliver': {
      const from = textOf(record, 'publisher')
      return {
        mark: '←',
        what: 'receives',
        topic,
        detail: [from && `from ${from}`, ...messageDetail(record), ...decisionOf(record)],
      }
    }
    case 'message.drop':
      return { mark: '!', what: 'loses', detail: [`${textOf(record, 'count')} messages`, textOf(record, 'reason')] }
    default:
      return { mark: '·', what: record.event, topic, detail: [textOf(record, 'reason'), textOf(record, 'comment')] }
  }
}

function connectDetail(record: Record): readonly string[] {
  return [
    `as ${textOf(record, 'clientId')}`,
    `from ${textOf(record, 'peer')}`,
    record['protocolLevel'] === 5 ? 'MQTT 5' : 'MQTT 3.1.1',
    record['sessionPresent'] === true ? 'to its stored session' : 'to a new session',
    `keep-alive ${textOf(record, 'keepAliveSeconds')} s`,
    `policy version ${textOf(record, 'policyVersion')}`,
  ]
}

function messageDetail(message: Readonly<{ [name: string]: unknown }>): readonly string[] {
  const { retain, dup, size } = message
  return [
    qosOf(message),
    typeof size === 'number' ? formatBytes(size) : '',
    retain === true ? 'retained' : '',
    dup === true ? 'again' : '',
  ]
}

function decisionOf(record: Record): readonly string[] {
  const { decision, rules, count } = record
  const by = Array.isArray(rules) && rules.length > 0 ? `by ${rules.join(', ')}` : ''
  const times = typeof count === 'number' && count > 1 ? `${count} times` : ''
  return decision === 'deny' ? ['DENIED', textOf(record, 'reason'), by, times] : [by]
}

function qosOf({ qos }: Readonly<{ [name: string]: unknown }>): string {
  return typeof qos === 'number' ? `QoS ${qos}` : ''
}

function textOf(record: Record, name: string): string {
  const value = record[name]
  return value === undefined || value === '' ? '' : formatValue(value)
}

/** Milliseconds → `1:02:03.045`, as short as it can be. */
function formatOffset(offsetMs: number): string {
  const sign = offsetMs < 0 ? '-' : ''
  const total = Math.abs(offsetMs)
  const [hours, minutes, seconds] = [
    Math.floor(total / 3_600_000),
    Math.floor(total / 60_000) % 60,
    (total / 1000) % 60,
  ]
  const rest = seconds.toFixed(3)
  if (hours > 0) return `${sign}${hours}:${String(minutes).padStart(2, '0')}:${rest.padStart(6, '0')}`
  return minutes > 0 ? `${sign}${minutes}:${rest.padStart(6, '0')}` : `${sign}${rest}`
}
