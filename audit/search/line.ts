import type { AuditRecord } from '#protocol'
import { plainRecord } from '../entries/plain-record.js'

export async function* encodeLines(records: AsyncIterable<AuditRecord>): AsyncGenerator<string, void> {
  for await (const record of records) yield encodeLine(record)
}

/** A record as one line of NDJSON. */
export function encodeLine(record: AuditRecord): string {
  return `${JSON.stringify(plainRecord(record))}\n`
}
