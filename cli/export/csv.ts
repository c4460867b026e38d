import type { Record } from '../commands/audit/record.js'
import { csvLine } from '../csv.js'
import { encodeJson } from '../output.js'

/** What most records hold has a column; all else stands in the last one, as JSON. */
const columns = [
  'sequence',
  'time',
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

export const csvHeader = csvLine([...columns, 'details'])

/** In one line, whatever it holds. */
export function encodeCsvRecord(record: Record): string {
  const details = Object.entries(record).filter(([name]) => !known.has(name))
  const rest = details.length === 0 ? undefined : encodeJson(Object.fromEntries(details))
  return csvLine([...columns.map((name) => record[name]), rest].map(cellOf))
}

function cellOf(value: unknown): string | number {
  return typeof value === 'number' ? value : textOf(value).replaceAll('\n', '\\n')
}

function textOf(value: unknown): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map(textOf).join(' ')
  return typeof value === 'string' ? value : encodeJson(value)
}
