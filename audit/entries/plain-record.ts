import { type AuditRecord, encodeBase64url } from '#protocol'

/** A record in values that JSON has: bytes as base64url, times as ISO 8601. */
export interface PlainRecord {
  readonly sequence: number
  readonly event: string
  readonly time: string
  readonly [field: string]: unknown
}

const times: ReadonlySet<string> = new Set(['time', 'notBefore', 'notAfter', 'at', 'from', 'to'])

export function plainRecord(record: AuditRecord): PlainRecord {
  const fields = Object.entries(record).map(([name, value]: [string, unknown]) => [name, plainValue(name, value)])
  return Object.fromEntries(fields) as PlainRecord // of a record's fields only the time is of another type
}

function plainValue(name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return encodeBase64url(value)
  return times.has(name) && typeof value === 'number' ? isoTime(value) : value
}

/** A clock may say anything; what is no date stays a number. */
function isoTime(milliseconds: number): string | number {
  const date = new Date(milliseconds)
  return Number.isNaN(date.getTime()) ? milliseconds : date.toISOString()
}
