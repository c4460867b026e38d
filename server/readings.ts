import { type AuditQuery, formatQuery } from '#audit'
import type { AuditSearch } from './http/audit-search.js'

/**
 * What an operator asked of the log: records by a query, the newest decisions to hold a policy against, or the proofs of
 * some records, each of which holds its record.
 */
export type Reading =
  | { readonly of: 'records'; readonly search: AuditSearch }
  | { readonly of: 'decisions'; readonly last: number }
  | { readonly of: 'proofs'; readonly lowest: number; readonly highest: number }

/** What stands in the log about it. */
export function describeReading(reading: Reading): string {
  if (reading.of === 'records') return describeSearch(reading.search)
  if (reading.of === 'decisions') return `last ${reading.last} decisions`
  const { lowest, highest } = reading
  return lowest === highest ? `proof of record ${lowest}` : `proof of records ${lowest} to ${highest}`
}

/** What makes two searches the same: "the last two hours" and "from here on" begin elsewhere at every repetition. */
export function questionOf(reading: Reading): string {
  if (reading.of === 'decisions') return 'last decisions'
  if (reading.of === 'proofs') return describeReading(reading)
  const { since: _since, until: _until, after: _after, ...query } = reading.search.query
  return describeSearch({ ...reading.search, query })
}

/**
 * Two as one that says no less than what was read: the same question, from the earlier beginning to the later end.
 * Undefined when nothing but "all" would say that.
 */
export function coverBoth(one: Reading, other: Reading): Reading | undefined {
  if (one.of === 'proofs' && other.of === 'proofs') {
    const { min, max } = Math
    return { of: 'proofs', lowest: min(one.lowest, other.lowest), highest: max(one.highest, other.highest) }
  }
  if (one.of === 'decisions' && other.of === 'decisions')
    return { of: 'decisions', last: Math.max(one.last, other.last) }
  if (one.of !== 'records' || other.of !== 'records' || questionOf(one) !== questionOf(other)) return undefined
  return { of: 'records', search: widest(one.search, other.search) }
}

function describeSearch({ query, follow }: AuditSearch): string {
  return [...(follow ? ['follow'] : []), formatQuery(query)].join(' ').trim()
}

/** An end that one of the two leaves open is open. */
function widest({ query: one, follow }: AuditSearch, { query: other }: AuditSearch): AuditSearch {
  const { since: _since, until: _until, after: _after, ...query } = one
  const isOldestFirst = follow || query.order === 'oldest'
  const [since, until, after] = [
    bothOr(Math.min, one.since, other.since),
    bothOr(Math.max, one.until, other.until),
    bothOr(isOldestFirst ? Math.min : Math.max, one.after, other.after),
  ]
  const ends: AuditQuery = {
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(after !== undefined && { after }),
  }
  return { query: { ...query, ...ends }, follow }
}

function bothOr(pick: typeof Math.min, one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : pick(one, other)
}
