import type { Static } from 'typebox'
import { type AuditRecord, encodeBase64url, parseTopicFilter } from '#protocol'
import type { AuditQuery } from '#audit'
import { ServerError } from '../errors.js'
import type { auditQuery } from './schemas.js'

/** Either the records that match, or all from one place on: those that are there, or also those to come. */
export type AuditSearch =
  | { readonly kind: 'matching'; readonly query: AuditQuery }
  | { readonly kind: 'from'; readonly sequence: number; readonly follow: boolean }

/** @throws ServerError QUERY_INVALID; ProtocolError INVALID_TOPIC */
export function readAuditSearch(parameters: Static<typeof auditQuery>): AuditSearch {
  const { from, follow, since, until, topic, limit, ...rest } = parameters
  if (from === undefined && follow === undefined) {
    const query = {
      ...rest,
      ...(since !== undefined && { since: Date.parse(since) }),
      ...(until !== undefined && { until: Date.parse(until) }),
      ...(topic !== undefined && { topicFilter: parseTopicFilter(topic) }),
      ...(limit !== undefined && { limit: Number(limit) }),
    }
    return { kind: 'matching', query }
  }
  const others = Object.keys(parameters).filter((name) => name !== 'from' && name !== 'follow')
  if (others.length > 0) {
    throw new ServerError(
      'QUERY_INVALID',
      `"from" and "follow" give every record; they do not go with ${others.join(', ')}`,
    )
  }
  return { kind: 'from', sequence: Number(from ?? 0), follow: follow === 'true' }
}

const times: ReadonlySet<string> = new Set(['time', 'notBefore', 'notAfter', 'at'])

/** One line of NDJSON: bytes as base64url, times as ISO 8601. */
export function encodeAuditLine(record: AuditRecord): string {
  const fields = Object.entries(record).map(([name, value]: [string, unknown]) => {
    if (value instanceof Uint8Array) return [name, encodeBase64url(value)]
    if (times.has(name) && typeof value === 'number') return [name, new Date(value).toISOString()]
    return [name, value]
  })
  return `${JSON.stringify(Object.fromEntries(fields))}\n`
}
