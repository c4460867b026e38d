import { type AuditRecord, encodeBase64url } from '#protocol'

const times: ReadonlySet<string> = new Set(['time', 'notBefore', 'notAfter', 'at', 'from', 'to'])

export async function* encodeLines(records: AsyncIterable<AuditRecord>): AsyncGenerator<string, void> {
  for await (const record of records) yield encodeLine(record)
}

/** A record as one line of NDJSON: bytes as base64url, times as ISO 8601. */
export function encodeLine(record: AuditRecord): string {
  const fields = Object.entries(record).map(([name, value]: [string, unknown]) => {
    if (value instanceof Uint8Array) return [name, encodeBase64url(value)]
    if (times.has(name) && typeof value === 'number') return [name, new Date(value).toISOString()]
    return [name, value]
  })
  return `${JSON.stringify(Object.fromEntries(fields))}\n`
}
