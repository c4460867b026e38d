import { type CsvCell, csvLine } from '../csv.js'
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

/** A record, or what a replay says of one. */
export type CsvItem = Readonly<{ [name: string]: unknown }>

/** In one line, whatever it holds. */
export function encodeCsvRecord(record: CsvItem): string {
  const details = Object.entries(record).filter(([name]) => !known.has(name))
  const rest = details.length === 0 ? '' : { json: encodeJson(Object.fromEntries(details)) }
  return csvLine([...columns.map((name) => cellOf(record[name])), rest])
}

function cellOf(value: unknown): CsvCell {
  if (value === undefined) return ''
  if (typeof value === 'string' || typeof value === 'number') return value
  if (isTexts(value)) return value.join(' ')
  return { json: encodeJson(value) }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}
