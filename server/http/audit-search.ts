import type { Static } from 'typebox'
import { type AuditQuery, formatQuery, parseQuery } from '#audit'
import { ServerError } from '../errors.js'
import type { auditQuery } from './schemas.js'

/** What is asked of the log: the records that match and are there, or, with `follow`, also those to come. */
export interface AuditSearch {
  readonly query: AuditQuery
  readonly follow: boolean
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

/** What stands in the log about a search, and what makes two searches the same question, wherever in time they begin. */
export function describeSearch({ query, follow }: AuditSearch): { readonly text: string; readonly question: string } {
  const { since: _since, until: _until, after: _after, ...question } = query
  const [text = '', timeless = ''] = [query, question].map((query) => {
    return [...(follow ? ['follow'] : []), formatQuery(query)].join(' ').trim()
  })
  return { text, question: timeless }
}
