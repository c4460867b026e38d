import { CliError } from '../errors.js'

/** A record as the API writes it: these two, and whatever its event says. */
export interface Record {
  readonly sequence: number
  readonly event: string
  readonly [field: string]: unknown
}

/** @throws CliError BAD_ANSWER */
export function parseRecord(line: string): Record {
  const record = parseJson(line)
  if (isRecord(record)) return record
  throw new CliError('BAD_ANSWER', 'the server sent an audit record that this version does not understand')
}

/** One line for a person: place, time and event first; whole certificates are for `-o json`. */
export function formatRecord({
  sequence,
  time,
  event,
  node: _node,
  certificate: _certificate,
  ...facts
}: Record): string {
  const details = Object.entries(facts).map(([name, value]) => `${name}=${formatValue(value)}`)
  return [String(sequence).padStart(6), String(time), event.padEnd(18), ...details].join('  ').trimEnd()
}

function formatValue(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  return /^[\w./:+#$~-]+$/.test(value) ? value : JSON.stringify(value)
}

function isRecord(value: unknown): value is Record {
  if (typeof value !== 'object' || value === null) return false
  return (
    'sequence' in value && typeof value.sequence === 'number' && 'event' in value && typeof value.event === 'string'
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
