import type { Record } from '../commands/audit/record.js'
import { csvField, encodeJson } from '../output.js'

/** What most records hold has a column; all else stands in the last one, as JSON. */
const columns = [
  'sequence',
  'time',
  'node',
  'event',
  'device',
  'session',
  'sessionIndex',
  'topic',
  'decision',
  'reason',
  'rules',
  'policyVersion',
  'action',
  'qos',
  'retain',
  'dup',
  'messageId',
  'size',
  'recipients',
  'publisher',
  'origin',
  'operator',
  'peer',
  'comment',
  'count',
] as const

const known: ReadonlySet<string> = new Set(columns)

export const csvHeader = [...columns, 'details'].join(',')

/** RFC 4180, and in one line whatever it holds. */
export function encodeCsvRecord(record: Record): string {
  const details = Object.entries(record).filter(([name]) => !known.has(name))
  const fields = columns.map((name) => plain(record[name]))
  return [...fields, details.length === 0 ? '' : encodeJson(Object.fromEntries(details))]
    .map((text) => csvField(text.replaceAll('\n', '\\n')))
    .join(',')
}

function plain(value: unknown): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map(plain).join(' ')
  return typeof value === 'string' ? value : encodeJson(value)
}
