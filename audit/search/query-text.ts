import {
  type AuditEventName,
  CodedError,
  parseDeviceId,
  parseOperatorName,
  parseSpan,
  parseTopicFilter,
  queryWords,
} from '#protocol'
import { eventNumbers } from '../entries/fields.js'
import { AuditError } from '../errors.js'
import type { AuditQuery } from '../reading/query.js'

/*
 * One language for the command line, the API and the record of who read: `device:pump-7 decision:deny topic:a/+/b
 * since:2h`. All terms must hold, each stands at most once, and their order says nothing.
 */

/** Every term, and what its value says; `now` is what "two hours ago" counts from. */
const terms = {
  device: (value) => ({ device: parseDeviceId(value) }),
  session: (value) => ({ session: parseShort(value) }),
  event: (value) => ({ event: parseEvent(value) }),
  topic: (value) => ({ topicFilter: parseTopicFilter(value) }),
  decision: (value) => ({ decision: oneOf(value, ['allow', 'deny']) }),
  rule: (value) => ({ rule: parseShort(value) }),
  operator: (value) => ({ operator: parseOperatorName(value) }),
  since: (value, now) => ({ since: parseMoment(value, now) }),
  until: (value, now) => ({ until: parseMoment(value, now) }),
  order: (value) => ({ order: oneOf(value, ['newest', 'oldest']) }),
  limit: (value) => ({ limit: parseWhole(value) }),
  after: (value) => ({ after: parseWhole(value) }),
} satisfies Readonly<Record<string, (value: string, now: number) => AuditQuery>>

export type QueryTerm = keyof typeof terms

const queryTerms = Object.keys(terms).filter(isTerm)

/** A query as text in `q`, as terms by their names, or as both. */
export type QueryParameters = { readonly [Term in QueryTerm | 'q']?: string }

/** @throws AuditError QUERY_INVALID, which names the column or the term */
export function parseQuery({ q = '', ...named }: QueryParameters, now: number): AuditQuery {
  const given = new Set<QueryTerm>()
  let query: AuditQuery = {}
  for (const { name, value, where } of [...termsOf(q), ...Object.entries(named).map(asTerm)]) {
    if (!isTerm(name)) throw invalid(where, `expected one of ${queryTerms.join(', ')}, got ${JSON.stringify(name)}`)
    if (given.has(name)) throw invalid(where, where === name ? 'is given twice' : `${name} is given twice`)
    given.add(name)
    query = { ...query, ...readTerm(name, value, where, now) }
  }
  return query
}

/** The query as text that {@link parseQuery} reads as the same query; times are written out. */
export function formatQuery(asked: AuditQuery): string {
  const {
    device,
    session,
    event,
    topicFilter: topic,
    decision,
    rule,
    operator,
    since,
    until,
    order,
    limit,
    after,
  } = asked
  const moments = {
    ...(since !== undefined && { since: isoOf(since) }),
    ...(until !== undefined && { until: isoOf(until) }),
  }
  const values: Readonly<Record<string, string | number | undefined>> = {
    ...{ device, session, event, topic, decision, rule, operator },
    ...{ order, limit, after },
    ...moments,
  }
  return queryTerms
    .flatMap((name) => (values[name] === undefined ? [] : `${name}:${quoted(String(values[name]))}`))
    .join(' ')
}

interface Term {
  readonly name: string
  readonly value: string
  /** For the person who has to find the mistake. */
  readonly where: string
}

function asTerm([name, value]: readonly [string, string]): Term {
  return { name, value, where: name }
}

/** `name:value`, or `name:"value"` where the value holds spaces or quotes. */
function* termsOf(text: string): Iterable<Term> {
  for (const { text: word, column, negated, name, sign, value } of queryWords(text)) {
    const where = `column ${column}`
    if (value === undefined || sign !== ':') {
      throw invalid(where, `expected NAME:VALUE or NAME:"VALUE", such as device:pump-7, got ${JSON.stringify(word)}`)
    }
    yield { name: negated ? `-${name}` : name, value, where } // nothing here can be turned round
  }
}

function readTerm(name: QueryTerm, value: string, where: string, now: number): AuditQuery {
  try {
    return terms[name](value, now)
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause
    throw invalid(where, where === name ? cause.message : `${name}: ${cause.message}`, cause)
  }
}

/** Names of sessions and rules; what no record can hold finds nothing, but is no mistake. */
function parseShort(value: string): string {
  if (value === '' || value.length > 256) throw expected('1 to 256 characters', value)
  return value
}

function parseEvent(value: string): AuditEventName {
  if (!isEvent(value)) throw expected('an event such as message.publish (docs/audit-events.md lists them)', value)
  return value
}

function parseWhole(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw expected('a whole number', value)
  return Number(value)
}

const isoForm = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** So long ago (`90s`, `15m`, `2h`, `7d`, `1w`), or a moment in ISO 8601 with its zone; a date alone begins in UTC. */
function parseMoment(value: string, now: number): number {
  const ago = parseSpan(value)
  if (ago !== undefined) return Math.max(0, now - ago)
  const moment = isoForm.test(value) && isInCalendar(value.slice(0, 10)) ? Date.parse(value) : NaN
  if (Number.isNaN(moment))
    throw expected('a time ago such as 90s, 15m, 2h or 7d, or one such as 2026-11-23T08:00Z', value)
  return moment
}

/** Of the 31st of February Date.parse makes the 3rd of March. */
function isInCalendar(date: string): boolean {
  const day = new Date(`${date}T00:00Z`)
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date)
}

function oneOf<const Word extends string>(value: string, words: readonly Word[]): Word {
  const word = words.find((word) => word === value)
  if (word === undefined) throw expected(words.join(' or '), value)
  return word
}

function quoted(value: string): string {
  return /^[^\s"\\]+$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`
}

function isoOf(time: number): string {
  return new Date(time).toISOString()
}

function isTerm(name: string): name is QueryTerm {
  return Object.hasOwn(terms, name)
}

function isEvent(name: string): name is AuditEventName {
  return Object.hasOwn(eventNumbers, name)
}

function expected(what: string, value: string): AuditError {
  return new AuditError('QUERY_INVALID', `expected ${what}, got ${JSON.stringify(value)}`)
}

function invalid(where: string, problem: string, cause?: unknown): AuditError {
  return new AuditError('QUERY_INVALID', `${where}: ${problem}`, { cause })
}
