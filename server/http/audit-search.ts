import type { Static } from 'typebox'
import { type AuditQuery, parseQuery } from '#audit'
import type { OperatorName } from '#protocol'
import { ServerError } from '../errors.js'
import type { auditQuery } from './schemas/audit.js'

/** What is asked of the log: the records that match and are there, or, with `follow`, also those to come. */
export interface AuditSearch {
  readonly query: AuditQuery
  readonly follow: boolean
}

export interface AuditReader {
  readonly operator: OperatorName
  /** Aborted when nobody waits for more. */
  readonly leaving: AbortSignal
}

/** @throws ServerError, AuditError QUERY_INVALID */
export function readAuditSearch(parameters: Static<typeof auditQuery>, now: number): AuditSearch {
  const { follow, ...rest } = parameters
  const query = parseQuery(rest, now)
  if (follow === 'true' && (query.order !== undefined || query.until !== undefined)) {
    throw new ServerError('QUERY_INVALID', '"follow" goes on without an end, oldest first: without "order" and "until"')
  }
  return { query, follow: follow === 'true' }
}
